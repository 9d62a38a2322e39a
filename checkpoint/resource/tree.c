// SPDX-License-Identifier: GPL-2.0-only
/* The tree of processes. Its restore is engine/stubs.c: everything else needs tasks. */
#include <errno.h>
#include <linux/prctl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "checkpoint/engine/provider.h"
#include "checkpoint/engine/tasks.h"
#include "checkpoint/kernel/capture.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/resource/stops.h"
#include "checkpoint/resource/thread.h"
#include "util/error.h"

static void tree_ask(struct dump_task *t, struct questions *q)
{
	ask_call(q, SYS_prctl, PR_GET_CHILD_SUBREAPER, ask_room(q, sizeof(int)), 0, 0, 0);
}

static int dump_sharing(struct checkpoint *c, struct error **err)
{
	vec_for_each (t, &c->tasks) {
		struct ckpt_sharing rec = {
			.pid = t->rec.pid,
			.files = t->files_of ? t->files_of->rec.pid : 0,
			.fs = t->fs_of ? t->fs_of->rec.pid : 0,
		};

		if ((rec.files || rec.fs) &&
		    !record_add(&c->records, CKPT_SHARING, &rec, sizeof(rec)))
			return error_errno(err, ENOMEM, "recording the tree");
	}
	return 0;
}

static int dump_relations(struct checkpoint *c, struct error **err)
{
	int r = dump_sharing(c, err);

	return r ? r : stops_dump(c, err);
}

/* Sessions can be inherited on ways that no restore can find any more. */
static int admit_sessions(struct checkpoint *c, struct error **err)
{
	struct error *cannot = NULL;
	uint32_t pid = 0;
	int r = tree_can_be_made(c, &pid, &cannot);

	if (r == -ENOMEM) {
		error_free(*err);
		*err = cannot;
		return r;
	}
	if (r)
		r = checkpoint_block(c, pid, -1, 0,
				     error_get_hint(cannot)
					     ? error_get_hint(cannot)
					     : "let the processes of that session end",
				     "the tree of processes (%s)", error_message(cannot));
	error_free(cannot);
	return r;
}

/* A SIGSTOP that is pending would be sent to a stub by restart(2), which acts on it at once. */
static int tree_admit(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r;

	if (!t)
		return admit_sessions(c, err);
	r = exited_admit(c, t, err);
	if (r)
		return r;
	vec_for_each (th, &t->threads)
		if ((th->status.sig_pending | th->status.shared_pending) & 1ull << (SIGSTOP - 1))
			return provider_leave(c, KERNEL_CLASS(SIGNALS), t, 0,
					      "a SIGSTOP that is pending");
	return 0;
}

/* What the kernel tells with a process is a part of the tree. */
static int tree_adopt(struct checkpoint *c, struct dump_task *unused, struct error **err)
{
	if (unused)
		return 0;
	vec_for_each (t, &c->tasks) {
		const struct ckpt_process *process =
			kernel_find_record(t, CKPT_PROCESS, sizeof(*process), NULL);

		if (!process && t->rec.state != CKPT_TASK_ZOMBIE)
			return error_set(err, EPROTO, "the kernel has not recorded process %u",
					 t->rec.pid);
		if (process && process->stopped) {
			t->rec.state = CKPT_TASK_STOPPED;
			t->stop_signal = process->stopped;
		}
		if (process)
			t->rec.subreaper = process->subreaper;
		if (!record_add(&c->records, CKPT_TASK, &t->rec, sizeof(t->rec)))
			return error_errno(err, ENOMEM, "recording the tree");
	}
	return dump_relations(c, err);
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
	return dump_relations(c, err);
}

/* Whether t can have it of `first`, which is made before it. Who makes t so is seen by then. */
static bool can_share(struct restore *r, const struct restore_task *t, uint32_t first,
		      uint32_t (*of)(const struct restore_task *))
{
	const struct restore_task *owner = restore_find(r, first);

	return !first ||
	       (owner && owner < t && !of(owner) && owner->rec->state != CKPT_TASK_ZOMBIE);
}

