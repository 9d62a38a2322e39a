// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records of locks, leases, owners, watches, message queues, scheduling, memory and timers
 * as an attacker would write them: refused when they are loaded, before anything is made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/resource/thread.h"
#include "util/error.h"

/* What is loaded refers to the stream: everything goes together. */
struct loaded {
	struct restore r;
	struct restore_request request;
	struct restore_task t;
	struct ckpt_task task;
	struct buf streams[6];
	unsigned count;
};

static void begin(struct loaded *l)
{
	struct ckpt_eventfd eventfd = {.id = 1};
	struct error *err = NULL;
	struct record rec;
	size_t pos = 0;

	*l = (struct loaded){.task = {.pid = 1}};
	l->r.request = &l->request;
	l->t.rec = &l->task;
	assert_non_null(record_add(&l->streams[l->count], CKPT_EVENTFD, &eventfd, sizeof(eventfd)));
	assert_int_equal(record_next(l->streams[0].data, l->streams[0].len, &pos, &rec), 1);
	l->count++;
	assert_int_equal(resource_files.load(&l->r, NULL, &rec, &err), 0);
}

static void finish(struct loaded *l)
{
	resource_mqueue.release(NULL, &l->r);
	resource_files.release(NULL, &l->r);
	vec_free(&l->t.more);
	for (unsigned i = 0; i < l->count; i++)
		buf_free(&l->streams[i]);
}

static int load(struct loaded *l, const struct resource_class *class, bool in_core,
		enum ckpt_type type, const void *head, size_t len, const void *tail,
		size_t tail_len)
{
	struct buf *b = &l->streams[l->count++];
	struct error *err = NULL;
	struct record rec;
	size_t pos = 0;
	int ret;

	assert_non_null(record_add2(b, type, head, len, tail, tail_len));
	assert_int_equal(record_next(b->data, b->len, &pos, &rec), 1);
	ret = class->load(&l->r, in_core ? &l->t : NULL, &rec, &err);
	assert_true(!ret == !err);
	error_free(err);
	return ret;
}

static int load_alone(const struct resource_class *class, bool in_core, enum ckpt_type type,
		      const void *head, size_t len, const void *tail, size_t tail_len)
{
	struct loaded l;
	int ret;

	begin(&l);
	ret = load(&l, class, in_core, type, head, len, tail, tail_len);
	finish(&l);
	return ret;
}

/* The good one is taken, the same with one field changed is not. */
#define TAKEN(class, core, type, rec, tail, tail_len)                                              \
	assert_int_equal(load_alone(&(class), core, type, &(rec), sizeof(rec), tail, tail_len), 0)
#define REFUSED(class, core, type, rec, tail, tail_len)                                            \
	assert_int_equal(load_alone(&(class), core, type, &(rec), sizeof(rec), tail, tail_len),    \
			 -EBADMSG)
#define REFUSED_WITH(class, core, type, good, field, value)                                        \
	do {                                                                                       \
		__typeof__(good) changed = good;                                                   \
		changed.field = value;                                                             \
		REFUSED(class, core, type, changed, NULL, 0);                                      \
	} while (0)

static void test_locks(void **state)
{
	struct ckpt_lock lock = {.description = 1, .task = 1, .fd = 3, .start = 5, .end = 9};
	struct ckpt_lease lease = {.description = 1, .task = 1, .fd = 3, .write = 1};

	TAKEN(resource_locks, false, CKPT_LOCK, lock, NULL, 0);
	REFUSED(resource_locks, true, CKPT_LOCK, lock, NULL, 0);
	REFUSED_WITH(resource_locks, false, CKPT_LOCK, lock, description, 0);
	REFUSED_WITH(resource_locks, false, CKPT_LOCK, lock, description, 2);
	REFUSED_WITH(resource_locks, false, CKPT_LOCK, lock, kind, CKPT_LOCK_OFD + 1);
	REFUSED_WITH(resource_locks, false, CKPT_LOCK, lock, write, 2);
	REFUSED_WITH(resource_locks, false, CKPT_LOCK, lock, end, 4);
	REFUSED_WITH(resource_locks, false, CKPT_LOCK, lock, end, UINT64_MAX - 1);
	lock.end = UINT64_MAX;
	TAKEN(resource_locks, false, CKPT_LOCK, lock, NULL, 0);
	TAKEN(resource_locks, false, CKPT_LEASE, lease, NULL, 0);
	REFUSED_WITH(resource_locks, false, CKPT_LEASE, lease, description, 9);
	REFUSED_WITH(resource_locks, false, CKPT_LEASE, lease, becomes, CKPT_LEASE_READ + 1);
	lease.write = 0; /* one for reading cannot become one */
	REFUSED_WITH(resource_locks, false, CKPT_LEASE, lease, becomes, CKPT_LEASE_READ);
}

