// SPDX-License-Identifier: GPL-2.0-only
/* Timers and limits read out of one process and given to another by remote calls. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "checkpoint/resource/resource.h"
#include "checkpoint/user/proc.h"
#include "checkpoint/user/trace.h"
#include "tests/unit/child.h"
#include "util/error.h"

#define SEC 1000000000ULL

static void prepare(void)
{
	struct itimerval real = {.it_interval = {.tv_sec = 100}, .it_value = {.tv_sec = 3000}};
	struct itimerval prof = {.it_value = {.tv_sec = 4000}};
	struct itimerspec value = {.it_interval = {.tv_sec = 10000, .tv_nsec = 5},
				   .it_value = {.tv_sec = 2000}};
	struct sigevent event = {.sigev_signo = SIGRTMIN + 3,
				 .sigev_notify = SIGEV_THREAD_ID,
				 .sigev_value.sival_ptr = (void *)0xfeedbeefUL};
	struct rlimit files = {.rlim_cur = 77, .rlim_max = 99};
	int ids[12];

	event._sigev_un._tid = getpid();
	setitimer(ITIMER_REAL, &real, NULL);
	setitimer(ITIMER_PROF, &prof, NULL);
	for (int i = 0; i < 12; i++)
		if (syscall(SYS_timer_create, i & 1 ? CLOCK_MONOTONIC : CLOCK_BOOTTIME,
			    i == 11 ? &event : NULL, &ids[i]))
			_exit(1);
	for (int i = 0; i < 12; i++)
		if (i != 2 && i != 5 && i != 11 && syscall(SYS_timer_delete, ids[i]))
			_exit(1);
	syscall(SYS_timer_settime, ids[5], 0, &value, NULL);
	value.it_interval = (struct timespec){0};
	syscall(SYS_timer_settime, ids[11], 0, &value, NULL);
	setrlimit(RLIMIT_NOFILE, &files);
}

static pid_t child_with(void (*fn)(void))
{
	int sync[2];
	pid_t pid = child_fork(sync);

	if (!pid) {
		if (fn)
			fn();
		child_sleeps(sync);
	}
	assert_true(child_wait(sync));
	return pid;
}

static void seize(pid_t pid, struct remote *remote)
{
	uint64_t vdso = 0, len = 0;
	struct error *err = NULL;
	vma_vec vmas = {0};

	trace_seize(pid, TRACE_EXITKILL, &err);
	no_error(err);
	trace_wait_stop(pid, NULL, &err);
	no_error(err);
	trace_set_sigmask(pid, ~0ull, &err);
	no_error(err);
	proc_vmas(pid, &vmas, &err);
	no_error(err);
	vec_for_each (v, &vmas) {
		if (!v->path || strcmp(v->path, "[vdso]"))
			continue;
		vdso = v->rec.start;
		len = v->rec.end - v->rec.start;
	}
	vmas_free(&vmas);
	remote_attach(remote, pid, 0, vdso, len, 0, &err);
	no_error(err);
}

static void end(pid_t pid, struct remote *remote)
{
	remote_forget(remote);
	child_end(pid);
}

/* What both classes say about a process. tid is what its thread is called in the records. */
static struct buf dump(pid_t pid, uint32_t tid, struct remote *remote)
{
	struct checkpoint c = {0};
	struct dump_task *t = vec_add(&c.tasks);
	struct dump_thread *thread = vec_add(&t->threads);
	struct error *err = NULL;
	struct timespec now;
	struct buf records;

	t->pid = t->speaker = pid;
	t->rec.pid = tid;
	t->remote = *remote;

	clock_gettime(CLOCK_MONOTONIC, &now);
	c.begin_host_monotonic = now.tv_sec * SEC + now.tv_nsec;
	thread->tid = pid;
	thread->rec.tid = tid;
	ask_tasks(&c, &err);
	no_error(err);
	resource_timers.dump(&c, t, &err);
	no_error(err);
	resource_rlimits.dump(&c, t, &err);
	no_error(err);
	records = t->records;
	*remote = t->remote;
	answers_free(&t->answers);
	vec_free(&t->threads);
	vec_free(&c.tasks);
	return records;
}

static struct record find(const struct buf *records, enum ckpt_type type)
{
	struct record rec;
	size_t pos = 0;

	while (record_next(records->data, records->len, &pos, &rec) == 1)
		if (rec.type == type)
			return rec;
	fail_msg("there is no record %s", record_name(type));
	return rec;
}

