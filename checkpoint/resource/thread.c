// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads: registers, FPU, TLS, rseq, robust list, tid address, alternate
 * stack, name, scheduling; with their pending signals, credentials and filters.
 */
#include <errno.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "checkpoint/kernel/restart.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/resource/sysvipc.h"
#include "checkpoint/resource/thread.h"
#include "checkpoint/user/trace.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

_Static_assert(sizeof(((struct ckpt_thread *)0)->regs) == sizeof(struct user_regs_struct),
	       "the image has the kernel's registers");

/* --- dump --- */

struct rseq_config {
	uint64_t pointer;
	uint32_t size, signature, flags, pad;
};

/* struct rseq_cs of include/uapi/linux/rseq.h */
struct rseq_sequence {
	uint32_t version, flags;
	uint64_t start, post_commit_offset, abort;
};

static bool read_memory(pid_t tid, uint64_t address, void *data, size_t len)
{
	struct iovec ours = {data, len}, theirs = {(void *)address, len};

	return process_vm_readv(tid, &ours, 1, &theirs, 1, 0) == (ssize_t)len;
}

/* A thread inside a restartable sequence goes on at its abort handler, as after a preemption. */
static int read_rseq(struct dump_thread *th, struct error **err)
{
	struct rseq_config config = {0};
	struct rseq_sequence cs;
	uint64_t pointer;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, th->tid, sizeof(config), &config) < 0)
		return errno == EIO || errno == EINVAL
			       ? 0
			       : error_errno(err, errno, "reading rseq of task %d", th->tid);
	th->rec.rseq = config.pointer;
	th->rec.rseq_len = config.size;
	th->rec.rseq_sig = config.signature;
	if (!config.pointer || !read_memory(th->tid, config.pointer + 8, &pointer, 8) || !pointer ||
	    !read_memory(th->tid, pointer, &cs, sizeof(cs)))
		return 0;
	if (th->regs.rip - cs.start < cs.post_commit_offset)
		th->regs.rip = cs.abort;
	return 0;
}

/* Else the calls that it makes for us would be its program's to handle. */
static int suspend_dispatch(struct dump_thread *th, struct error **err)
{
	const struct syscall_dispatch off = {0};
	int r = trace_get_dispatch(th->tid, &th->dispatch, err);

	return r || !th->dispatch.mode ? r : trace_set_dispatch(th->tid, &off, err);
}

int thread_read_regs(struct dump_thread *th, struct error **err)
{
	int r = trace_get_regs(th->tid, &th->stopped, err);

	if (!r)
		r = trace_get_sigmask(th->tid, &th->stopped_mask, err);
	if (r)
		return r;
	th->regs = th->stopped;
	th->stopped_once = true;
	return 0;
}

int thread_read_stopped(struct dump_thread *th, struct error **err)
{
	int r = thread_read_regs(th, err);

	if (r)
		return r;
	th->rec.sigmask = th->stopped_mask;
	/* the numbers of remote calls would be other calls there */
	if (th->stopped.cs == USER32_CS)
		return error_set(err, EOPNOTSUPP, "task %d runs a 32-bit program", th->tid);
	r = read_rseq(th, err);
	return r ? r : suspend_dispatch(th, err);
}

/* What a thread is asked: credentials first, then these. */
enum {
	ASK_TID = CREDS_CALLS,
	ASK_STACK,
	ASK_PDEATHSIG,
	ASK_SLACK,
	ASK_PERSONALITY,
	ASK_POLICY,
	ASK_KEYS,
	ASK_PRCTLS = ASK_KEYS + KEYS_CALLS
};

/* As many as the kernel may have; of the first 256 it is recorded. */
#define POLICY_NODES_ASK 1024

/* The speaker's questions are the process's; other threads are asked one by one. */
static void threads_ask(struct dump_task *t, struct questions *q)
{
	uint64_t mode;

	creds_ask(q);
	ask_call(q, SYS_prctl, PR_GET_TID_ADDRESS, ask_room(q, sizeof(uint64_t)));
	ask_call(q, SYS_sigaltstack, 0, ask_room(q, sizeof(stack_t)));
	ask_call(q, SYS_prctl, PR_GET_PDEATHSIG, ask_room(q, sizeof(uint32_t)));
	ask_call(q, SYS_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0);
	ask_call(q, SYS_personality, 0xffffffff); /* asks only */
	mode = ask_room(q, sizeof(uint32_t));
	ask_call(q, SYS_get_mempolicy, mode, ask_room(q, POLICY_NODES_ASK / 8), POLICY_NODES_ASK, 0,
		 0);
	keys_ask(q);
	prctl_ask(q, CKPT_THREAD_PRCTLS);
}