static uint32_t files_of(const struct restore_task *t)
{
	return t->files_of;
}

static uint32_t fs_of(const struct restore_task *t)
{
	return t->fs_of;
}

static int load_sharing(struct restore *r, const struct record *rec, struct error **err)
{
	const struct ckpt_sharing *s = record_head(rec, sizeof(*s), err);
	struct restore_task *t = s ? restore_find(r, s->pid) : NULL;

	if (!s)
		return -EBADMSG;
	if (!t || t->rec->state == CKPT_TASK_ZOMBIE || t->files_of || t->fs_of ||
	    !can_share(r, t, s->files, files_of) || !can_share(r, t, s->fs, fs_of))
		return error_set(err, EBADMSG, "process %u shares what cannot be shared", s->pid);
	t->files_of = s->files;
	t->fs_of = s->fs;
	return 0;
}

static int tree_load(struct restore *r, struct restore_task *unused, const struct record *rec,
		     struct error **err)
{
	const struct ckpt_task *task;
	struct restore_task *t;

	if (unused)
		return error_set(err, EBADMSG, "a task inside of a process");
	if (rec->type == CKPT_SHARING)
		return load_sharing(r, rec, err);
	if (rec->type == CKPT_STOPS)
		return stops_load(r, rec, err);
	task = record_head(rec, sizeof(*task), err);
	if (!task)
		return -EBADMSG;
	if (r->tasks.count >= r->begin->tasks || !task->pid || task->pid > 0x400000 ||
	    task->state > CKPT_TASK_ZOMBIE || task->exit_signal > 64 ||
	    !memchr(task->comm, 0, sizeof(task->comm)))
		return error_set(err, EBADMSG, "a task %u that cannot be", task->pid);
	if (task->state == CKPT_TASK_ZOMBIE && !stub_can_end_with(task->exit_code))
		return error_set(err, EBADMSG, "a zombie %u with wait status %#x", task->pid,
				 task->exit_code);
	if (restore_find(r, task->pid))
		return error_set(err, EBADMSG, "task %u twice", task->pid);
	if (r->tasks.count ? !restore_find(r, task->ppid)
			   : task->ppid || task->state == CKPT_TASK_ZOMBIE)
		return error_set(err, EBADMSG, "task %u has no parent", task->pid);
	/* admission has allowed it to a checkpoint: of a container that goes on, for its image
	 * alone */
	if (task->tracer && !r->trial) {
		error_set(err, EOPNOTSUPP,
			  "process %u was being traced by process %u, which cannot be restored",
			  task->pid, task->tracer);
		return error_hint(err, "detach the debugger, and checkpoint again");
	}
	t = vec_add(&r->tasks);
	if (!t)
		return error_errno(err, ENOMEM, "loading the tree");
	t->rec = task;
	t->pidfd = -1;
	return 0;
}

static const enum ckpt_type tree_types[] = {CKPT_TASK, CKPT_SHARING, CKPT_STOPS, 0};

static const char *const tree_not_captured[] = {
	"who has sent a SIGSTOP that is pending in a stopped process; which signal of a terminal "
	"(SIGTSTP, SIGTTIN, SIGTTOU) has stopped a process whose group nobody looks after any "
	"more: "
	"it comes back stopped by SIGSTOP",
	"whether a zombie has dumped core",
	"which thread of a process has a child, whom it tells of its end by PR_SET_PDEATHSIG and "
	"who "
	"alone may wait for it with __WNOTHREAD: the first one has all, or if that has exited one "
	"that had some; where several had some then, a child that asked for a signal is refused "
	"when "
	"the tasks have stopped",
	NULL,
};

const struct resource_class resource_tree = {
	.name = "tree",
	.version = 1,
	.types = tree_types,
	.admit = tree_admit,
	.dump = tree_dump,
	.ask = tree_ask,
	.kernel = KERNEL_CLASS(CREDS),
	.adopt = tree_adopt,
	.load = tree_load,
	.not_captured = tree_not_captured,
};
