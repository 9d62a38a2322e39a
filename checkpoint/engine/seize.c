// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frozen tasks cannot run remote calls, and on cgroup v1 they do not even stop
 * for ptrace: they are seized frozen, thawed into the ptrace stop, and frozen
 * again before they are let go. No user code runs in between.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/engine/tasks.h"
#include "checkpoint/resource/stops.h"
#include "checkpoint/resource/thread.h"
#include "checkpoint/user/proc.h"
#include "checkpoint/user/trace.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/fault.h"
#include "util/io.h"
#include "util/log.h"

/* Whoever dies meanwhile needs nothing put back. */
static void ignore_error(struct error *err)
{
	if (err)
		log_debug("while letting go: %s", error_message(err));
	error_free(err);
}

static int put_back(const struct dump_thread *th, struct error **err)
{
	int r = trace_set_regs(th->tid, &th->regs, err);

	if (!r)
		r = trace_set_sigmask(th->tid, th->stopped_mask, err);
	return r || !th->dispatch.mode ? r : trace_set_dispatch(th->tid, &th->dispatch, err);
}

/* 0 when it has stopped, -ETIMEDOUT without an error if it has not by then. */
static int await_stop(const struct dump_thread *th, uint64_t until, const volatile int *cancel,
		      int *group_stop, struct error **err)
{
	struct timespec pause = {.tv_nsec = 10000};

	for (;;) {
		int r = trace_try_stop(th->tid, group_stop, err);

		if (!r)
			r = checkpoint_cancelled(cancel, err);
		if (r)
			return r < 0 ? r : 0;
		if (clock_ns(CLOCK_MONOTONIC) > until)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 10000000)
			pause.tv_nsec += pause.tv_nsec / 2;
	}
}

/* One that has not stopped yet cannot be detached: if it never does, our own end does that. */
static void release_thread(const struct dump_task *t, struct dump_thread *th)
{
	struct error *err = NULL;
	int status;

	if (!th->seized || !th->stopped_once)
		return;
	if (sleep_rewind(t->pid, th, &err) || put_back(th, &err) || trace_detach(th->tid, &err))
		waitpid(th->tid, &status, __WALL | WNOHANG);
	ignore_error(err);
	th->seized = false;
}

#define LATE_STOP_NS NSEC_PER_SEC

/* Those that were seized and not waited for, because something has failed. */
static void await_late_stops(const task_vec *tasks)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + LATE_STOP_NS;

	vec_for_each (t, tasks)
		vec_for_each (th, &t->threads) {
			struct error *err = NULL;

			if (th->seized && !th->stopped_once &&
			    !await_stop(th, until, NULL, NULL, &err))
				thread_read_regs(th, &err);
			ignore_error(err);
		}
}

static void release_threads(const task_vec *tasks)
{
	vec_for_each (t, tasks)
		vec_for_each (th, &t->threads)
			release_thread(t, th);
}

static void release_tasks(void *ctx)
{
	struct checkpoint *c = ctx;
	const struct checkpoint_request *q = c->request;
	struct error *err = NULL;

	/* before that nobody stops on cgroup v1 */
	if (c->stopping) {
		await_late_stops(&c->tasks);
		await_late_stops(&c->outside);
	}
	c->refreeze_failed = q->ops->freeze(q->ctx, &err) < 0;
	ignore_error(err);
	release_threads(&c->tasks);
	release_threads(&c->outside);
}

/*
 * Nobody hears of a leader that is dead as long as other threads of its process wait for their
 * tracer (delay_group_leader() in kernel/exit.c): false then, when waiting would not end.
 */