static int take_answers(struct dump_thread *th, const struct answers *a,
			const struct remote_call *call, struct ckpt_sched *sched,
			struct error **err)
{
	const stack_t *stack = answer_data(a, call[ASK_STACK].args[1]);

	for (unsigned i = ASK_TID; i < ASK_POLICY; i++)
		if (call[i].ret < 0)
			return error_errno(err, -call[i].ret, "asking thread %u (call %ld, %lu)",
					   th->rec.tid, call[i].nr, call[i].args[0]);
	th->rec.clear_child_tid = *(const uint64_t *)answer_data(a, call[ASK_TID].args[1]);
	th->rec.altstack = (uint64_t)stack->ss_sp;
	th->rec.altstack_size = stack->ss_size;
	th->rec.altstack_flags = stack->ss_flags;
	th->rec.pdeathsig = *(const uint32_t *)answer_data(a, call[ASK_PDEATHSIG].args[1]);
	sched->timer_slack = call[ASK_SLACK].ret;
	sched->personality = call[ASK_PERSONALITY].ret;
	/* 0 without NUMA as well */
	sched->policy_mode = *(const uint32_t *)answer_data(a, call[ASK_POLICY].args[0]);
	memcpy(sched->policy_nodes, answer_data(a, call[ASK_POLICY].args[1]),
	       sizeof(sched->policy_nodes));
	return 0;
}

static int read_name(struct dump_task *t, struct dump_thread *th, struct error **err)
{
	__cleanup_free char *comm = NULL;
	int r;

	_Static_assert(sizeof(th->rec.comm) == sizeof(t->stat.comm), "both are the kernel's");
	if (th->tid == t->pid) {
		memcpy(th->rec.comm, t->stat.comm, sizeof(th->rec.comm));
		return 0;
	}
	r = proc_read(&comm, NULL, "%d/task/%d/comm", t->pid, th->tid);
	if (r)
		return error_errno(err, -r, "reading the name of task %d", th->tid);
	comm[strcspn(comm, "\n")] = '\0';
	strncpy(th->rec.comm, comm, sizeof(th->rec.comm) - 1);
	return 0;
}

static int read_outside(struct dump_task *t, struct dump_thread *th, struct error **err)
{
	uint64_t head = 0;
	size_t len = 0;
	int r;

	if (syscall(SYS_get_robust_list, th->tid, &head, &len))
		return error_errno(err, errno, "reading the robust list of task %d", th->tid);
	th->rec.robust_list = head;
	th->rec.robust_list_len = len;
	r = read_name(t, th, err);
	return r ? r : trace_get_xstate(th->tid, &th->xstate, &th->xstate_len, err);
}

/*
 * XSTATE_BV: the components that are in use. The kernel has room for AMX tiles only in who has run
 * one of their instructions, as no stub has.
 */
int thread_note_xstate(struct checkpoint *c, const struct dump_thread *th, struct error **err)
{
	uint64_t used = 0;

	if (th->xstate_len >= 520)
		memcpy(&used, (const char *)th->xstate + XSTATE_BV_OFFSET, sizeof(used));
	c->xstate_features |= used;
	c->xstate_size = th->xstate_len;
	if (!(used & 1ull << XSTATE_TILES))
		return 0;
	error_set(err, EBUSY, "thread %u has contents in its AMX tiles", th->rec.tid);
	return error_hint(err, "try again when it has released them");
}

/* Restored it would be the speaker's child, and get the signal at the end of that thread. */
static int check_death_signal(const struct dump_task *t, const struct dump_thread *th,
			      struct error **err)
{
	if (!th->rec.pdeathsig || !t->astray)
		return 0;
	error_set(err, EBUSY,
		  "thread %u has asked for a signal at the end of one of several threads with "
		  "children, of a process whose first thread has exited",
		  th->rec.tid);
	return error_hint(err, "try again when the other threads have no children");
}

static int record_thread(struct checkpoint *c, struct dump_task *t, struct dump_thread *th,
			 const struct answers *a, const struct remote_call *call,
			 struct error **err)
{
	struct ckpt_thread *rec;
	struct ckpt_sched sched = {0};
	size_t at;
	int r = read_outside(t, th, err);

