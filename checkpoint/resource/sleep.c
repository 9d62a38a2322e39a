// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupted system calls. On the way to its ptrace stop a sleeping task leaves
 * its call with one of the kernel's private errors (include/linux/errno.h):
 *
 *   -512 -513 -514  it is issued again when the task goes on; nothing to do
 *   -516            restart_syscall() goes on with a restart block that holds the
 *                   time; of nanosleep, clock_nanosleep, poll and futex. What has
 *                   an absolute time or none is issued again instead
 *   -EINTR          the program would see it: for no signal's sake if none is
 *                   deliverable, and then the call is issued again
 *
 * The restart block is readable nowhere: see sleep_find.c for the time left.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "checkpoint/resource/thread.h"
#include "checkpoint/user/proc.h"
#include "checkpoint/user/trace.h"
#include "util/clock.h"
#include "util/error.h"

#define ERESTARTNOHAND	      514
#define ERESTART_RESTARTBLOCK 516
#define SYSCALL_STOP	      (SIGTRAP | 0x80)

/* Calls that may be issued again after EINTR: they did nothing yet. */
static const int reissued[] = {
	SYS_epoll_wait,	     SYS_epoll_pwait, SYS_epoll_pwait2, SYS_semop,    SYS_semtimedop,
	SYS_rt_sigtimedwait, SYS_read,	      SYS_readv,	SYS_recvfrom, SYS_recvmsg,
	SYS_recvmmsg,	     SYS_accept,      SYS_accept4,	SYS_write,    SYS_writev,
	SYS_sendto,	     SYS_sendmsg,     SYS_sendmmsg,	SYS_connect,  SYS_io_getevents,
};

static bool is_sleep(long nr)
{
	return nr == SYS_nanosleep || nr == SYS_clock_nanosleep || nr == SYS_poll ||
	       nr == SYS_futex;
}

bool sleep_may_reissue(long nr)
{
	for (size_t i = 0; i < sizeof(reissued) / sizeof(*reissued); i++)
		if (reissued[i] == nr)
			return true;
	return false;
}