/* One first thread, that runs or has exited; what stands behind its record is its. */
static void test_exited(void **state)
{
	struct ckpt_exited exited = {.exit_code = 7 << 8};
	struct ckpt_thread first = {.tid = 1}, second = {.tid = 2};
	struct ckpt_creds creds = {0};
	struct loaded l;

	TAKEN(resource_threads, true, CKPT_EXITED, exited, NULL, 0);
	REFUSED(resource_threads, false, CKPT_EXITED, exited, NULL, 0);
	REFUSED_WITH(resource_threads, true, CKPT_EXITED, exited, exit_code, SIGSYS);
	REFUSED_WITH(resource_threads, true, CKPT_EXITED, exited, exit_code, 0x10000);
	begin(&l);
#define LOAD(type, rec) load(&l, &resource_threads, true, type, &(rec), sizeof(rec), NULL, 0)
	assert_int_equal(LOAD(CKPT_EXITED, exited), 0);
	creds.uid[1] = -1;
	assert_int_equal(LOAD(CKPT_CREDS, creds), -EBADMSG);
	creds.uid[1] = 0;
	creds.gid[3] = -1;
	assert_int_equal(LOAD(CKPT_CREDS, creds), -EBADMSG);
	creds.gid[3] = 0;
	assert_int_equal(LOAD(CKPT_CREDS, creds), 0);
	assert_non_null(l.t.exited_thread.creds);
	assert_int_equal(LOAD(CKPT_EXITED, exited), -EBADMSG);
	finish(&l);
	begin(&l);
	assert_int_equal(LOAD(CKPT_EXITED, exited), 0);
	assert_int_equal(LOAD(CKPT_THREAD, first), -EBADMSG);
	assert_int_equal(LOAD(CKPT_THREAD, second), 0);
	vec_free(&l.t.threads);
	finish(&l);
	begin(&l);
	assert_int_equal(LOAD(CKPT_THREAD, first), 0);
	assert_int_equal(LOAD(CKPT_EXITED, exited), -EBADMSG);
	vec_free(&l.t.threads);
	finish(&l);
#undef LOAD
}

static void test_owners(void **state)
{
	struct ckpt_owner owner = {.id = 1, .type = F_OWNER_PID, .pid = 1, .signal = SIGUSR1};

	TAKEN(resource_owners, false, CKPT_OWNER, owner, NULL, 0);
	REFUSED(resource_owners, true, CKPT_OWNER, owner, NULL, 0);
	REFUSED_WITH(resource_owners, false, CKPT_OWNER, owner, id, 2);
	REFUSED_WITH(resource_owners, false, CKPT_OWNER, owner, type, 3);
	REFUSED_WITH(resource_owners, false, CKPT_OWNER, owner, signal, 65);
	REFUSED_WITH(resource_owners, false, CKPT_OWNER, owner, async, 2);
}

