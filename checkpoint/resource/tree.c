// SPDX-License-Identifier: GPL-2.0-only
/* The tree of processes. Its restore is engine/stubs.c: everything else needs tasks. */
#include <errno.h>
#include <linux/prctl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "checkpoint/resource/resource.h"
#include "util/error.h"

static void tree_ask(struct dump_task *t, struct questions *q)
{
	ask_call(q, SYS_prctl, PR_GET_CHILD_SUBREAPER, ask_room(q, sizeof(int)), 0, 0, 0);
}

static int tree_dump(struct checkpoint *c, struct dump_task *unused, struct error **err)
{
	if (unused)
		return 0;
	vec_for_each (t, &c->tasks) {
		if (t->rec.state != CKPT_TASK_ZOMBIE) {
			const struct remote_call *call = answers_of(t, &resource_tree);

			if (call->ret)
				return error_errno(err, -call->ret,
						   "asking process %u for the subreaper flag",
						   t->rec.pid);
			t->rec.subreaper = *(const int *)answer_data(&t->answers, call->args[1]);
		}
		if (!record_add(&c->records, CKPT_TASK, &t->rec, sizeof(t->rec)))
			return error_errno(err, ENOMEM, "recording the tree");
	}
	return 0;
}

/* A stub ends as its zombie did, or is waited for in vain. */
static bool can_end_with(uint32_t status)
{
	static const uint64_t never_fatal = 1ull << SIGCHLD | 1ull << SIGCONT | 1ull << SIGSTOP |
					    1ull << SIGTSTP | 1ull << SIGTTIN | 1ull << SIGTTOU |
					    1ull << SIGURG | 1ull << SIGWINCH;
	unsigned signo = status & 0x7f;

	return signo < 64 ? !(never_fatal >> signo & 1) : signo == 64;
}

static int tree_load(struct restore *r, struct restore_task *unused, const struct record *rec,
		     struct error **err)
{
	const struct ckpt_task *task = record_head(rec, sizeof(*task), err);
	struct restore_task *t;

	if (!task)
		return -EBADMSG;
	if (unused)
		return error_set(err, EBADMSG, "a task inside of a process");
	if (r->tasks.count >= r->begin->tasks || !task->pid || task->pid > 0x400000 ||
	    task->state > CKPT_TASK_ZOMBIE || task->exit_signal > 64 ||
	    !memchr(task->comm, 0, sizeof(task->comm)))
		return error_set(err, EBADMSG, "a task %u that cannot be", task->pid);
	if (task->state == CKPT_TASK_ZOMBIE && !can_end_with(task->exit_code))
		return error_set(err, EBADMSG, "a zombie %u with wait status %#x", task->pid,
				 task->exit_code);
	if (restore_find(r, task->pid))
		return error_set(err, EBADMSG, "task %u twice", task->pid);
	if (r->tasks.count ? !restore_find(r, task->ppid) : task->ppid || task->state)
		return error_set(err, EBADMSG, "task %u has no parent", task->pid);
	t = vec_add(&r->tasks);
	if (!t)
		return error_errno(err, ENOMEM, "loading the tree");
	t->rec = task;
	t->pidfd = -1;
	return 0;
}

static const enum ckpt_type tree_types[] = {CKPT_TASK, 0};

static const char *const tree_not_captured[] = {
	"which signal stopped a stopped process: it comes back stopped by SIGSTOP",
	"whether a zombie has dumped core",
	NULL,
};

const struct resource_class resource_tree = {
	.name = "tree",
	.version = 1,
	.types = tree_types,
	.dump = tree_dump,
	.ask = tree_ask,
	.load = tree_load,
	.not_captured = tree_not_captured,
};
