/* SPDX-License-Identifier: GPL-2.0-only */
/* ptrace as the user provider needs it: seized tasks, never SIGSTOP. See ptrace(2). */
#ifndef FIRN_CHECKPOINT_TRACE_H
#define FIRN_CHECKPOINT_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct error;

/* Remote calls are not judged by the task's filters (needs CAP_SYS_ADMIN and no filter of ours). */
#define TRACE_SUSPEND_SECCOMP 1
/* The task dies with us. */
#define TRACE_EXITKILL 2

/*
 * Seizes a thread and asks it to stop. Does not wait: a thread frozen by
 * cgroup v1 stops only when thawed. What it clones is traced in the same way.
 */
int trace_seize(pid_t tid, unsigned flags, struct error **err);

/*
 * Waits for the stop asked for. A signal that is about to be delivered is put
 * back into the queue first. *group_stop (may be NULL) is the signal that a
 * job-control stop is in effect for, else 0. -ESRCH: it died.
 */
int trace_wait_stop(pid_t tid, int *group_stop, struct error **err);

/* As trace_wait_stop() for a task that may never stop: 0 if it has not yet, 1 if it has. */
int trace_try_stop(pid_t tid, int *group_stop, struct error **err);

/* waitpid for one change of the thread's state; *status as wait(2). -ESRCH: it died. */
int trace_wait(pid_t tid, int *status, struct error **err);

/*
 * What a task that stopped with this status in the middle of a call is to be continued with.
 * No mask holds a SIGSTOP back: it is let through, and its process stops when it is let go.
 */
int trace_pass_on(int status);

int trace_detach(pid_t tid, struct error **err);

/*
 * For a stub (TRACE_EXITKILL, TRACE_SUSPEND_SECCOMP) that is to exit untraced: it stops once more
 * on its way, where no seccomp filter nor stop of its process can hold it up, and is let go there.
 */
int trace_stop_at_exit(pid_t tid, struct error **err);
int trace_leave_at_exit(pid_t tid, struct error **err);

int trace_get_regs(pid_t tid, struct user_regs_struct *regs, struct error **err);
int trace_set_regs(pid_t tid, const struct user_regs_struct *regs, struct error **err);

/* In an XSAVE area: which components are in use, and the number of AMX's tiles among them. */
#define XSTATE_BV_OFFSET 512
#define XSTATE_TILES	 18

/* NT_X86_XSTATE, malloc'ed. */
int trace_get_xstate(pid_t tid, void **xstate, size_t *len, struct error **err);
int trace_set_xstate(pid_t tid, const void *xstate, size_t len, struct error **err);

int trace_get_sigmask(pid_t tid, uint64_t *mask, struct error **err);
int trace_set_sigmask(pid_t tid, uint64_t mask, struct error **err);

/*
 * Dispatch of system calls to the program itself, as for PR_SET_SYSCALL_USER_DISPATCH; mode 0: off,
 * or a kernel that does not tell (before 6.4).
 */
struct syscall_dispatch {
	uint64_t mode, selector, offset, len; /* struct ptrace_sud_config */
};
int trace_get_dispatch(pid_t tid, struct syscall_dispatch *dispatch, struct error **err);
int trace_set_dispatch(pid_t tid, const struct syscall_dispatch *dispatch, struct error **err);

/* Where a call is made that the task must survive if we die in the middle of it. */
struct trace_spot {
	uint64_t insn;	/* a syscall instruction */
	uint64_t stack; /* what rsp is meanwhile; 0: it stays */
};

/*
 * One system call that gives the task other registers, which it keeps: restart(2). It is
 * left in an event stop, before a call that those registers are in goes on.
 */
int trace_become(pid_t tid, uint64_t insn, struct error **err, long nr, unsigned long a0,
		 unsigned long a1, unsigned long a2);

/*
 * One system call in steps, so that of many tasks each can be on its way while others are
 * looked after: start, then proceed as long as it returns 1; 0: done, as trace_syscall() is, and
 * ret is the kernel's result. proceed waits for the task's next stop.
 */
struct trace_call {
	pid_t tid;
	enum { TRACE_CALL_ENTRY, TRACE_CALL_EXIT, TRACE_CALL_LEAVING } step; /* where it goes to */
	struct user_regs_struct saved;
	uint64_t mask;
	long ret;
};
int trace_call_start(struct trace_call *c, pid_t tid, const struct trace_spot *spot,
		     struct error **err, long nr, unsigned long a0, unsigned long a1,
		     unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5);
int trace_call_proceed(struct trace_call *c, struct error **err);

/*
 * One system call by two system-call stops. Leaves the task in an event stop, with
 * the registers of before put back. *ret is the kernel's result.
 */
int trace_syscall(pid_t tid, const struct trace_spot *spot, long *ret, struct error **err, long nr,
		  unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3,
		  unsigned long a4, unsigned long a5);

#endif