/* The eventfd is description 1. */
static void test_watches(void **state)
{
	struct ckpt_inotify good = {.id = 2, .watches = 1};
	struct {
		struct ckpt_inotify_watch row;
		char path[8];
	} w = {{.wd = 1, .mask = IN_CREATE, .path_len = 5}, "/a/bc"}, bad = w, two[2] = {w, w};

	TAKEN(resource_files, false, CKPT_INOTIFY, good, &w, sizeof(w));
	REFUSED(resource_files, false, CKPT_INOTIFY, good, &w, sizeof(w) - 8);
	REFUSED(resource_files, false, CKPT_INOTIFY, good, NULL, 0);
	bad.row.path_len = UINT32_MAX;
	REFUSED(resource_files, false, CKPT_INOTIFY, good, &bad, sizeof(bad));
	bad.row.path_len = 9;
	REFUSED(resource_files, false, CKPT_INOTIFY, good, &bad, sizeof(bad));
	bad = w;
	bad.row.wd = 0;
	REFUSED(resource_files, false, CKPT_INOTIFY, good, &bad, sizeof(bad));
	bad = w;
	bad.row.mask = IN_ONESHOT; /* no event at all */
	REFUSED(resource_files, false, CKPT_INOTIFY, good, &bad, sizeof(bad));
	bad.row.mask = IN_CREATE | IN_MASK_ADD;
	REFUSED(resource_files, false, CKPT_INOTIFY, good, &bad, sizeof(bad));
	bad = w;
	*bad.path = 'a';
	REFUSED(resource_files, false, CKPT_INOTIFY, good, &bad, sizeof(bad));
	good.watches = 2; /* the same number twice */
	REFUSED(resource_files, false, CKPT_INOTIFY, good, two, sizeof(two));
	two[1].row.wd = 2;
	TAKEN(resource_files, false, CKPT_INOTIFY, good, two, sizeof(two));
}

static void test_marks(void **state)
{
	struct ckpt_fanotify good = {.id = 2, .marks = 1}, bad = good;
	struct {
		struct ckpt_fanotify_mark row;
		char path[8];
	} m = {{.kind = CKPT_MARK_INODE, .mask = 2, .path_len = 4}, "/abc"}, mount = m;
	struct loaded l;

	TAKEN(resource_files, false, CKPT_FANOTIFY, good, &m, sizeof(m));
	REFUSED(resource_files, false, CKPT_FANOTIFY, good, NULL, 0);
	mount.row.kind = CKPT_MARK_MOUNT; /* more than somebody without privileges may mark */
	REFUSED(resource_files, false, CKPT_FANOTIFY, good, &mount, sizeof(mount));
	bad.privileged = 1;
	TAKEN(resource_files, false, CKPT_FANOTIFY, bad, &mount, sizeof(mount));
	mount.row.kind = CKPT_MARK_FILESYSTEM + 1;
	REFUSED(resource_files, false, CKPT_FANOTIFY, bad, &mount, sizeof(mount));
	begin(&l);
	l.request.caps_bounded = true;
	assert_int_equal(
		load(&l, &resource_files, false, CKPT_FANOTIFY, &bad, sizeof(bad), &m, sizeof(m)),
		-EPERM);
	finish(&l);
}

static int load_queue(struct ckpt_mqueue q, const char *name, const void *messages, size_t len)
{
	char tail[256] = "";

	memcpy(tail, name, 8);
	if (len)
		memcpy(tail + 8, messages, len);
	return load_alone(&resource_mqueue, false, CKPT_MQUEUE, &q, sizeof(q), tail, 8 + len);
}

static void test_queues(void **state)
{
	struct ckpt_mqueue good = {.maxmsg = 2, .msgsize = 10, .name_len = 4}, q = good;
	struct {
		struct ckpt_mqueue_message head;
		char text[8];
	} m = {{.priority = 3, .len = 8}, "message"}, bad = m;
	struct ckpt_mqueue_fd fd = {.id = 2, .queue = 1};
	struct loaded l;

	assert_int_equal(load_queue(good, "name\0\0\0", NULL, 0), 0);
	assert_int_equal(load_queue(good, "a/b\0\0\0\0", NULL, 0), -EBADMSG);
	assert_int_equal(load_queue(good, "na\0e\0\0\0", NULL, 0), -EBADMSG);
	q.name_len = 2;
	assert_int_equal(load_queue(q, "..\0\0\0\0\0", NULL, 0), -EBADMSG);
	q.name_len = UINT32_MAX;
	assert_int_equal(load_queue(q, "name\0\0\0", NULL, 0), -EBADMSG);
	q = good;
	q.maxmsg = 0;
	assert_int_equal(load_queue(q, "name\0\0\0", NULL, 0), -EBADMSG);
	q = good;
	q.msgsize = UINT64_MAX;
	assert_int_equal(load_queue(q, "name\0\0\0", NULL, 0), -EBADMSG);
	q = good;
	q.notify_task = 1;
	q.notify = SIGEV_THREAD;
	assert_int_equal(load_queue(q, "name\0\0\0", NULL, 0), -EBADMSG);
	q = good;
	q.messages = 1;
	assert_int_equal(load_queue(q, "name\0\0\0", &m, sizeof(m)), 0);
	assert_int_equal(load_queue(q, "name\0\0\0", NULL, 0), -EBADMSG);
	assert_int_equal(load_queue(q, "name\0\0\0", &m, sizeof(m.head)), -EBADMSG);
	assert_int_equal(load_queue(good, "name\0\0\0", &m, sizeof(m)), -EBADMSG);
	bad.head.len = 11; /* more than the queue takes */
	assert_int_equal(load_queue(q, "name\0\0\0", &bad, sizeof(bad)), -EBADMSG);
	bad = m;
	bad.head.priority = 32768;
	assert_int_equal(load_queue(q, "name\0\0\0", &bad, sizeof(bad)), -EBADMSG);
	q.messages = 3;
	assert_int_equal(load_queue(q, "name\0\0\0", &m, sizeof(m)), -EBADMSG);

	REFUSED(resource_files, false, CKPT_MQUEUE_FD, fd, NULL, 0);
	begin(&l);
	assert_int_equal(load(&l, &resource_mqueue, false, CKPT_MQUEUE, &good, sizeof(good),
			      "name\0\0\0", 8),
			 0);
	assert_int_equal(load(&l, &resource_files, false, CKPT_MQUEUE_FD, &fd, sizeof(fd), NULL, 0),
			 0);
	finish(&l);
}

