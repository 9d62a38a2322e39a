// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/user/trace.h"

#include <elf.h>
#include <errno.h>
#include <linux/prctl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "util/cleanup.h"
#include "util/error.h"

#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif
#ifndef PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG
#define PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG 0x4210 /* Linux 6.4 */
#define PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211
#endif
#ifndef PR_SYS_DISPATCH_INCLUSIVE_ON
#define PR_SYS_DISPATCH_INCLUSIVE_ON 2 /* Linux 6.17 */
#endif
#define SYSCALL_STOP (SIGTRAP | 0x80)

/* XSAVE areas with AMX tiles have 11 KiB; the kernel refuses a buffer that is too small. */
#define XSTATE_MAX (64 * 1024)

#define OPTIONS                                                                                    \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK)

int trace_seize(pid_t tid, unsigned flags, struct error **err)
{
	unsigned long options = OPTIONS;

	if (flags & TRACE_SUSPEND_SECCOMP)
		options |= PTRACE_O_SUSPEND_SECCOMP;
	if (flags & TRACE_EXITKILL)
		options |= PTRACE_O_EXITKILL;
	if (ptrace(PTRACE_SEIZE, tid, NULL, options))
		return error_errno(err, errno, "seizing task %d", tid);
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL))
		return error_errno(err, errno, "interrupting task %d", tid);
	return 0;
}

int trace_wait(pid_t tid, int *status, struct error **err)
{
	pid_t r;

	do
		r = waitpid(tid, status, __WALL);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return error_errno(err, errno, "waiting for task %d", tid);
	if (!WIFSTOPPED(*status))
		return error_set(err, ESRCH, "task %d died", tid);
	return 0;
}

static bool is_event_stop(int status)
{
	return status >> 16 == PTRACE_EVENT_STOP;
}

/*
 * A signal on its way was dequeued before our stop: blocked and injected again
 * it goes back into the queue with its siginfo (ptrace_signal() in
 * kernel/signal.c), and the stop asked for comes next. SIGSTOP, which cannot be
 * blocked, takes its effect: the stop is then one of job control.
 */
static int requeue_signal(pid_t tid, int signo, int *group_stop, struct error **err)
{
	uint64_t mask;
	int r = trace_get_sigmask(tid, &mask, err);

	if (!r)
		r = trace_set_sigmask(tid, ~0ull, err);
	if (r)
		return r;
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) ||
	    ptrace(PTRACE_CONT, tid, NULL, (unsigned long)signo))
		return error_errno(err, errno, "putting signal %d of task %d back", signo, tid);
	r = trace_wait_stop(tid, group_stop, err);
	return r ? r : trace_set_sigmask(tid, mask, err);
}

/* From the stop that status tells of to the one asked for. */
static int reach_stop(pid_t tid, int status, int *group_stop, struct error **err)
{
	if (is_event_stop(status)) {
		if (group_stop)
			*group_stop = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
		return 0;
	}
	/* any other stop takes back the request for this one (ptrace_stop() in kernel/signal.c) */
	if (WSTOPSIG(status) == SYSCALL_STOP || status >> 16) {
		if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) ||
		    ptrace(PTRACE_CONT, tid, NULL, NULL))
			return error_errno(err, errno, "continuing task %d", tid);
		return trace_wait_stop(tid, group_stop, err);
	}
	return requeue_signal(tid, WSTOPSIG(status), group_stop, err);
}

int trace_wait_stop(pid_t tid, int *group_stop, struct error **err)
{
	int status;
	int r = trace_wait(tid, &status, err);

	return r ? r : reach_stop(tid, status, group_stop, err);
}

int trace_try_stop(pid_t tid, int *group_stop, struct error **err)
{
	int status, r;
	pid_t changed = waitpid(tid, &status, __WALL | WNOHANG);

	if (changed < 0)
		return error_errno(err, errno, "waiting for task %d", tid);
	if (!changed)
		return 0;
	if (!WIFSTOPPED(status))
		return error_set(err, ESRCH, "task %d died", tid);
	r = reach_stop(tid, status, group_stop, err);
	return r ? r : 1;
}

int trace_detach(pid_t tid, struct error **err)
{
	if (ptrace(PTRACE_DETACH, tid, NULL, NULL))
		return error_errno(err, errno, "detaching from task %d", tid);
	return 0;
}

int trace_stop_at_exit(pid_t tid, struct error **err)
{
	unsigned long options =
		OPTIONS | PTRACE_O_TRACEEXIT | PTRACE_O_SUSPEND_SECCOMP | PTRACE_O_EXITKILL;

	if (ptrace(PTRACE_SETOPTIONS, tid, NULL, options))
		return error_errno(err, errno, "preparing the exit of task %d", tid);
	return 0;
}