	if (!r)
		r = take_answers(th, a, call, &sched, err);
	if (!r)
		r = check_death_signal(t, th, err);
	if (r)
		return r;
	r = thread_note_xstate(c, th, err);
	if (r)
		return r;
	rec = record_add(&t->records, CKPT_THREAD, &th->rec, sizeof(th->rec));
	if (!rec)
		return error_errno(err, ENOMEM, "recording a thread");
	at = (uint8_t *)rec - t->records.data;
	r = creds_dump(t, th, a, call, err);
	if (!r)
		r = keys_check(t, th, call + ASK_KEYS, err);
	if (!r && !record_add(&t->records, CKPT_XSTATE, th->xstate, th->xstate_len))
		r = error_errno(err, ENOMEM, "recording a thread");
	if (!r)
		r = signals_dump_pending(t, th, false, err);
	if (!r)
		r = seccomp_dump(t, th, err);
	if (!r)
		r = sched_dump(c, t, th, &sched, err);
	if (!r)
		r = prctl_dump(t, th, CKPT_THREAD_PRCTLS, a, call + ASK_PRCTLS, err);
	/* last: it may run the call once more */
	if (!r)
		r = sleep_dump(c, t, th, err);
	if (r)
		return r;
	sleep_save_regs(th);
	memcpy(t->records.data + at, &th->rec, sizeof(th->rec));
	return 0;
}

static int dump_thread(struct checkpoint *c, struct dump_task *t, struct dump_thread *th,
		       struct error **err)
{
	struct questions q = {.remote = &t->remote};
	struct answers own = {0};
	int r;

	if (th->tid == t->speaker)
		return record_thread(c, t, th, &t->answers, answers_of(t, &resource_threads), err);
	threads_ask(t, &q);
	r = ask_thread(&q, th->tid, &own, err);
	if (!r)
		r = record_thread(c, t, th, &own, own.calls, err);
	answers_free(&own);
	return r;
}

static int threads_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r = 0;

	if (!t)
		return 0;
	if (t->exited.tid)
		r = exited_dump(c, t, err);
	vec_for_each (th, &t->threads)
		if (!r)
			r = dump_thread(c, t, th, err);
	remote_rest(&t->remote);
	return r;
}

/* --- load --- */

static int load_thread(struct restore_task *t, const struct record *rec, struct error **err)
{
	const struct ckpt_thread *th = record_head(rec, sizeof(*th), err);
	bool first = !t->threads.count && !t->exited;
	struct restore_thread *new;

	if (!th)
		return -EBADMSG;
	if (th->tid < 1 || th->pdeathsig > 64 || memchr(th->comm, 0, sizeof(th->comm)) == NULL)
		return error_set(err, EBADMSG, "a thread %u that cannot be", th->tid);
	if (!first && th->tid == t->rec->pid)
		return error_set(err, EBADMSG, "thread %u twice", th->tid);
	if (first && th->tid != t->rec->pid)
		return error_set(err, EBADMSG, "thread %u before its leader", th->tid);
	new = vec_add(&t->threads);
	if (!new)
		return error_errno(err, ENOMEM, "loading a thread");
	new->rec = th;
	return sleep_validate(th, err);
}

/* The thread that records belong to which are behind its own. */
static struct restore_thread *last_thread(struct restore_task *t)
{
	if (t->threads.count)
		return &t->threads.items[t->threads.count - 1];
	return t->exited ? &t->exited_thread : NULL;
}

static int threads_load(struct restore *r, struct restore_task *t, const struct record *rec,
			struct error **err)
{
	struct restore_thread *th;
	struct record *more;
	int ret;

	if (!t)
		return error_set(err, EBADMSG, "a thread outside of a process");
	if (rec->type == CKPT_THREAD)
		return load_thread(t, rec, err);
	if (rec->type == CKPT_EXITED)
		return exited_load(t, rec, err);
	th = last_thread(t);
	if (!th)
		return error_set(err, EBADMSG, "%s before its thread", record_name(rec->type));
	switch (rec->type) {
	case CKPT_XSTATE:
		if (rec->len < 576 || rec->len > 65536)
			return error_set(err, EBADMSG, "FPU state of %zu bytes", rec->len);
		th->xstate = rec->data;
		th->xstate_len = rec->len;
		return 0;
	case CKPT_CREDS:
		ret = creds_validate(rec, err);
		th->creds = rec->data;
		return ret;
	case CKPT_SECCOMP:
		ret = seccomp_validate(rec, err);
		break;
	case CKPT_THREAD_PRCTLS:
		ret = prctl_validate(r->request, rec, err);
		break;
	default:
		ret = sched_validate(rec, err);
	}
	if (ret)
		return ret;
	more = vec_add(&th->more);
	if (!more)
		return error_errno(err, ENOMEM, "loading a thread");
	*more = *rec;
	return 0;
}