static int check_sched(const struct ckpt_sched *s, size_t cpus)
{
	struct error *err = NULL;
	struct buf b = {0};
	struct record rec;
	char mask[64] = "";
	size_t pos = 0;
	int ret;

	assert_non_null(record_add2(&b, CKPT_SCHED, s, sizeof(*s), mask, cpus));
	assert_int_equal(record_next(b.data, b.len, &pos, &rec), 1);
	ret = sched_validate(&rec, &err);
	error_free(err);
	buf_free(&b);
	return ret;
}

static void test_sched(void **state)
{
	struct ckpt_sched good = {.cpus_len = 8, .autogroup = CKPT_NO_AUTOGROUP}, bad = good;

	assert_int_equal(check_sched(&good, 8), 0);
	assert_int_equal(check_sched(&good, 4), -EBADMSG);
	assert_int_equal(check_sched(&good, 16), -EBADMSG);
	bad.cpus_len = UINT32_MAX;
	assert_int_equal(check_sched(&bad, 8), -EBADMSG);
	bad = good;
	bad.autogroup = 20;
	assert_int_equal(check_sched(&bad, 8), -EBADMSG);
	bad = good;
	bad.nice = -21;
	assert_int_equal(check_sched(&bad, 8), -EBADMSG);
}

static int check_prctls(enum ckpt_type type, const struct ckpt_prctl *rows, size_t len)
{
	struct restore_request request = {.caps_bounded = true};
	const struct record rec = {.type = type, .data = rows, .len = len};
	struct error *err = NULL;
	int ret = prctl_validate(&request, &rec, &err);

	assert_true(!ret == !err);
	error_free(err);
	return ret;
}

static int check_prctl(enum ckpt_type type, struct ckpt_prctl row)
{
	return check_prctls(type, &row, sizeof(row));
}