int trace_leave_at_exit(pid_t tid, struct error **err)
{
	int status;
	int r = trace_wait(tid, &status, err);

	while (!r && (is_event_stop(status) || trace_pass_on(status))) {
		if (ptrace(PTRACE_CONT, tid, NULL, (unsigned long)trace_pass_on(status)))
			return error_errno(err, errno, "letting task %d exit", tid);
		r = trace_wait(tid, &status, err);
	}
	if (!r && status >> 8 != (SIGTRAP | PTRACE_EVENT_EXIT << 8))
		r = error_set(err, EPROTO, "task %d stopped with status %#x in place of its exit",
			      tid, status);
	return r ? r : trace_detach(tid, err);
}

int trace_get_regs(pid_t tid, struct user_regs_struct *regs, struct error **err)
{
	struct iovec iov = {regs, sizeof(*regs)};

	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &iov))
		return error_errno(err, errno, "reading the registers of task %d", tid);
	return 0;
}

int trace_set_regs(pid_t tid, const struct user_regs_struct *regs, struct error **err)
{
	struct iovec iov = {(void *)regs, sizeof(*regs)};

	if (ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &iov))
		return error_errno(err, errno, "setting the registers of task %d", tid);
	return 0;
}

int trace_get_xstate(pid_t tid, void **xstate, size_t *len, struct error **err)
{
	__cleanup_free void *area = malloc(XSTATE_MAX);
	struct iovec iov = {area, XSTATE_MAX};
	void *shrunk;

	if (!area)
		return error_errno(err, ENOMEM, "reading the FPU of task %d", tid);
	if (ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &iov))
		return error_errno(err, errno, "reading the FPU of task %d", tid);
	*len = iov.iov_len;
	shrunk = realloc(area, iov.iov_len);
	*xstate = shrunk ? shrunk : area;
	area = NULL;
	return 0;
}

int trace_set_xstate(pid_t tid, const void *xstate, size_t len, struct error **err)
{
	struct iovec iov = {(void *)xstate, len};

	if (ptrace(PTRACE_SETREGSET, tid, NT_X86_XSTATE, &iov))
		return error_errno(err, errno, "setting the FPU of task %d", tid);
	return 0;
}

int trace_get_sigmask(pid_t tid, uint64_t *mask, struct error **err)
{
	if (ptrace(PTRACE_GETSIGMASK, tid, sizeof(*mask), mask))
		return error_errno(err, errno, "reading the signal mask of task %d", tid);
	return 0;
}

int trace_set_sigmask(pid_t tid, uint64_t mask, struct error **err)
{
	if (ptrace(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask))
		return error_errno(err, errno, "setting the signal mask of task %d", tid);
	return 0;
}

/*
 * A kernel that knows PR_SYS_DISPATCH_INCLUSIVE_ON keeps such a range as the one outside of it, and
 * tells that, but does not take it (task_set_syscall_user_dispatch() of Linux 6.17).
 */
static void turn_range_inside_out(struct syscall_dispatch *d)
{
	if (d->mode != PR_SYS_DISPATCH_ON || !d->offset || d->offset + d->len > d->offset)
		return;
	d->mode = PR_SYS_DISPATCH_INCLUSIVE_ON;
	d->offset += d->len;
	d->len = -d->len;
}

int trace_get_dispatch(pid_t tid, struct syscall_dispatch *dispatch, struct error **err)
{
	*dispatch = (struct syscall_dispatch){0};
	if (ptrace(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, tid, sizeof(*dispatch), dispatch)) {
		*dispatch = (struct syscall_dispatch){0};
		return errno == EIO || errno == EINVAL
			       ? 0
			       : error_errno(err, errno,
					     "reading the system-call dispatch of task %d", tid);
	}
	turn_range_inside_out(dispatch);
	return 0;
}

int trace_set_dispatch(pid_t tid, const struct syscall_dispatch *dispatch, struct error **err)
{
	if (ptrace(PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG, tid, sizeof(*dispatch), dispatch))
		return error_errno(err, errno, "setting the system-call dispatch of task %d", tid);
	return 0;
}

int trace_pass_on(int status)
{
	return status >> 8 == SIGSTOP ? SIGSTOP : 0;
}

static int run_to_syscall(pid_t tid, int signo, struct error **err)
{
	if (ptrace(PTRACE_SYSCALL, tid, NULL, (unsigned long)signo))
		return error_errno(err, errno, "running task %d to a system call", tid);
	return 0;
}

/*
 * Waits for the system-call stop that a task runs to. One in a job-control stop has two event
 * stops for one PTRACE_INTERRUPT: seizing it was the other one.
 */
