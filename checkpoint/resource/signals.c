// SPDX-License-Identifier: GPL-2.0-only
/* Signal actions of a process; pending signals of processes and threads. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "checkpoint/kernel/capture.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/resource/stops.h"
#include "checkpoint/resource/thread.h"
#include "checkpoint/user/proc.h"
#include "checkpoint/user/trace.h"
#include "util/error.h"

#define SIGNALS	     64
#define SIGINFO_SIZE 128
#define PENDING_MAX  65536 /* PTRACE_PEEKSIGINFO takes the square of how many there are */
#define PEEK_AT_ONCE 32

static bool is_fixed(int signo)
{
	return signo == SIGKILL || signo == SIGSTOP;
}

/*
 * What is neither handled nor ignored has the default action and no flags that
 * matter, but for SIGCHLD's SA_NOCLDWAIT and SA_NOCLDSTOP.
 */
static bool may_have_action(const struct dump_task *t, int signo)
{
	const struct proc_status *status = &t->threads.items[0].status;

	return !is_fixed(signo) &&
	       (status->sig_caught | status->sig_ignored | 1ull << (SIGCHLD - 1)) &
		       (1ull << (signo - 1));
}

static void signals_ask(struct dump_task *t, struct questions *q)
{
	for (int signo = 1; signo <= SIGNALS; signo++)
		if (may_have_action(t, signo))
			ask_call(q, SYS_rt_sigaction, signo, 0,
				 ask_room(q, sizeof(struct ckpt_sigaction)), 8);
}

static int dump_actions(struct dump_task *t, struct error **err)
{
	const struct remote_call *call = answers_of(t, &resource_signals);
	struct ckpt_sigaction *actions =
		record_add(&t->records, CKPT_SIGACTIONS, NULL, SIGNALS * sizeof(*actions));

	if (!actions)
		return error_errno(err, ENOMEM, "recording signal actions");
	for (int signo = 1; signo <= SIGNALS; signo++) {
		if (!may_have_action(t, signo))
			continue;
		if (call->ret)
			return error_errno(err, -call->ret, "asking process %u for signal %d",
					   t->rec.pid, signo);
		memcpy(&actions[signo - 1], answer_data(&t->answers, call->args[2]),
		       sizeof(*actions));
		call++;
	}
	return 0;
}

static long peek(const struct dump_thread *th, const struct __ptrace_peeksiginfo_args *which,
		 siginfo_t *got, struct error **err)
{
	long n = syscall(SYS_ptrace, PTRACE_PEEKSIGINFO, th->tid, which, got);

	return n < 0 ? error_errno(err, errno, "reading the pending signals of task %d", th->tid)
		     : n;
}

/* The kernel goes through the queue from its beginning for each of them: so this is asked first. */
static int admit_count(const struct dump_thread *th, struct __ptrace_peeksiginfo_args which,
		       struct error **err)
{
	siginfo_t one;
	long n;

	which.off = PENDING_MAX;
	which.nr = 1;
	n = peek(th, &which, &one, err);
	if (n <= 0)
		return n;
	error_set(err, E2BIG, "task %d has more than %d signals pending", th->tid, PENDING_MAX);
	return error_hint(err, "let the program take them first");
}

int signals_dump_pending(struct dump_task *t, struct dump_thread *th, bool shared,
			 struct error **err)
{
	struct __ptrace_peeksiginfo_args which = {
		.flags = shared ? 1 /* PTRACE_PEEKSIGINFO_SHARED */ : 0,
		.nr = PEEK_AT_ONCE,
	};
	siginfo_t got[PEEK_AT_ONCE];
	struct buf queue = {0};
	long n;
	int r;