/* Only the calls that are in the table, with the values that they can have set. */
static void test_prctls(void **state)
{
	const struct ckpt_prctl tsc = {.option = PR_SET_TSC, .args = {PR_TSC_SIGSEGV}};
	const struct ckpt_prctl denied = {.option = 65 /* PR_SET_MDWE */, .args = {1}};
	const struct ckpt_prctl dispatch = {.option = PR_SET_SYSCALL_USER_DISPATCH,
					    .args = {PR_SYS_DISPATCH_ON, 4096, 10, 8192}};
	struct ckpt_prctl bad = tsc, many[20];

	assert_int_equal(check_prctl(CKPT_THREAD_PRCTLS, tsc), 0);
	assert_int_equal(check_prctl(CKPT_PRCTLS, tsc), -EBADMSG);
	assert_int_equal(check_prctl(CKPT_PRCTLS, denied), 0);
	assert_int_equal(check_prctl(CKPT_THREAD_PRCTLS, denied), -EBADMSG);
	assert_int_equal(check_prctl(CKPT_THREAD_PRCTLS, dispatch), 0);
	assert_int_equal(check_prctl(CKPT_PRCTLS, dispatch), -EBADMSG);
	assert_int_equal(check_prctls(CKPT_THREAD_PRCTLS, &tsc, sizeof(tsc) - 8), -EBADMSG);
	bad.args[0] = PR_TSC_ENABLE;
	assert_int_equal(check_prctl(CKPT_THREAD_PRCTLS, bad), -EBADMSG);
	bad.args[0] = PR_TSC_SIGSEGV + (1ull << 32);
	assert_int_equal(check_prctl(CKPT_THREAD_PRCTLS, bad), -EBADMSG);
	bad = tsc;
	bad.args[1] = 1;
	assert_int_equal(check_prctl(CKPT_THREAD_PRCTLS, bad), -EBADMSG);
	bad = tsc;
	bad.reserved = 1;
	assert_int_equal(check_prctl(CKPT_THREAD_PRCTLS, bad), -EBADMSG);
	bad = (struct ckpt_prctl){.option = PR_SET_DUMPABLE, .args = {1}};
	assert_int_equal(check_prctl(CKPT_THREAD_PRCTLS, bad), -EBADMSG);
	bad = (struct ckpt_prctl){.option = PR_MCE_KILL, .args = {PR_MCE_KILL_CLEAR}};
	assert_int_equal(check_prctl(CKPT_THREAD_PRCTLS, bad), -EBADMSG);
	/* config.json does not give what it takes */
	bad = (struct ckpt_prctl){.option = PR_SET_IO_FLUSHER, .args = {1}};
	assert_int_equal(check_prctl(CKPT_THREAD_PRCTLS, bad), -EPERM);
	for (size_t i = 0; i < 20; i++)
		many[i] = tsc;
	assert_int_equal(check_prctls(CKPT_THREAD_PRCTLS, many, sizeof(many)), -EBADMSG);
}

static void test_memory(void **state)
{
	struct ckpt_mm_policy good = {.ranges = 1};
	struct ckpt_range range = {.start = 0x10000, .end = 0x11000, .kind = CKPT_RANGE_GUARD};
	struct ckpt_range bad = range;

	TAKEN(resource_memory_policy, true, CKPT_MM_POLICY, good, &range, sizeof(range));
	REFUSED(resource_memory_policy, false, CKPT_MM_POLICY, good, &range, sizeof(range));
	REFUSED(resource_memory_policy, true, CKPT_MM_POLICY, good, NULL, 0);
	bad.start = bad.end;
	REFUSED(resource_memory_policy, true, CKPT_MM_POLICY, good, &bad, sizeof(bad));
	bad = range;
	bad.end++;
	REFUSED(resource_memory_policy, true, CKPT_MM_POLICY, good, &bad, sizeof(bad));
	bad = range;
	bad.kind = CKPT_RANGE_PKEY; /* of key 0, which is nobody's */
	REFUSED(resource_memory_policy, true, CKPT_MM_POLICY, good, &bad, sizeof(bad));
	bad.value = 16;
	REFUSED(resource_memory_policy, true, CKPT_MM_POLICY, good, &bad, sizeof(bad));
	bad.kind = CKPT_RANGE_PKEY + 1;
	REFUSED(resource_memory_policy, true, CKPT_MM_POLICY, good, &bad, sizeof(bad));
	good.ranges = 0;
	TAKEN(resource_memory_policy, true, CKPT_MM_POLICY, good, NULL, 0);
	REFUSED_WITH(resource_memory_policy, true, CKPT_MM_POLICY, good, lock_future, MCL_CURRENT);
	REFUSED_WITH(resource_memory_policy, true, CKPT_MM_POLICY, good, merge, 2);
	/* so many that their size is small again in 32 bits */
	REFUSED_WITH(resource_memory_policy, true, CKPT_MM_POLICY, good, ranges, 0x80000000);
}

