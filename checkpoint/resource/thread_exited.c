// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process's first thread that has exited while others run. It stays, as a zombie, until they
 * have ended, and others see its name, its credentials (kill(2) asks for those), how it is
 * scheduled, and its exit code. So a restore makes it like any other, and it exits again when
 * nothing is left that only a first thread can do: a signal that the kernel has sent can be queued
 * for a whole process by no other (do_rt_sigqueueinfo() in kernel/signal.c). It must be before its
 * children have their death signals, for they would get them (forget_original_parent() in
 * kernel/exit.c): children come behind their parents.
 */
#include <errno.h>
#include <linux/prctl.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/engine/provider.h"
#include "checkpoint/kernel/kernel.h"
#include "checkpoint/resource/thread.h"
#include "checkpoint/user/trace.h"
#include "util/clock.h"
#include "util/error.h"

/* --- a checkpoint --- */

int exited_admit(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	if (!t->exited.tid)
		return 0;
	/* no call of its own ends it so, and what kills any other way kills all threads */
	if (t->exited_code & 0xff)
		checkpoint_block(c, t->rec.pid, -1, 0, "wait until the process has ended",
				 "a process whose first thread was killed alone, by seccomp,");
	return provider_leave(c, ~0ull, t, 0, "a process whose first thread has exited");
}

int exited_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	const struct ckpt_exited rec = {.exit_code = t->exited_code};
	struct ckpt_sched sched = {0};
	int r;

	if (!record_add(&t->records, CKPT_EXITED, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording a thread");
	r = creds_dump_exited(t, err);
	if (!r)
		r = sched_read_personality(t->pid, t->pid, &sched.personality, err);
	return r ? r : sched_dump(c, t, &t->exited, &sched, err);
}

/* --- a restore --- */

int exited_load(struct restore_task *t, const struct record *rec, struct error **err)
{
	const struct ckpt_exited *exited = record_head(rec, sizeof(*exited), err);

	if (!exited)
		return -EBADMSG;
	if (t->exited || t->threads.count || exited->exit_code & ~0xff00u)
		return error_set(err, EBADMSG, "a first thread that has exited and cannot have");
	t->exited = exited;
	t->exited_rec.tid = t->rec->pid;
	t->exited_thread.rec = &t->exited_rec;
	return 0;
}

int exited_check(struct restore *r, struct restore_task *t, struct error **err)
{
	if (!t->exited)
		return 0;
	if (!t->exited_thread.creds)
		return error_set(err, EBADMSG, "records of the thread that has exited are missing");
	if (r->request->provider == PROVIDER_KERNEL) {
		error_set(err, EOPNOTSUPP,
			  "the first thread has exited, which restart(2) does not restore");
		return error_hint(err, "use --provider auto");
	}
	r->kernel = (struct kernel){0};
	return creds_check_capabilities(r->request, &t->exited_thread, err);
}

/* What others see of it. */
static int settle(struct restore_task *t, struct error **err)
{
	static const struct remote_note note = {.what = "setting up a thread that has exited"};
	const struct ckpt_sched *sched = sched_find(&t->exited_thread);
	int ret = sched_restore(t, &t->exited_thread, err);
	char *name;
	uint64_t at;

	if (!ret && sched)
		ret = remote_later(&t->remote, 0, &note, err, SYS_personality, sched->personality);
	if (ret)
		return ret;
	name = remote_later_data(&t->remote, sizeof(t->rec->comm), &at, err);
	if (!name)
		return -error_code(*err);
	memcpy(name, t->rec->comm, sizeof(t->rec->comm));
	ret = remote_later(&t->remote, 0, &note, err, SYS_prctl, PR_SET_NAME, at);
	if (!ret)
		ret = creds_restore(t, &t->exited_thread, err);
	return ret ? ret : remote_settle(&t->remote, err);
}

#define EXIT_PATIENCE_NS 10000000000ull

/* Nobody is told of its end as long as the others are there. */
static int wait_for_exit(const struct restore_task *t, struct error **err)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + EXIT_PATIENCE_NS;
	struct timespec pause = {.tv_nsec = 20000};
	struct proc_stat stat;

	for (;;) {
		int r = proc_stat(t->pid, t->pid, &stat, err);

		if (r || stat.state == 'Z')
			return r;
		if (clock_ns(CLOCK_MONOTONIC) > until)
			return error_set(err, ETIMEDOUT,
					 "the first thread of process %u does not exit",
					 t->rec->pid);
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 1000000)
			pause.tv_nsec += pause.tv_nsec / 2;
	}
}

int exited_restore(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret = settle(t, err);

	if (!ret)
		ret = trace_stop_at_exit(t->pid, err);
	if (!ret) {
		remote_set(remote_calls(&t->remote), SYS_exit, t->exited->exit_code >> 8);
		ret = remote_start(&t->remote, 0, 1, err);
	}
	/* a zombie that is traced would be its tracer's, and not its parent's, when all have ended
	 */
	if (!ret)
		ret = trace_leave_at_exit(t->pid, err);
	if (!ret)
		ret = wait_for_exit(t, err);
	t->remote.tid = t->threads.items[0].tid;
	if (t == r->tasks.items)
		r->init = t->remote.tid;
	return ret;
}