	_Static_assert(sizeof(siginfo_t) == SIGINFO_SIZE, "the image has the kernel's siginfo");
	do {
		n = peek(th, &which, got, err);
		r = n < 0 ? n : 0;
		if (n > 0 && !buf_add(&queue, got, n * SIGINFO_SIZE))
			r = error_errno(err, ENOMEM, "recording pending signals");
		if (!r && !which.off && n == PEEK_AT_ONCE)
			r = admit_count(th, which, err);
		which.off += n;
	} while (!r && n == PEEK_AT_ONCE);
	if (!r && queue.len && !record_add(&t->records, CKPT_SIGPENDING, queue.data, queue.len))
		r = error_errno(err, ENOMEM, "recording pending signals");
	buf_free(&queue);
	return r;
}

static int signals_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r;

	if (!t)
		return 0;
	r = dump_actions(t, err);
	return r ? r : signals_dump_pending(t, &t->threads.items[0], true, err);
}

int signals_validate_pending(const struct record *rec, struct error **err)
{
	if (rec->len % SIGINFO_SIZE || rec->len / SIGINFO_SIZE > PENDING_MAX)
		return error_set(err, EBADMSG, "pending signals: %zu bytes", rec->len);
	for (size_t i = 0; i < rec->len; i += SIGINFO_SIZE) {
		siginfo_t info;

		memcpy(&info, (const char *)rec->data + i, sizeof(info));
		if (info.si_signo < 1 || info.si_signo > SIGNALS || is_fixed(info.si_signo))
			return error_set(err, EBADMSG, "pending signals: number %d", info.si_signo);
	}
	return 0;
}

static int signals_load(struct restore *r, struct restore_task *t, const struct record *rec,
			struct error **err)
{
	int ret;

	if (!t)
		return error_set(err, EBADMSG, "signals outside of a process");
	if (rec->type == CKPT_SIGACTIONS) {
		if (rec->len != SIGNALS * sizeof(struct ckpt_sigaction))
			return error_set(err, EBADMSG, "signal actions: %zu bytes", rec->len);
		t->sigactions = rec->data;
		return 0;
	}
	ret = signals_validate_pending(rec, err);
	if (ret)
		return ret;
	if (t->threads.count) {
		struct restore_thread *th = &t->threads.items[t->threads.count - 1];

		th->sigpending = rec->data;
		th->sigpending_len = rec->len;
	} else {
		t->sigpending = rec->data;
		t->sigpending_len = rec->len;
	}
	return 0;
}

static uint64_t pending_mask(const void *infos, size_t len)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < len; i += SIGINFO_SIZE) {
		siginfo_t info;

		memcpy(&info, (const char *)infos + i, sizeof(info));
		mask |= 1ull << (info.si_signo - 1);
	}
	return mask;
}

/* The stop signal must stay one that nobody handles, and that nobody is waiting to get. */
static void choose_stop_signal(struct restore_task *t)
{
	uint64_t caught = pending_mask(t->sigpending, t->sigpending_len);

	vec_for_each (th, &t->threads)
		caught |= pending_mask(th->sigpending, th->sigpending_len);

	for (int signo = 1; signo <= SIGNALS; signo++)
		if (t->sigactions[signo - 1].handler > 1) /* neither SIG_DFL nor SIG_IGN */
			caught |= 1ull << (signo - 1);
	t->remote.stop_signal = remote_choose_stop_signal(caught);
}

static int restore_actions(struct restore_task *t, struct error **err)
{
	static const struct remote_note note = {.what = "setting the action of a signal"};
	uint64_t at;
	struct ckpt_sigaction *actions =
		remote_later_data(&t->remote, SIGNALS * sizeof(*actions), &at, err);
	int ret = 0;

	if (!actions)
		return -error_code(*err);
	memcpy(actions, t->sigactions, SIGNALS * sizeof(*actions));
	for (int signo = 1; !ret && signo <= SIGNALS; signo++)
		if (!is_fixed(signo))
			ret = remote_later(&t->remote, 0, &note, err, SYS_rt_sigaction, signo,
					   at + (signo - 1) * sizeof(*actions), 0, 8);
	choose_stop_signal(t);
	return ret;
}