static void test_dates(void **state)
{
	struct ckpt_posix_timer timer = {.id = 1, .clockid = CLOCK_REALTIME, .signo = SIGALRM};

	timer.notify = SIGEV_SIGNAL | CKPT_TIMER_DATE;
	TAKEN(resource_timers, true, CKPT_POSIX_TIMERS, timer, NULL, 0);
	REFUSED_WITH(resource_timers, true, CKPT_POSIX_TIMERS, timer, clockid, CLOCK_MONOTONIC);
	REFUSED_WITH(resource_timers, true, CKPT_POSIX_TIMERS, timer, notify,
		     CKPT_TIMER_DATE | 0x100);
}

/* Two processes, of which the second is stopped. */
static int load_stops(const struct ckpt_stop *rows, size_t len)
{
	struct ckpt_task tasks[] = {{.pid = 1}, {.pid = 2, .ppid = 1, .state = CKPT_TASK_STOPPED}};
	struct loaded l;
	int ret = 0;

	begin(&l);
	l.r.begin = &(struct ckpt_begin){.tasks = 2};
	for (int i = 0; i < 2; i++)
		assert_int_equal(load(&l, &resource_tree, false, CKPT_TASK, &tasks[i],
				      sizeof(tasks[i]), NULL, 0),
				 0);
	ret = load(&l, &resource_tree, false, CKPT_STOPS, rows, len, NULL, 0);
	vec_free(&l.r.tasks);
	finish(&l);
	return ret;
}

static void test_stops(void **state)
{
	static const struct ckpt_stop good[] = {{2, 0, SIGTSTP, 0}, {2, 7, SIGSTOP, 1}};
	static const struct ckpt_stop bad[] = {
		{1, 0, SIGSTOP, 0},					    /* runs */
		{3, 0, SIGSTOP, 0},					    /* is not there */
		{2, 0, SIGKILL, 0}, {2, 0, 0, 0},	{2, 0, SIGTSTP, 1}, /* would be blocked */
		{2, 7, SIGTSTP, 0}, {2, 0, SIGSTOP, 2},
	};

	assert_int_equal(load_stops(good, sizeof(good)), 0);
	assert_int_equal(load_stops(good, sizeof(good) - 8), -EBADMSG);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(load_stops(&bad[i], sizeof(bad[i])), -EBADMSG);
}

static void test_aio(void **state)
{
	/* with the head they fill pages, and more than on any machine; two are unread, around
	 * the ring's end */
	const uint32_t nr = 1024 * 128 - 1;
	struct ckpt_aio aio = {.address = 0x10000, .nr = nr, .head = nr - 1, .tail = 1};
	struct ckpt_aio_event events[3] = {{.data = 1}};

	TAKEN(resource_aio, true, CKPT_AIO, aio, events, 2 * sizeof(*events));
	REFUSED(resource_aio, false, CKPT_AIO, aio, events, 2 * sizeof(*events));
	REFUSED(resource_aio, true, CKPT_AIO, aio, events, 3 * sizeof(*events));
	REFUSED(resource_aio, true, CKPT_AIO, aio, events, sizeof(*events));
	aio.head = aio.tail;
	TAKEN(resource_aio, true, CKPT_AIO, aio, NULL, 0);
	REFUSED_WITH(resource_aio, true, CKPT_AIO, aio, nr, 0);
	REFUSED_WITH(resource_aio, true, CKPT_AIO, aio, nr, 1);
	REFUSED_WITH(resource_aio, true, CKPT_AIO, aio, nr, nr + 1);
	REFUSED_WITH(resource_aio, true, CKPT_AIO, aio, nr, UINT32_MAX);
	REFUSED_WITH(resource_aio, true, CKPT_AIO, aio, head, nr);
	REFUSED_WITH(resource_aio, true, CKPT_AIO, aio, tail, UINT32_MAX);
	REFUSED_WITH(resource_aio, true, CKPT_AIO, aio, address, 0x10001);
	aio.head = 2; /* as full as no ring may be */
	REFUSED(resource_aio, true, CKPT_AIO, aio, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_locks),	cmocka_unit_test(test_owners),
		cmocka_unit_test(test_watches), cmocka_unit_test(test_marks),
		cmocka_unit_test(test_queues),	cmocka_unit_test(test_sched),
		cmocka_unit_test(test_memory),	cmocka_unit_test(test_dates),
		cmocka_unit_test(test_stops),	cmocka_unit_test(test_aio),
		cmocka_unit_test(test_prctls),	cmocka_unit_test(test_exited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