/* --- restore --- */

struct settle_data {
	stack_t stack;
	char comm[16];
	uint64_t nodes[POLICY_NODES_ASK / 64];
};

/* Where the kernel finds what a thread has, and its name. */
static int settle_pointers(struct remote *remote, const struct restore_thread *th, uint64_t at,
			   const struct remote_note *note, struct error **err)
{
	const struct ckpt_thread *rec = th->rec;
	int r = remote_later(remote, th->tid, note, err, SYS_set_tid_address, rec->clear_child_tid);

	if (!r && rec->robust_list_len)
		r = remote_later(remote, th->tid, note, err, SYS_set_robust_list, rec->robust_list,
				 rec->robust_list_len);
	if (!r)
		r = remote_later(remote, th->tid, note, err, SYS_sigaltstack, at, 0);
	return r ? r
		 : remote_later(remote, th->tid, note, err, SYS_prctl, PR_SET_NAME,
				at + offsetof(struct settle_data, comm));
}

/* What the thread does for itself; the alternate stack is refused while the stack pointer is on it.
 */
static int settle_thread(struct restore *r, struct restore_task *t, struct restore_thread *th,
			 struct error **err)
{
	static const struct remote_note note = {.what = "setting up a thread"};
	struct remote *remote = &t->remote;
	const struct ckpt_thread *rec = th->rec;
	const struct ckpt_sched *sched = sched_find(th);
	bool by_kernel = kernel_restores(r, resource_threads.kernel);
	struct settle_data *data;
	uint64_t at;
	int ret = 0;

	data = remote_later_data(remote, sizeof(*data), &at, err);
	if (!data)
		return -error_code(*err);
	data->stack = (stack_t){.ss_sp = (void *)rec->altstack,
				.ss_flags = rec->altstack_flags & ~SS_ONSTACK,
				.ss_size = rec->altstack_size};
	memcpy(data->comm, rec->comm, sizeof(data->comm));
	/* what restart(2) sets with the registers is not set here */
	if (!by_kernel)
		ret = settle_pointers(remote, th, at, &note, err);
	/* 0 is that of real-time policies, and asks for the default */
	if (!ret && sched && sched->timer_slack)
		ret = remote_later(remote, th->tid, &note, err, SYS_prctl, PR_SET_TIMERSLACK,
				   sched->timer_slack, 0, 0, 0);
	if (!ret && sched)
		ret = remote_later(remote, th->tid, &note, err, SYS_personality,
				   sched->personality);
	if (!ret && sched && sched->policy_mode) {
		memcpy(data->nodes, sched->policy_nodes, sizeof(sched->policy_nodes));
		ret = remote_later(remote, th->tid, &note, err, SYS_set_mempolicy,
				   sched->policy_mode, at + offsetof(struct settle_data, nodes),
				   POLICY_NODES_ASK);
	}
	if (!ret)
		ret = prctl_restore_thread(t, th, err);
	if (!ret && !by_kernel && rec->rseq)
		ret = remote_later(remote, th->tid, &note, err, SYS_rseq, rec->rseq, rec->rseq_len,
				   0, rec->rseq_sig);
	return ret;
}

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)

static int threads_restore(struct restore *r, struct restore_task *t, struct error **err)
{
	struct restore_thread *first = restore_first(t);
	int ret;

	first->tid = t->pid;
	ret = seccomp_restore_common(t, err);
	vec_for_each (th, &t->threads) {
		/* one list of what is to be undone for all, unless it has its own */
		uint64_t flags = THREAD_FLAGS | (sysvipc_has_undo(th) ? 0 : CLONE_SYSVSEM);

		if (ret || th == first)
			continue;
		ret = remote_clone(&t->remote, flags, 0, th->rec->tid, &th->tid, err);
		if (!ret)
			ret = trace_set_sigmask(th->tid, ~0ull, err);
	}
	vec_for_each (th, &t->threads)
		if (!ret)
			ret = settle_thread(r, t, th, err);
	return ret;
}

