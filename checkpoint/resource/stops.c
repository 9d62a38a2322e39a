// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/resource/stops.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/user/proc.h"
#include "checkpoint/user/trace.h"
#include "util/error.h"

#define BIT(signo) (1ull << ((signo)-1))

/* --- a checkpoint --- */

/*
 * A process that has not stopped yet stops by a SIGSTOP as soon as it makes a call for us, which
 * it would have done without us, too. One that is stopped can only lose it: a SIGSTOP that is
 * pending in it has no effect but to be seen in /proc, and nothing but SIGCONT, which takes it
 * away, lets the process go on. So it is not sent again to one that goes on after the
 * checkpoint: that could come behind a SIGCONT from outside.
 */
static int make_calls(struct dump_task *t, struct error **err)
{
	int r = 0;

	vec_for_each (th, &t->threads) {
		if (r)
			break;
		remote_set(remote_calls(&t->remote), SYS_gettid);
		r = remote_run(&t->remote, th->tid, 1, err);
	}
	return r ? r : remote_settle(&t->remote, err);
}

static uint64_t pending(const struct dump_task *t)
{
	uint64_t signals = t->threads.items[0].status.shared_pending;

	vec_for_each (th, &t->threads)
		signals |= th->status.sig_pending;
	return signals;
}

int stops_settle(struct dump_task *t, struct error **err)
{
	bool stops = pending(t) & BIT(SIGSTOP);
	struct proc_stat stat;
	int r = 0;

	if (stops && t->rec.state == CKPT_TASK_ALIVE) {
		r = make_calls(t, err);
		t->rec.state = CKPT_TASK_STOPPED;
		t->stop_signal = SIGSTOP;
	} else {
		t->stops_again = stops;
	}
	if (r || t->rec.state != CKPT_TASK_STOPPED)
		return r;
	r = proc_stat(t->speaker, 0, &stat, err);
	if (!r)
		t->rec.exit_code = stat.exit_code;
	return r;
}

static int add_row(struct buf *rows, const struct dump_task *t, uint32_t tid, int signo,
		   bool is_pending, struct error **err)
{
	const struct ckpt_stop row = {
		.pid = t->rec.pid, .tid = tid, .signal = signo, .pending = is_pending};

	return buf_add(rows, &row, sizeof(row)) ? 0
						: error_errno(err, ENOMEM, "recording the tree");
}

static int add_rows(struct buf *rows, const struct dump_task *t, struct error **err)
{
	int r = t->stop_signal ? add_row(rows, t, 0, t->stop_signal, false, err) : 0;

	if (!t->stops_again)
		return r;
	if (!r && t->threads.items[0].status.shared_pending & BIT(SIGSTOP))
		r = add_row(rows, t, 0, SIGSTOP, true, err);
	vec_for_each (th, &t->threads)
		if (!r && th->status.sig_pending & BIT(SIGSTOP))
			r = add_row(rows, t, th->rec.tid, SIGSTOP, true, err);
	return r;
}

int stops_dump(struct checkpoint *c, struct error **err)
{
	__cleanup_buf struct buf rows = {0};
	int r = 0;

	vec_for_each (t, &c->tasks)
		if (!r && t->rec.state == CKPT_TASK_STOPPED)
			r = add_rows(&rows, t, err);
	if (!r && rows.len && !record_add(&c->records, CKPT_STOPS, rows.data, rows.len))
		r = error_errno(err, ENOMEM, "recording the tree");
	return r;
}

/* --- a restore --- */

static bool can_stop(const struct ckpt_stop *row)
{
	return row->signal == SIGSTOP ||
	       (!row->pending &&
		(row->signal == SIGTSTP || row->signal == SIGTTIN || row->signal == SIGTTOU));
}

int stops_load(struct restore *r, const struct record *rec, struct error **err)
{
	const struct ckpt_stop *rows = rec->data;

	if (r->stops || rec->len % sizeof(*rows))
		return error_set(err, EBADMSG, "stops: %zu bytes", rec->len);
	r->stops = rows;
	r->stop_count = rec->len / sizeof(*rows);
	for (const struct ckpt_stop *row = rows; row < rows + r->stop_count; row++) {
		struct restore_task *t = restore_find(r, row->pid);

		if (!t || t->rec->state != CKPT_TASK_STOPPED || row->pending > 1 ||
		    (row->tid && !row->pending) || !can_stop(row))
			return error_set(err, EBADMSG, "process %u has not stopped by signal %u",
					 row->pid, row->signal);
		if (!row->pending)
			t->stop_signal = row->signal;
	}
	return 0;
}

static int go_on(pid_t tid, int signo, int *status, struct error **err)
{
	if (ptrace(PTRACE_CONT, tid, NULL, (unsigned long)signo))
		return error_errno(err, errno, "stopping task %d", tid);
	return trace_wait(tid, status, err);
}