static void give(pid_t pid, struct remote *remote, const struct buf *records)
{
	static const enum ckpt_type types[] = {CKPT_ITIMERS, CKPT_POSIX_TIMERS, CKPT_RLIMITS};
	struct ckpt_task task = {.pid = pid};
	struct restore r = {0};
	struct restore_task *t = vec_add(&r.tasks);
	struct restore_thread *thread = vec_add(&t->threads);
	struct error *err = NULL;

	t->rec = &task;
	t->pid = thread->tid = pid;
	t->remote = *remote;
	for (unsigned i = 0; i < 3; i++) {
		struct record rec = find(records, types[i]);
		const struct resource_class *class =
			types[i] == CKPT_RLIMITS ? &resource_rlimits : &resource_timers;

		class->load(&r, t, &rec, &err);
		no_error(err);
	}
	resource_timers.restore[STAGE_ARM](&r, NULL, &err);
	no_error(err);
	resource_rlimits.restore[STAGE_ARM](&r, NULL, &err);
	no_error(err);
	remote_flush(&t->remote, &err);
	no_error(err);
	*remote = t->remote;
	vec_free(&t->more);
	vec_free(&t->threads);
	vec_free(&r.tasks);
}

/* Seconds pass between the two, an hour does not. */
static void assert_near(uint64_t value, uint64_t wanted)
{
	assert_in_range(value, wanted > 1000 * SEC ? wanted - 1000 * SEC : 1, wanted);
}

static void check(const struct buf *records, uint32_t tid)
{
	struct record rec = find(records, CKPT_ITIMERS);
	const struct ckpt_itimer *itimers = rec.data;
	const struct ckpt_posix_timer *timers;
	const struct ckpt_rlimit *limits;

	assert_int_equal(itimers[ITIMER_REAL].interval, 100 * SEC);
	assert_near(itimers[ITIMER_REAL].value, 3000 * SEC);
	assert_int_equal(itimers[ITIMER_VIRTUAL].value, 0);
	/* a CPU time clock counts in ticks and adds one, see kernel/time/itimer.c */
	assert_near(itimers[ITIMER_PROF].value, 4001 * SEC);
	rec = find(records, CKPT_POSIX_TIMERS);
	timers = rec.data;
	assert_int_equal(rec.len, 3 * sizeof(*timers));
	assert_int_equal(timers[0].id, 2);
	assert_int_equal(timers[0].value, 0);
	assert_int_equal(timers[0].signo, SIGALRM);
	assert_int_equal(timers[0].clockid, CLOCK_BOOTTIME);
	assert_int_equal(timers[1].id, 5);
	assert_int_equal(timers[1].interval, 10000 * SEC + 5);
	assert_near(timers[1].value, 2000 * SEC);
	assert_int_equal(timers[2].id, 11);
	assert_int_equal(timers[2].clockid, CLOCK_MONOTONIC);
	assert_int_equal(timers[2].interval, 0);
	assert_near(timers[2].value, 2000 * SEC);
	assert_int_equal(timers[2].signo, SIGRTMIN + 3);
	assert_int_equal(timers[2].notify, SIGEV_THREAD_ID);
	assert_int_equal(timers[2].notify_tid, tid);
	assert_int_equal(timers[2].sigev_value, 0xfeedbeef);
	rec = find(records, CKPT_RLIMITS);
	limits = rec.data;
	assert_int_equal(limits[RLIMIT_NOFILE].cur, 77);
	assert_int_equal(limits[RLIMIT_NOFILE].max, 99);
}

static void test_round_trip(void **state)
{
	pid_t from = child_with(prepare), to = child_with(NULL);
	struct remote from_remote, to_remote;
	struct buf records, again;

	seize(from, &from_remote);
	seize(to, &to_remote);
	/* the new process has another pid here, and the old one's inside */
	records = dump(from, to, &from_remote);
	check(&records, to);
	give(to, &to_remote, &records);
	again = dump(to, to, &to_remote);
	check(&again, to);
	buf_free(&records);
	buf_free(&again);
	end(from, &from_remote);
	end(to, &to_remote);
}

static void refused(const struct resource_class *class, enum ckpt_type type, const void *data,
		    size_t len)
{
	struct record rec = {.type = type, .version = 1, .data = data, .len = len};
	struct ckpt_task task = {.pid = 1};
	struct restore_task t = {.rec = &task};
	struct error *err = NULL;

	assert_int_equal(class->load(NULL, &t, &rec, &err), -EBADMSG);
	assert_non_null(err);
	error_free(err);
	vec_free(&t.more);
}

static void test_hostile(void **state)
{
	struct ckpt_posix_timer timers[2] = {{.id = 1}, {.id = 1}};
	struct ckpt_rlimit limits[RLIM_NLIMITS] = {{.cur = 2, .max = 1}};

	refused(&resource_timers, CKPT_POSIX_TIMERS, timers, sizeof(timers));
	refused(&resource_timers, CKPT_POSIX_TIMERS, timers, sizeof(timers) - 8);
	timers[1].id = UINT32_MAX;
	refused(&resource_timers, CKPT_POSIX_TIMERS, timers, sizeof(timers));
	timers[1].id = 2;
	timers[1].notify = 64;
	refused(&resource_timers, CKPT_POSIX_TIMERS, timers, sizeof(timers));
	refused(&resource_timers, CKPT_ITIMERS, timers, 8);
	refused(&resource_rlimits, CKPT_RLIMITS, limits, sizeof(limits));
	refused(&resource_rlimits, CKPT_RLIMITS, limits, sizeof(limits) - 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