/* Filters before credentials, which may take CAP_SYS_ADMIN away. */
static int finish_thread(struct restore *r, struct restore_task *t, struct restore_thread *th,
			 struct error **err)
{
	int ret = sched_restore(t, th, err);

	if (!ret)
		ret = seccomp_restore(t, th, err);
	return ret || kernel_restores(r, resource_threads.kernel) ? ret : creds_restore(t, th, err);
}

static int queue_shared(struct restore *r, struct restore_task *t, struct error **err)
{
	return kernel_arms(r, t) ? 0
				 : signals_restore_pending(t, restore_first(t), t->sigpending,
							   t->sigpending_len, true, err);
}

/* Behind the credentials, by whose user pending signals are counted, and before their limit. */
static int queue_signals(struct restore *r, struct restore_task *t, struct error **err)
{
	/* by the first thread: if it exits, it has done it before */
	int ret = t->exited ? 0 : queue_shared(r, t, err);

	vec_for_each (th, &t->threads)
		if (!ret && !kernel_arms(r, t))
			ret = signals_restore_pending(t, th, th->sigpending, th->sigpending_len,
						      false, err);
	return ret ? ret : rlimits_restore_sigpending(t, err);
}

/* The sleeps are last of all: what they have left is counted from there. */
static int finish_process(struct restore *r, struct restore_task *t, struct error **err)
{
	bool by_kernel = kernel_restores(r, resource_threads.kernel);
	int ret = t->exited ? queue_shared(r, t, err) : 0;

	if (!ret && t->exited)
		ret = exited_restore(r, t, err);
	vec_for_each (th, &t->threads)
		if (!ret)
			ret = finish_thread(r, t, th, err);
	if (!ret)
		ret = queue_signals(r, t, err);
	if (!ret && !by_kernel)
		ret = process_finish(t, err);
	if (!ret)
		ret = prctl_restore_process(t, true, err);
	vec_for_each (th, &t->threads)
		if (!ret && !by_kernel)
			ret = sleep_restore(t, th, err);
	return ret;
}

static int threads_arm(struct restore *r, struct restore_task *unused, struct error **err)
{
	int ret = 0;

	vec_for_each (t, &r->tasks)
		if (!ret && t->rec->state != CKPT_TASK_ZOMBIE)
			ret = finish_process(r, t, err);
	return ret;
}

static const enum ckpt_type thread_types[] = {
	CKPT_THREAD, CKPT_XSTATE,	 CKPT_CREDS,  CKPT_SECCOMP,
	CKPT_SCHED,  CKPT_THREAD_PRCTLS, CKPT_EXITED, 0};

static const char *const thread_not_captured[] = {
	"keys in keyrings: refused when the tasks have stopped",
	"the time that epoll_wait, semtimedop, sigtimedwait and receiving with a timeout had left: "
	"they wait from the beginning again, but on the patched kernel",
	"what is left of a call that had moved a part of its data (write to a full pipe or socket, "
	"receiving with MSG_WAITALL, recvmmsg): it returns that part",
	"dispatch of system calls (PR_SET_SYSCALL_USER_DISPATCH) on kernels before 6.4, which do "
	"not tell, and in a program that goes on because the runtime was killed by SIGKILL while "
	"it saved it",
	"the I/O flusher state of who has no CAP_SYS_RESOURCE, which it takes to ask",
	"controls of speculation, where the kernel of the restore lets nobody choose",
	"which tasks may share a core (PR_SCHED_CORE)",
	"of a first thread that has exited while others run: the signal that it has asked for at "
	"its "
	"parent's end (PR_SET_PDEATHSIG), which the process still gets but nobody can ask for; and "
	"what can only be seen in its /proc/PID/status: seccomp filters of its own, securebits, "
	"signals that were sent to it alone",
	NULL,
};

const struct resource_class resource_threads = {
	.name = "threads",
	.version = 1,
	.types = thread_types,
	.dump = threads_dump,
	.ask = threads_ask,
	.kernel = KERNEL_CLASS(THREADS) | KERNEL_CLASS(SIGNALS) | KERNEL_CLASS(CREDS),
	.adopt = threads_adopt,
	.load = threads_load,
	.restore = {[STAGE_TASK] = threads_restore, [STAGE_ARM] = threads_arm},
	.not_captured = thread_not_captured,
};