static bool has_pending(pid_t tid)
{
	static const uint32_t queues[] = {0, PTRACE_PEEKSIGINFO_SHARED};
	siginfo_t info;

	for (unsigned i = 0; i < 2; i++) {
		struct __ptrace_peeksiginfo_args args = {.flags = queues[i], .nr = 1};

		/* what cannot be looked at is taken out */
		if (ptrace(PTRACE_PEEKSIGINFO, tid, &args, &info))
			return true;
	}
	return false;
}

/* A stub has heard of the deaths of its zombies, and of stops. */
static int drain(struct restore_task *t, struct restore_thread *th, struct error **err)
{
	struct remote_call *call = remote_calls(&t->remote);
	uint64_t *all = remote_data(&t->remote);
	uint64_t *zero = all + 1;

	for (;;) {
		int r;

		all[0] = ~0ull;
		zero[0] = zero[1] = 0;
		remote_set(call, SYS_rt_sigtimedwait, remote_data_address(&t->remote), 0,
			   remote_data_address(&t->remote) + sizeof(uint64_t), 8);
		r = remote_run(&t->remote, th->tid, 1, err);
		if (r || call->ret <= 0)
			return r;
	}
}

static int signals_restore(struct restore *r, struct restore_task *unused, struct error **err)
{
	int ret = 0;

	vec_for_each (t, &r->tasks) {
		if (t->rec->state == CKPT_TASK_ZOMBIE)
			continue;
		/* a stop signal stops only who does not handle it */
		if (!ret && t->rec->state == CKPT_TASK_STOPPED)
			ret = stops_stop(r, t, err);
		if (!ret)
			ret = restore_actions(t, err);
	}
	vec_for_each (t, &r->tasks)
		if (!ret && t->rec->state != CKPT_TASK_ZOMBIE && has_pending(t->pid))
			ret = drain(t, restore_first(t), err);
	return ret;
}

#define QUEUE_AT_ONCE 64

/* A signal can be given the kernel's own siginfo only by the thread itself. */
int signals_restore_pending(struct restore_task *t, struct restore_thread *th, const void *siginfo,
			    size_t len, bool shared, struct error **err)
{
	struct remote_call *call = remote_calls(&t->remote);
	char *infos = remote_data(&t->remote);
	size_t count = len / SIGINFO_SIZE;
	int r = 0;

	for (size_t done = 0; !r && done < count;) {
		size_t n = count - done < QUEUE_AT_ONCE ? count - done : QUEUE_AT_ONCE;

		memcpy(infos, (const char *)siginfo + done * SIGINFO_SIZE, n * SIGINFO_SIZE);
		for (size_t i = 0; i < n; i++) {
			uint64_t at = remote_data_address(&t->remote) + i * SIGINFO_SIZE;
			int signo = ((const siginfo_t *)(infos + i * SIGINFO_SIZE))->si_signo;

			if (shared)
				remote_set(&call[i], SYS_rt_sigqueueinfo, t->rec->pid, signo, at);
			else
				remote_set(&call[i], SYS_rt_tgsigqueueinfo, t->rec->pid,
					   th->rec->tid, signo, at);
		}
		r = remote_run(&t->remote, th->tid, n, err);
		for (size_t i = 0; !r && i < n; i++)
			if (call[i].ret)
				r = error_errno(err, -call[i].ret, "queueing a signal to thread %u",
						th->rec->tid);
		done += n;
	}
	return r;
}

static const enum ckpt_type signals_types[] = {CKPT_SIGACTIONS, CKPT_SIGPENDING, 0};

static int signals_adopt(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	return t ? kernel_take(t, signals_types, err) : 0;
}

const struct resource_class resource_signals = {
	.name = "signals",
	.version = 1,
	.types = signals_types,
	.dump = signals_dump,
	.ask = signals_ask,
	.kernel = KERNEL_CLASS(SIGNALS),
	.adopt = signals_adopt,
	.load = signals_load,
	.restore = {[STAGE_CROSS] = signals_restore},
	.let_go = stops_let_go,
};