static bool will_stop(const struct dump_task *t)
{
	struct timespec pause = {.tv_nsec = 20000};

	while (t->threads.count > 1 && (t->remote.moving || t->remote.runs)) {
		siginfo_t info = {0};
		struct proc_stat stat;

		if (waitid(P_PID, t->speaker, &info,
			   WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL))
			return false;
		if (info.si_pid)
			break;
		if (proc_stat(t->speaker, 0, &stat, NULL) || stat.state == 'Z' || stat.state == 'X')
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

/* What fails here concerns one task: the others are let go. Returns whether there is more to do. */
static bool unmap_step(struct dump_task *t, int (*step)(struct remote *, struct error **))
{
	struct error *err = NULL;
	int r = will_stop(t) ? step(&t->remote, &err) : -ESRCH;

	if (r < 0)
		remote_forget(&t->remote);
	ignore_error(err);
	return r > 0;
}

static void unmap_windows(void *ctx)
{
	struct checkpoint *c = ctx;
	bool busy = true;

	vec_for_each (t, &c->tasks)
		unmap_step(t, remote_start_detach);
	while (busy) {
		busy = false;
		vec_for_each (t, &c->tasks)
			busy |= unmap_step(t, remote_proceed);
	}
}

#define STOP_SECONDS 10

/*
 * What sleeps in the kernel until its filesystem answers or a vforked child
 * executes does not stop; what can stop does within microseconds.
 */
static int wait_stop(struct checkpoint *c, struct dump_thread *th, int *group_stop,
		     struct error **err)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + STOP_SECONDS * NSEC_PER_SEC;
	int r = await_stop(th, until, c->request->cancel, group_stop, err);

	if (r != -ETIMEDOUT)
		return r;
	error_set(err, ETIMEDOUT, "task %d has not stopped within %d seconds", th->rec.tid,
		  STOP_SECONDS);
	return error_hint(err, "it waits in the kernel for something; try again when that is over");
}

static int stop_thread(struct checkpoint *c, struct dump_task *t, struct dump_thread *th,
		       struct error **err)
{
	int group_stop;
	int r = wait_stop(c, th, &group_stop, err);

	if (r)
		return r;
	if (group_stop) {
		t->rec.state = CKPT_TASK_STOPPED;
		t->stop_signal = group_stop;
	}
	return thread_read_stopped(th, err);
}

/* What has come since the survey: the stop signal must be neither handled nor pending. */
static int read_pending(struct dump_task *t, uint64_t *taken, struct error **err)
{
	*taken = 0;
	vec_for_each (th, &t->threads) {
		struct proc_status status;
		int r = proc_status(t->pid, th->tid, &status, err);

		if (r)
			return r;
		th->status.sig_pending = status.sig_pending;
		th->status.shared_pending = status.shared_pending;
		*taken |= status.sig_pending;
		*taken |= status.sig_caught | status.shared_pending; /* the process's */
	}
	return 0;
}

static int start_window(struct dump_task *t, struct error **err)
{
	uint64_t vdso = 0, len = 0, stack = 0;
	uint64_t sp = t->threads.items[0].regs.rsp;
	uint64_t taken;
	int r = read_pending(t, &taken, err);

	if (r)
		return r;
	vec_for_each (v, &t->vmas) {
		if (!v->path)
			continue;
		/* the far end of the stack, a good way off from what the program has there */
		if (!strcmp(v->path, "[stack]") && sp < v->rec.end &&
		    sp > v->rec.start + 2 * REMOTE_SPARE_STACK)
			stack = v->rec.start + REMOTE_SPARE_STACK / 2;
		if (strcmp(v->path, "[vdso]"))
			continue;
		vdso = v->rec.start;
		len = v->rec.end - v->rec.start;
	}
	if (t->syscall_insn)
		return remote_start_protected(&t->remote, t->speaker, t->syscall_insn, 2, taken, 0,
					      err);
	return remote_start_protected(&t->remote, t->speaker, vdso, len, taken, stack, err);
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

static int seize_in(struct checkpoint *c, task_vec *tasks, bool stopped, struct error **err)
{
	bool waits = c->request->ops->freezer_version(c->request->ctx) == 1;

	vec_for_each (t, tasks) {
		if (t->rec.state == CKPT_TASK_ZOMBIE)
			continue;
		vec_for_each (th, &t->threads) {
			int r;

			if (th->seized || (waits && !stopped && is_stopped(t, th)))
				continue;
			r = trace_seize(th->tid, th->status.seccomp ? TRACE_SUSPEND_SECCOMP : 0,
					err);
			if (r)
				return r;
			th->seized = true;
		}
	}
	return 0;
}

static int seize_threads(struct checkpoint *c, bool stopped, struct error **err)
{
	int r = seize_in(c, &c->tasks, stopped, err);

	return r ? r : seize_in(c, &c->outside, stopped, err);
}

/* Nobody asks for those that die meanwhile. */
static int stop_outsiders(struct checkpoint *c, struct error **err)
{
	vec_for_each (t, &c->outside)
		vec_for_each (th, &t->threads) {
			struct error *problem = NULL;
			int r = wait_stop(c, th, NULL, &problem);

			if (!r)
				r = thread_read_regs(th, &problem);
			if (r == -ESRCH) {
				error_free(problem);
				th->seized = false;
			} else if (r) {
				*err = problem;
				return r;
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
	c->stopping = !r;
	/* stopped ones stay stopped after the thaw: whoever could continue them is ours already */
	if (!r)
		r = seize_threads(c, true, err);
	vec_for_each (t, &c->tasks)
		for (size_t i = 0; !r && i < t->threads.count; i++)
			r = stop_thread(c, t, &t->threads.items[i], err);
	if (!r)
		r = stop_outsiders(c, err);
	/* from here on calls are looked after when their threads are let go */
	c->rewinds &= r != 0;
	return r;
}

/* --- who was frozen and is not traced --- */

/*
 * Whether a frozen thread is in a call that the freeze has ended with EINTR. cgroup v1 freezes most
 * calls in place (see docs/decisions.md); the others have got as far as the kernel's refrigerator.
 */
static bool was_interrupted(struct checkpoint *c, pid_t pid, pid_t tid)
{
	__cleanup_free char *call = NULL;
	__cleanup_free char *where = NULL;
	char *end;
	long nr;

	if (proc_read(&call, NULL, "%d/task/%d/syscall", pid, tid))
		return false;
	nr = strtol(call, &end, 10);
	if (end == call || !sleep_may_reissue(nr))
		return false;
	if (c->request->ops->freezer_version(c->request->ctx) != 1)
		return true;
	/* "0" where the kernel does not tell */
	return proc_read(&where, NULL, "%d/task/%d/wchan", pid, tid) || !strcmp(where, "0") ||
	       !strcmp(where, "__refrigerator");
}

/* Who cannot be traced, for a debugger does, is let alone. */
static int seize_interrupted(struct checkpoint *c, pid_t pid, task_vec *tasks)
{
	struct dump_task *t = vec_add(tasks);
	pid_vec tids = {0};
	int r = t ? proc_threads(pid, &tids, NULL) : -ENOMEM;

	if (t)
		*t = (struct dump_task){.pid = pid};
	for (size_t i = 0; !r && i < tids.count; i++) {
		struct dump_thread *th;

		if (!was_interrupted(c, pid, tids.items[i]))
			continue;
		th = vec_add(&t->threads);
		if (!th)
			break;
		*th = (struct dump_thread){.tid = tids.items[i]};
		th->seized = !trace_seize(th->tid, 0, NULL);
	}
	vec_free(&tids);
	return r;
}

int tasks_thaw(struct checkpoint *c, struct error **err)
{
	const struct checkpoint_request *q = c->request;
	task_vec tasks = {0};
	task_vec *const late[] = {&tasks, &c->tasks, &c->outside};
	pid_vec pids = {0};
	int r;

	if (c->rewinds && !q->ops->tasks(q->ctx, &pids, NULL))
		vec_for_each (pid, &pids)
			seize_interrupted(c, *pid, &tasks);
	c->rewinds = false;
	r = q->ops->thaw(q->ctx, err);
	/* the others are of a seizure that was cut short */
	for (size_t i = 0; i < sizeof(late) / sizeof(*late); i++) {
		await_late_stops(late[i]);
		release_threads(late[i]);
	}
	vec_for_each (t, &tasks)
		vec_free(&t->threads);
	vec_free(&tasks);
	vec_free(&pids);
	return r;
}

/* Who would not survive our death in the middle of it is not left in the middle of it. */
static int start_windows(struct checkpoint *c, struct error **err)
{
	int r = 0;

	vec_for_each (t, &c->tasks) {
		if (r || t->rec.state == CKPT_TASK_ZOMBIE)
			continue;
		r = start_window(t, err);
		if (!r && !t->remote.spare_stack)
			r = remote_arrive(&t->remote, err);
	}
	return r ? r : fault_point("checkpoint-windows", err);
}

int tasks_start_windows(struct checkpoint *c, struct error **err)
{
	if (undo_push(&c->undo, "windows", unmap_windows, c))
		return error_errno(err, ENOMEM, "seizing tasks");
	return start_windows(c, err);
}

int tasks_finish_windows(struct checkpoint *c, struct error **err)
{
	remote_vec started = {0};
	int r = 0;

	vec_for_each (t, &c->tasks)
		if (!r)
			r = remotes_add(&started, &t->remote, err);
	if (!r)
		r = remotes_proceed(&started, err);
	vec_free(&started);
	vec_for_each (t, &c->tasks)
		if (!r && t->rec.state != CKPT_TASK_ZOMBIE)
			r = stops_settle(t, err);
	return r ? r : fault_point("checkpoint-windows-end", err);
}

/* --- the end --- */

static unsigned kill_seized(const task_vec *tasks)
{
	unsigned threads = 0;

	vec_for_each (t, tasks) {
		unsigned before = threads;

		vec_for_each (th, &t->threads)
			threads += th->seized;
		if (threads > before)
			kill(t->pid, SIGKILL);
	}
	return threads;
}

static bool note_dead(task_vec *tasks, pid_t tid)
{
	vec_for_each (t, tasks)
		vec_for_each (th, &t->threads)
			if (th->seized && th->tid == tid) {
				th->seized = false;
				return true;
			}
	return false;
}

/*
 * Dead tracees wait for their tracer, in no order that could be known: whichever thread
 * of a pid namespace's init dies last waits for all others in it. Who does not die in time
 * sits in the kernel; whoever kills the rest of the cgroup says so.
 */
static void reap(struct checkpoint *c, unsigned threads)
{
	struct timespec pause = {.tv_nsec = 20000};
	uint64_t waited = 0;

	while (threads && waited < STOP_SECONDS * NSEC_PER_SEC) {
		int status;
		pid_t tid = waitpid(-1, &status, WNOHANG | __WALL);

		if (tid < 0 && errno != EINTR)
			return;
		if (!tid) {
			nanosleep(&pause, NULL);
			waited += pause.tv_nsec;
			if (pause.tv_nsec < 1000000)
				pause.tv_nsec += pause.tv_nsec / 2;
			continue;
		}
		pause.tv_nsec = 20000;
		if (tid > 0 && !WIFSTOPPED(status) &&
		    (note_dead(&c->tasks, tid) || note_dead(&c->outside, tid)))
			threads--;
	}
}

/* Killed while frozen, nobody gets back to user space when that is thawed. */
void tasks_end(struct checkpoint *c)
{
	const struct checkpoint_request *q = c->request;
	unsigned threads = kill_seized(&c->tasks) + kill_seized(&c->outside);
	struct error *err = NULL;

	if (!threads)
		return;
	/* frozen by somebody above, they die when that is over */
	if (q->ops->thaw(q->ctx, &err)) {
		log_warning("thawing what has been killed: %s", error_message(err));
		error_free(err);
		return;
	}
	/*
	 * freeing a large memory is work for two: the task is at it, too. By the pidfd of a thread
	 * that is not the first one it is refused: such a process is slower, no more
	 */
	vec_for_each (t, &c->tasks)
		if (t->pidfd >= 0)
			syscall(SYS_process_mrelease, t->pidfd, 0);
	reap(c, threads);
}
