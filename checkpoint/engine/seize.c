// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frozen tasks cannot run remote calls, and on cgroup v1 they do not even stop
 * for ptrace: they are seized frozen, thawed into the ptrace stop, and frozen
 * again before they are let go. No user code runs in between.
 */
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/engine/tasks.h"
#include "checkpoint/resource/thread.h"
#include "checkpoint/user/proc.h"
#include "checkpoint/user/trace.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"

/* Whoever dies meanwhile needs nothing put back. */
static void ignore_error(struct error *err)
{
	if (err)
		log_debug("while letting go: %s", error_message(err));
	error_free(err);
}

static void release_thread(struct dump_thread *th)
{
	struct error *err = NULL;
	int status;

	if (!th->seized)
		return;
	/* one that has not stopped yet cannot be detached: our own end does that */
	if ((th->stopped_once && (trace_set_regs(th->tid, &th->regs, &err) ||
				  trace_set_sigmask(th->tid, th->stopped_mask, &err))) ||
	    trace_detach(th->tid, &err))
		waitpid(th->tid, &status, __WALL | WNOHANG);
	ignore_error(err);
	th->seized = false;
}

static void release_tasks(void *ctx)
{
	struct checkpoint *c = ctx;
	const struct checkpoint_request *q = c->request;
	struct error *err = NULL;

	c->refreeze_failed = q->ops->freeze(q->ctx, &err) < 0;
	ignore_error(err);
	vec_for_each (t, &c->tasks)
		vec_for_each (th, &t->threads)
			release_thread(th);
}

static void unmap_windows(void *ctx)
{
	struct checkpoint *c = ctx;

	vec_for_each (t, &c->tasks) {
		struct error *err = NULL;

		if (t->remote.address)
			remote_detach(&t->remote, &err);
		ignore_error(err);
	}
}

static int stop_thread(struct dump_task *t, struct dump_thread *th, struct error **err)
{
	int group_stop;
	int r = trace_wait_stop(th->tid, &group_stop, err);

	if (r)
		return r;
	if (group_stop)
		t->rec.state = CKPT_TASK_STOPPED;
	return thread_read_stopped(th, err);
}

static int attach_window(struct dump_task *t, struct error **err)
{
	struct proc_status status;
	uint64_t vdso = 0, len = 0;
	int r = proc_status(t->pid, 0, &status, err);

	if (r)
		return r;
	vec_for_each (v, &t->vmas) {
		if (!v->path || strcmp(v->path, "[vdso]"))
			continue;
		vdso = v->rec.start;
		len = v->rec.end - v->rec.start;
	}
	r = remote_attach(&t->remote, t->pid, 0, vdso, len,
			  status.sig_caught | status.sig_pending | status.shared_pending, err);
	t->remote.protect = true;
	return r;
}

/*
 * Whether the thread is in a job-control stop. PTRACE_SEIZE waits, unkillable by
 * SIGTERM, for such a thread to go from stopped to traced (ptrace_attach() in
 * kernel/ptrace.c), which a thread frozen by cgroup v1 does not. Its state in /proc
 * is then D like everybody's.
 */
static bool is_stopped(const struct dump_task *t, const struct dump_thread *th)
{
	__cleanup_free char *where = NULL;

	return !proc_read(&where, NULL, "%d/task/%d/wchan", t->pid, th->tid) &&
	       !strcmp(where, "do_signal_stop");
}

static int seize_threads(struct checkpoint *c, bool stopped, struct error **err)
{
	bool waits = c->request->ops->freezer_version(c->request->ctx) == 1;

	vec_for_each (t, &c->tasks) {
		if (t->rec.state == CKPT_TASK_ZOMBIE)
			continue;
		vec_for_each (th, &t->threads) {
			struct proc_status status;
			int r;

			if (th->seized || (waits && !stopped && is_stopped(t, th)))
				continue;
			r = proc_status(t->pid, th->tid, &status, err);
			if (!r)
				r = trace_seize(th->tid, status.seccomp ? TRACE_SUSPEND_SECCOMP : 0,
						err);
			if (r)
				return r;
			th->seized = true;
		}
	}
	return 0;
}

int tasks_seize(struct checkpoint *c, struct error **err)
{
	const struct checkpoint_request *q = c->request;
	int r = 0;

	if (undo_push(&c->undo, "seize", release_tasks, c))
		return error_errno(err, ENOMEM, "seizing tasks");
	r = seize_threads(c, false, err);
	if (!r)
		r = q->ops->thaw(q->ctx, err);
	/* stopped ones stay stopped after the thaw: whoever could continue them is ours already */
	if (!r)
		r = seize_threads(c, true, err);
	vec_for_each (t, &c->tasks)
		for (size_t i = 0; !r && i < t->threads.count; i++)
			r = stop_thread(t, &t->threads.items[i], err);
	if (r)
		return r;
	if (undo_push(&c->undo, "windows", unmap_windows, c))
		return error_errno(err, ENOMEM, "seizing tasks");
	vec_for_each (t, &c->tasks) {
		if (t->rec.state == CKPT_TASK_ZOMBIE)
			continue;
		r = attach_window(t, err);
		if (r)
			return r;
	}
	return 0;
}