/* Its timeout is absolute and stays true; that of FUTEX_WAIT is relative. */
static bool is_bitset_wait(long op)
{
	return (op & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
}

/*
 * After an earlier stop the call's number has become restart_syscall; its
 * arguments are still there. The instruction that loaded the number usually is
 * right in front of the call; else the arguments tell.
 */
static long original_call(const struct dump_thread *th)
{
	const struct user_regs_struct *regs = &th->stopped;
	uint8_t code[32];
	struct iovec ours = {code, sizeof(code)};
	struct iovec theirs = {(void *)(regs->rip - sizeof(code)), sizeof(code)};

	if ((long)regs->orig_rax != SYS_restart_syscall)
		return regs->orig_rax;
	if (process_vm_readv(th->tid, &ours, 1, &theirs, 1, 0) == sizeof(code))
		for (int i = sizeof(code) - 2 - 5; i >= 0; i--) {
			int32_t nr;

			memcpy(&nr, code + i + 1, sizeof(nr));
			if (code[i] == 0xb8 &&
			    (is_sleep(nr) || sleep_may_reissue(nr))) /* mov $nr, %eax */
				return nr;
		}
	if (((regs->rsi & FUTEX_CMD_MASK) == FUTEX_WAIT || is_bitset_wait(regs->rsi)) &&
	    regs->rdi > 4096 && regs->r10 > 4096)
		return SYS_futex;
	if (regs->rdi < 16 && regs->rdx > 4096)
		return SYS_clock_nanosleep;
	if (regs->rdi > 4096 && (regs->rsi == 0 || regs->rsi > 4096))
		return SYS_nanosleep;
	return SYS_poll;
}

/* Back to the system-call instruction. */
static void reissue(struct dump_thread *th, long nr)
{
	th->regs.rip -= 2;
	th->regs.rax = nr;
	th->regs.orig_rax = -1;
}

/*
 * A signal without a handler does not end a call with EINTR: it ends the process, or stops it, or
 * is ignored, and then it is in the queue only because the thread is traced.
 */
int sleep_rewind(pid_t pid, struct dump_thread *th, struct error **err)
{
	long nr = th->regs.orig_rax;
	struct proc_status status;
	int r;

	if ((long)th->regs.rax != -EINTR || !sleep_may_reissue(nr) || th->regs.cs == USER32_CS)
		return 0;
	r = proc_status(pid, th->tid, &status, err);
	if (r)
		return r;
	if (!((status.sig_pending | status.shared_pending) & status.sig_caught & ~th->stopped_mask))
		reissue(th, nr);
	return 0;
}

/* timer_list has each timer on its own clock's base. */
static int64_t ahead_of_monotonic(clockid_t clock)
{
	struct timespec theirs, monotonic;

	if (clock != CLOCK_BOOTTIME && clock != CLOCK_TAI)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	clock_gettime(clock, &theirs);
	return (theirs.tv_sec - monotonic.tv_sec) * NSEC_PER_SEC + theirs.tv_nsec -
	       monotonic.tv_nsec;
}

static void note_sleep(struct dump_thread *th, long nr, uint64_t left)
{
	th->rec.sleep = CKPT_SLEEP_RESTART;
	th->rec.sleep_nr = nr;
	th->rec.sleep_clock = nr == SYS_clock_nanosleep ? th->stopped.rdi : CLOCK_MONOTONIC;
	th->rec.sleep_left = left;
}

static bool has_timed_out(long nr, long ret)
{
	return nr == SYS_futex ? ret == -ETIMEDOUT : ret == 0;
}

/*
 * The call has ended while we looked: its result is in the registers, and for a thread that is let
 * go that is true. But a restored one is back at the beginning of the checkpoint, when it still
 * slept, and by its own clock would have slept too short. When it ended nobody knows; late is
 * allowed.
 */
static void note_ended(const struct checkpoint *c, struct dump_thread *th, long nr)
{
	if (has_timed_out(nr, th->regs.rax))
		note_sleep(th, nr, clock_ns(CLOCK_MONOTONIC) - c->begin_host_monotonic);
}

static int dump_restart_block(struct checkpoint *c, struct dump_thread *th, struct error **err)
{
	long nr = original_call(th);
	int64_t expiry;
	int r, e;

	/* the patched kernel goes on with these after a freeze, and does not say when they end */
	if (sleep_may_reissue(nr)) {
		reissue(th, nr);
		return 0;
	}
	if (!is_sleep(nr))
		return error_set(err, EOPNOTSUPP,
				 "task %d sleeps in system call %ld, which is not known",
				 th->rec.tid, nr);
	if ((nr == SYS_futex && is_bitset_wait(th->stopped.rsi)) ||
	    (nr == SYS_poll && (int)th->stopped.rdx < 0)) {
		/* a handler's signal ends both with EINTR, as it would have */
		th->regs.rax = -ERESTARTNOHAND;
		th->regs.orig_rax = nr;
		return 0;
	}
	r = trace_set_sigmask(th->tid, ~0ull, err);
	if (r)
		return r;
	r = sleep_find_expiry(th, &expiry, err);
	/* at once: should we be killed later, nobody else does it */
	e = trace_set_sigmask(th->tid, th->stopped_mask, err);
	if (r || e)
		return r ? r : e;
	/* what it has written just now may have missed the image: once more, it is ready at once */
	if (nr == SYS_poll && (long)th->regs.rax > 0)
		reissue(th, nr);
	if ((long)th->regs.rax != -ERESTART_RESTARTBLOCK) {
		note_ended(c, th, nr);
		return 0;
	}
	note_sleep(th, nr, 0);
	expiry -= ahead_of_monotonic(th->rec.sleep_clock);
	if (expiry > (int64_t)c->begin_host_monotonic)
		th->rec.sleep_left = expiry - c->begin_host_monotonic;
	th->regs.orig_rax = nr;
	return 0;
}

int sleep_dump(struct checkpoint *c, struct dump_task *t, struct dump_thread *th,
	       struct error **err)
{
	int r;

	if ((long)th->stopped.orig_rax < 0)
		return 0;
	if ((long)th->stopped.rax != -ERESTART_RESTARTBLOCK)
		return sleep_rewind(t->pid, th, err);
	r = remote_settle(&t->remote, err);
	return r ? r : dump_restart_block(c, th, err);
}

void sleep_save_regs(struct dump_thread *th)
{
	struct user_regs_struct regs = th->regs;

	if (th->rec.sleep == CKPT_SLEEP_RESTART) {
		regs.rax = -ERESTART_RESTARTBLOCK;
		regs.orig_rax = th->rec.sleep_nr;
	}
	memcpy(th->rec.regs, &regs, sizeof(regs));
}

int sleep_validate(const struct ckpt_thread *rec, struct error **err)
{
	if (rec->sleep == CKPT_SLEEP_NONE)
		return 0;
	if (rec->sleep != CKPT_SLEEP_RESTART ||
	    !(is_sleep(rec->sleep_nr) || sleep_may_reissue(rec->sleep_nr)) ||
	    rec->sleep_left > INT64_MAX)
		return error_set(err, EBADMSG, "thread %u: a sleep that is not known", rec->tid);
	return 0;
}

/*
 * The patched kernel knows what is left of more calls than can be issued with another
 * time: of these only it makes use of that, and here they wait from the beginning.
 * Else: issues the call with the time that was left and interrupts it at its entry:
 * it returns -516 at once, and the kernel holds a true restart block. It may
 * also end before: nothing was left, or what it waits for is there.
 */
int sleep_restore(struct restore_task *t, struct restore_thread *th, struct error **err)
{
	struct user_regs_struct regs;
	struct timespec *left = remote_data(&t->remote);
	uint64_t left_address = remote_data_address(&t->remote);
	int status, r;

	if (th->rec->sleep != CKPT_SLEEP_RESTART)
		return 0;
	th->sleep_again = sleep_may_reissue(th->rec->sleep_nr);
	if (th->sleep_again)
		return 0;
	r = remote_settle(&t->remote, err);
	if (r)
		return r;
	memcpy(&regs, th->rec->regs, sizeof(regs));
	left->tv_sec = th->rec->sleep_left / NSEC_PER_SEC;
	left->tv_nsec = th->rec->sleep_left % NSEC_PER_SEC;
	regs.rip = t->remote.syscall_insn;
	regs.rax = th->rec->sleep_nr;
	regs.orig_rax = -1;
	regs.rsp = left_address + 4096;
	switch (th->rec->sleep_nr) {
	case SYS_nanosleep:
		regs.rdi = left_address;
		break;
	case SYS_clock_nanosleep:
		regs.rsi = 0;
		regs.rdx = left_address;
		break;
	case SYS_futex:
		regs.r10 = left_address;
		break;
	default: /* poll takes milliseconds: round up, as the kernel never wakes early */
		regs.rdx = (th->rec->sleep_left + 999999) / 1000000;
	}
	r = trace_set_regs(th->tid, &regs, err);
	if (r)
		return r;
	if (ptrace(PTRACE_SYSCALL, th->tid, NULL, NULL))
		return error_errno(err, errno, "putting thread %u to sleep", th->rec->tid);
	r = trace_wait(th->tid, &status, err);
	if (r)
		return r;
	if (WSTOPSIG(status) != SYSCALL_STOP)
		return error_set(err, EPROTO, "thread %u: stopped with status %#x", th->rec->tid,
				 status);
	if (ptrace(PTRACE_INTERRUPT, th->tid, NULL, NULL) ||
	    ptrace(PTRACE_CONT, th->tid, NULL, NULL))
		return error_errno(err, errno, "putting thread %u to sleep", th->rec->tid);
	r = trace_wait_stop(th->tid, NULL, err);
	if (!r)
		r = trace_get_regs(th->tid, &regs, err);
	th->sleep_result = regs.rax;
	th->sleep_over = th->sleep_result != -ERESTART_RESTARTBLOCK;
	return r;
}