static int wait_syscall_stop(pid_t tid, struct error **err)
{
	int status;
	int r = trace_wait(tid, &status, err);

	while (!r && (is_event_stop(status) || trace_pass_on(status))) {
		r = run_to_syscall(tid, trace_pass_on(status), err);
		if (!r)
			r = trace_wait(tid, &status, err);
	}
	if (!r && WSTOPSIG(status) != SYSCALL_STOP)
		return error_set(err, EPROTO, "task %d stopped with status %#x in a remote call",
				 tid, status);
	return r;
}

/* A signal must not come before the call. */
static int enter_syscall(pid_t tid, const struct user_regs_struct *regs, struct error **err)
{
	int r = trace_set_regs(tid, regs, err);

	if (!r)
		r = trace_set_sigmask(tid, ~0ull, err);
	return r ? r : run_to_syscall(tid, 0, err);
}

/* A detach from a system-call stop would skip the kernel's restart logic. */
static int ask_to_leave(pid_t tid, struct error **err)
{
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) || ptrace(PTRACE_CONT, tid, NULL, NULL))
		return error_errno(err, errno, "stopping task %d", tid);
	return 0;
}

int trace_call_start(struct trace_call *c, pid_t tid, const struct trace_spot *spot,
		     struct error **err, long nr, unsigned long a0, unsigned long a1,
		     unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5)
{
	struct user_regs_struct regs;
	int r;

	*c = (struct trace_call){.tid = tid, .step = TRACE_CALL_ENTRY};
	r = trace_get_regs(tid, &c->saved, err);
	if (!r)
		r = trace_get_sigmask(tid, &c->mask, err);
	if (r)
		return r;
	regs = c->saved;
	regs.rip = spot->insn;
	if (spot->stack)
		regs.rsp = spot->stack;
	regs.rax = nr;
	regs.orig_rax = -1;
	regs.rdi = a0;
	regs.rsi = a1;
	regs.rdx = a2;
	regs.r10 = a3;
	regs.r8 = a4;
	regs.r9 = a5;
	regs.eflags &= ~0x500ul; /* trap and direction flags */
	return enter_syscall(tid, &regs, err);
}

/*
 * The signal mask is another one only while the registers are: should we die
 * then, the code behind the instruction can put both back, from the stack.
 */
static int put_back(const struct trace_call *c, struct error **err)
{
	int r = trace_set_sigmask(c->tid, c->mask, err);

	return r ? r : trace_set_regs(c->tid, &c->saved, err);
}

static int take_result(struct trace_call *c, struct error **err)
{
	struct user_regs_struct after;
	int r = trace_get_regs(c->tid, &after, err);

	if (r)
		return r;
	c->ret = after.rax;
	return ask_to_leave(c->tid, err);
}

int trace_call_proceed(struct trace_call *c, struct error **err)
{
	int r = c->step == TRACE_CALL_LEAVING ? trace_wait_stop(c->tid, NULL, err)
					      : wait_syscall_stop(c->tid, err);

	if (!r && c->step == TRACE_CALL_LEAVING)
		return put_back(c, err);
	if (!r)
		r = c->step == TRACE_CALL_ENTRY ? run_to_syscall(c->tid, 0, err)
						: take_result(c, err);
	if (!r) {
		c->step++;
		return 1;
	}
	put_back(c, NULL);
	return r;
}

int trace_syscall(pid_t tid, const struct trace_spot *spot, long *ret, struct error **err, long nr,
		  unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3,
		  unsigned long a4, unsigned long a5)
{
	struct trace_call call;
	int r = trace_call_start(&call, tid, spot, err, nr, a0, a1, a2, a3, a4, a5);

	if (r)
		return r;
	do
		r = trace_call_proceed(&call, err);
	while (r > 0);
	*ret = call.ret;
	return r;
}

int trace_become(pid_t tid, uint64_t insn, struct error **err, long nr, unsigned long a0,
		 unsigned long a1, unsigned long a2)
{
	struct user_regs_struct regs;
	long ret;
	int r = trace_get_regs(tid, &regs, err);

	if (r)
		return r;
	regs.rip = insn;
	regs.rax = nr;
	regs.orig_rax = -1;
	regs.rdi = a0;
	regs.rsi = a1;
	regs.rdx = a2;
	regs.eflags &= ~0x500ul; /* trap and direction flags */
	r = enter_syscall(tid, &regs, err);
	if (!r)
		r = wait_syscall_stop(tid, err);
	if (!r)
		r = run_to_syscall(tid, 0, err);
	if (!r)
		r = wait_syscall_stop(tid, err);
	if (!r)
		r = trace_get_regs(tid, &regs, err);
	if (r)
		return r;
	ret = regs.rax;
	/* still where it was: the call was refused, and has changed nothing */
	if (regs.rip == insn + 2)
		return error_errno(err, ret < 0 ? -ret : EPROTO, "restart(2) in task %d", tid);
	r = ask_to_leave(tid, err);
	return r ? r : trace_wait_stop(tid, NULL, err);
}