static bool is_event_stop(int status)
{
	return status >> 16 == PTRACE_EVENT_STOP;
}

/*
 * The leader's part: a SIGSTOP that becomes another signal on its way, since nothing blocks
 * or ignores it until then. *stopped is the signal that the process has stopped by; 0: by none,
 * as it is with one of a terminal in a group that nobody looks after.
 */
static int stop_leader(struct restore_task *t, int signo, int *stopped, struct error **err)
{
	int status = 0, ret;

	if (kill(t->pid, SIGSTOP))
		return error_errno(err, errno, "stopping process %u", t->rec->pid);
	do
		ret = go_on(t->pid, 0, &status, err);
	while (!ret && is_event_stop(status));
	if (!ret && status >> 8 != SIGSTOP)
		ret = error_set(err, EPROTO, "task %d did not stop (status %#x)", t->pid, status);
	if (!ret)
		ret = trace_set_sigmask(t->pid, ~BIT(signo), err);
	if (!ret && ptrace(PTRACE_INTERRUPT, t->pid, NULL, NULL))
		ret = error_errno(err, errno, "stopping process %u", t->rec->pid);
	if (!ret)
		ret = go_on(t->pid, signo, &status, err);
	if (!ret && !is_event_stop(status))
		ret = error_set(err, EPROTO, "task %d did not stop (status %#x)", t->pid, status);
	*stopped = !ret && WSTOPSIG(status) != SIGTRAP ? WSTOPSIG(status) : 0;
	return ret ? ret : trace_set_sigmask(t->pid, ~0ull, err);
}

/* Stubs have the runtime's actions, and a terminal's signal may be ignored there. */
static int reset_action(struct restore_task *t, int signo, struct error **err)
{
	memset(remote_data(&t->remote), 0, sizeof(struct ckpt_sigaction));
	return remote_syscall(&t->remote, err, "resetting a signal", NULL, SYS_rt_sigaction, signo,
			      remote_data_address(&t->remote), 0, 8, 0, 0);
}

/* The others follow; they stay in a ptrace stop. */
static int stop_others(struct restore_task *t, int signo, struct error **err)
{
	int status, ret = 0;

	vec_for_each (th, &t->threads) {
		if (ret || th->tid == t->pid)
			continue;
		ret = go_on(th->tid, 0, &status, err);
		if (!ret && status >> 8 != (signo | PTRACE_EVENT_STOP << 8))
			ret = error_set(err, EPROTO, "task %d did not stop (status %#x)", th->tid,
					status);
	}
	return ret;
}

/*
 * A stopped process stops while it is traced: its parent's stub hears of it, not
 * the program, and the kernel stops it again when it is detached (__ptrace_unlink()
 * in kernel/ptrace.c). Its parent waits for it again if it had before.
 */
int stops_stop(struct restore *r, struct restore_task *t, struct error **err)
{
	struct restore_task *parent = restore_find(r, t->rec->ppid);
	int signo = t->stop_signal ? (int)t->stop_signal : SIGSTOP, stopped = 0;
	int ret = signo == SIGSTOP ? 0 : reset_action(t, signo, err);

	if (!ret)
		ret = remote_settle(&t->remote, err);
	if (!ret)
		ret = stop_leader(t, signo, &stopped, err);
	if (!ret && !stopped)
		ret = stop_leader(t, SIGSTOP, &stopped, err);
	if (!ret)
		ret = stop_others(t, stopped, err);
	if (ret || t->rec->exit_code || !parent || parent == t)
		return ret;
	return remote_syscall(&parent->remote, err, "waiting for a stopped child", NULL, SYS_wait4,
			      t->rec->pid, 0, WUNTRACED | WNOHANG | __WALL, 0, 0, 0);
}

static pid_t find_thread(const struct restore_task *t, uint32_t tid)
{
	vec_for_each (th, &t->threads)
		if (th->rec->tid == tid)
			return th->tid;
	return 0;
}

int stops_let_go(struct restore *r, struct error **err)
{
	for (size_t i = 0; i < r->stop_count; i++) {
		const struct ckpt_stop *row = &r->stops[i];
		const struct restore_task *t = restore_find(r, row->pid);
		pid_t tid = row->tid ? find_thread(t, row->tid) : t->pid;

		if (!row->pending)
			continue;
		if (!tid)
			return error_set(err, EBADMSG, "process %u has no thread %u", row->pid,
					 row->tid);
		if (row->tid ? syscall(SYS_tgkill, t->pid, tid, SIGSTOP) : kill(tid, SIGSTOP))
			return error_errno(err, errno, "sending SIGSTOP to task %d", tid);
	}
	return 0;
}
