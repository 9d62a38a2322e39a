// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/engine/provider.h"
#include "checkpoint/engine/tasks.h"
#include "checkpoint/user/proc.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/parallel.h"
#include "util/speaker.h"

struct survey {
	struct checkpoint *c;
	unsigned level; /* of the container's pid namespace below ours */
	uint64_t ns[8];
};

static const char *const ns_names[] = {"mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time"};
_Static_assert(sizeof(ns_names) / sizeof(*ns_names) == 8, "struct survey counts them");

static int read_namespaces(pid_t pid, uint64_t *ns, struct error **err)
{
	for (unsigned i = 0; i < 8; i++) {
		char path[64];
		struct stat st = {0};

		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, ns_names[i]);
		if (stat(path, &st) && errno != ENOENT)
			return error_errno(err, errno, "looking at %s", path);
		ns[i] = st.st_ino;
	}
	return 0;
}

static struct dump_task *find_by_pid(struct checkpoint *c, pid_t pid)
{
	vec_for_each (t, &c->tasks)
		if (t->pid == pid)
			return t;
	return NULL;
}

static bool has_exited(char state)
{
	return state == 'Z' || state == 'X';
}

/*
 * One that has exited is on its way out, if no tracer keeps it, or gone meanwhile; but a process's
 * first one stays as long as there are others.
 */
static int add_thread(struct survey *s, struct dump_task *t, pid_t tid,
		      const struct proc_status *known, struct error **err)
{
	struct dump_thread th = {.tid = tid}, *slot;
	int r = 0;

	if (known)
		th.status = *known;
	else
		r = proc_status(t->pid, tid, &th.status, err);
	if ((r == -ENOENT || r == -ESRCH) && tid != t->pid) {
		error_free(*err);
		*err = NULL;
		return 0;
	}
	if (r)
		return r;
	th.rec.tid = th.status.pid[s->level];
	if (has_exited(th.status.state) && tid == t->pid) {
		t->exited = th;
		return 0;
	}
	if (has_exited(th.status.state))
		return !th.status.tracer
			       ? 0
			       : checkpoint_block(
					 s->c, th.rec.tid, -1, 0, "detach the debugger",
					 "a thread that has exited, of which its tracer has "
					 "not heard");
	slot = vec_add(&t->threads);
	if (!slot)
		return error_errno(err, ENOMEM, "listing threads");
	*slot = th;
	return 0;
}

/* The leader's status may be known: it is the process's, and knows whether there are others. */
static int add_threads(struct survey *s, struct dump_task *t, const struct proc_status *leader,
		       struct error **err)
{
	pid_vec tids = {.items = &t->pid, .count = 1};
	bool alone = leader && leader->threads == 1;
	int r = 0;

	if (!alone) {
		tids = (pid_vec){0};
		r = proc_threads(t->pid, &tids, err);
	}
	for (size_t i = 0; !r && i < tids.count; i++)
		r = add_thread(s, t, tids.items[i], tids.items[i] == t->pid ? leader : NULL, err);
	if (!alone)
		vec_free(&tids);
	t->rec.threads = t->threads.count;
	if (t->threads.count)
		t->speaker = t->threads.items[0].tid;
	return r;
}

struct namespaces {
	struct checkpoint *c;
	uint64_t (*of)[8]; /* each task's */
};

static int read_tasks_namespaces(void *ctx, size_t i, struct error **err)
{
	const struct namespaces *n = ctx;
	const struct dump_task *t = &n->c->tasks.items[i];

	return t->rec.state == CKPT_TASK_ZOMBIE ? 0 : read_namespaces(t->speaker, n->of[i], err);
}

static int check_namespaces(struct survey *s, struct error **err)
{
	struct checkpoint *c = s->c;
	__cleanup_free void *ns = calloc(c->tasks.count, sizeof(uint64_t[8]));
	struct namespaces n = {c, ns};
	int r = ns ? parallel_each(c->tasks.count, read_tasks_namespaces, &n, err)
		   : error_errno(err, ENOMEM, "looking at namespaces");

	for (size_t i = 0; !r && i < c->tasks.count; i++)
		for (unsigned k = 0; k < 8; k++)
			if (c->tasks.items[i].rec.state != CKPT_TASK_ZOMBIE &&
			    n.of[i][k] != s->ns[k])
				checkpoint_block(
					c, c->tasks.items[i].rec.pid, -1, 0,
					"end the process, or do not unshare in the container",
					"a %s namespace of its own", ns_names[k]);
	return r;
}

/*
 * The children of a first thread that exits become those of the oldest other one, as which a
 * restore makes the speaker: so that one speaks, if there is one, which has the children already.
 */
static int let_parent_speak(struct dump_task *t, struct error **err)
{
	for (size_t i = 0; i < t->threads.count; i++) {
		struct dump_thread th = t->threads.items[i];
		pid_vec children = {0};
		int r = proc_children(t->pid, th.tid, &children, err);
		bool is_parent = children.count;

		vec_free(&children);
		if (r)
			return r;
		if (!is_parent)
			continue;
		memmove(t->threads.items + 1, t->threads.items, i * sizeof(th));
		t->threads.items[0] = th;
		t->speaker = th.tid;
		break;
	}
	return 0;
}

/* What the first thread has no more another one shows, and its own end is told with its own stat.
 */
static int read_exited(struct dump_task *t, struct error **err)
{
	struct proc_stat own;
	int r = proc_stat(t->pid, t->pid, &own, err);

	if (!r)
		r = proc_stat(t->speaker, 0, &t->stat, err);
	if (r)
		return r;
	t->exited_code = own.exit_code;
	t->rec.exit_code = t->stat.exit_code;
	return 0;
}

/* A process with threads that run, or may: those of one that ends could all have exited by now. */
static int add_running(struct survey *s, struct dump_task *t, const struct proc_status *status,
		       struct error **err)
{
	const struct proc_status *pending;
	int r = add_threads(s, t, status, err);

	if (!r && !t->threads.count) {
		t->rec.state = CKPT_TASK_ZOMBIE;
		/* the last thread has set it, after it was read */
		r = proc_stat(t->pid, 0, &t->stat, err);
		t->rec.exit_code = t->stat.exit_code;
		return r;
	}
	if (!r && t->exited.tid)
		r = let_parent_speak(t, err);
	if (!r && t->exited.tid)
		r = read_exited(t, err);
	if (r)
		return r;
	/* a signal that will kill it cannot be held back: it is already dead */
	pending = &t->threads.items[0].status;
	if ((pending->sig_pending | pending->shared_pending) & (1ull << (9 - 1))) {
		s->c->passing++;
		checkpoint_block(s->c, t->rec.pid, -1, 0, "try again when it has gone",
				 "a task that has been killed");
	}
	t->pidfd = speaker_pidfd(t->speaker);
	if (t->pidfd >= 0)
		return 0;
	r = error_errno(err, -t->pidfd, "opening a pidfd of task %d", t->speaker);
	return t->exited.tid ? error_hint(err, "the first thread of the process has exited, which "
					       "wants Linux 6.9")
			     : r;
}

static int add_task(struct survey *s, pid_t pid, pid_t parent, bool astray, struct error **err)
{
	struct checkpoint *c = s->c;
	struct proc_status status;
	struct proc_stat stat;
	struct dump_task *t;
	int r = proc_stat(pid, 0, &stat, err);

	if (!r)
		r = proc_status(pid, 0, &status, err);
	if (r)
		return r;
	t = vec_add(&c->tasks);
	if (!t)
		return error_errno(err, ENOMEM, "listing tasks");
	t->pid = t->speaker = pid;
	t->pidfd = t->snapshot = -1;
	if (status.levels <= s->level)
		return error_set(err, EPROTO, "task %d is not in the container's pid namespace",
				 pid);
	t->rec.pid = status.pid[s->level];
	t->rec.pgid = status.pgid[s->level];
	t->rec.sid = status.sid[s->level];
	t->rec.ppid = parent;
	t->astray = astray;
	t->stat = stat;
	/* clone(2) takes any byte, and one that is no signal for none */
	t->rec.exit_signal = stat.exit_signal > 64 ? 0 : stat.exit_signal;
	/* of a stopped process: the signal, until its parent has heard of it by wait() */
	t->rec.exit_code = stat.exit_code;
	memcpy(t->rec.comm, stat.comm, sizeof(t->rec.comm));
	if (status.levels != s->level + 1)
		checkpoint_block(c, t->rec.pid, -1, 0, "end the nested container first",
				 "a pid namespace inside the container");
	if (has_exited(stat.state) && status.threads == 1) {
		t->rec.state = CKPT_TASK_ZOMBIE;
		return 0;
	}
	return add_running(s, t, &status, err);
}

static int add_children(struct survey *s, size_t task, size_t thread, struct error **err)
{
	const struct dump_task *t = &s->c->tasks.items[task];
	bool astray = t->exited.tid && thread;
	pid_t self = t->rec.pid;
	pid_vec children = {0};
	int r = proc_children(t->pid, t->threads.items[thread].tid, &children, err);

	for (size_t i = 0; !r && i < children.count; i++)
		r = add_task(s, children.items[i], self, astray, err);
	vec_free(&children);
	return r;
}

/* Breadth first: c->tasks is the queue. */
static int walk_tree(struct survey *s, struct error **err)
{
	struct checkpoint *c = s->c;
	int r = add_task(s, c->request->init, 0, false, err);

	if (!r)
		c->init = c->tasks.items[0].speaker;
	for (size_t i = 0; !r && i < c->tasks.count; i++) {
		size_t threads = c->tasks.items[i].threads.count; /* 0 of a zombie */

		for (size_t k = 0; !r && k < threads; k++)
			r = add_children(s, i, k, err);
	}
	return r;
}

/* What is not in it is not frozen. Zombies have left it. */
static bool in_cgroup(const pid_vec *pids, const struct dump_task *t)
{
	if (t->rec.state == CKPT_TASK_ZOMBIE)
		return true;
	for (size_t i = 0; i < pids->count; i++)
		if (pids->items[i] == t->pid)
			return true;
	return false;
}

/* Whoever is in the cgroup but not below the init came in by exec. */
/* They could change what is shared with the others while that is captured. */
static int add_outsider(struct survey *s, pid_t pid, struct error **err)
{
	struct dump_task *t = vec_add(&s->c->outside);

	if (!t)
		return error_errno(err, ENOMEM, "listing tasks");
	t->pid = t->speaker = pid;
	t->pidfd = -1;
	return add_threads(s, t, NULL, err);
}

static int find_outsiders(struct survey *s, struct error **err)
{
	struct checkpoint *c = s->c;
	pid_vec pids = {0};
	int r = c->request->ops->tasks(c->request->ctx, &pids, err);

	for (size_t i = 0; !r && i < pids.count; i++) {
		struct proc_status status;

		if (find_by_pid(c, pids.items[i]))
			continue;
		if (c->request->allow & ALLOW_EXEC) {
			r = add_outsider(s, pids.items[i], err);
			continue;
		}
		r = proc_status(pids.items[i], 0, &status, err);
		if (r)
			break;
		checkpoint_block(c, status.levels > s->level ? status.pid[s->level] : 0, -1, 0,
				 "end it, or leave it behind with --allow exec",
				 "a process that entered by exec (pid %d outside)", pids.items[i]);
	}
	for (size_t i = 0; !r && i < c->tasks.count; i++)
		if (!in_cgroup(&pids, &c->tasks.items[i]))
			checkpoint_block(c, c->tasks.items[i].rec.pid, -1, 0,
					 "move it back into the container's cgroup",
					 "a process that has left the container's cgroup");
	vec_free(&pids);
	return r;
}

/* What cannot be compared is not the same. */
static int compare_kcmp(const void *a, const void *b, void *type)
{
	const struct dump_task *const *x = a, *const *y = b;
	long r = syscall(SYS_kcmp, (*x)->speaker, (*y)->speaker, *(int *)type, 0, 0);

	return r == 0 ? 0 : r == 1 ? -1 : r == 2 ? 1 : (*x)->pid - (*y)->pid;
}

static bool same(const struct dump_task *a, const struct dump_task *b, int type)
{
	return a == b || !compare_kcmp(&a, &b, &type);
}

static const struct {
	int type;
	const char *refused; /* NULL: it is kept, if the tree can be made so */
	bool passes; /* most often it is a program about to be executed: shells, posix_spawn() */
} shared_things[] = {
	{KCMP_VM, "memory shared with another process (vfork, CLONE_VM)", true},
	{KCMP_FILES, NULL, false},
	{KCMP_FS, NULL, false},
	{KCMP_SIGHAND, "signal handlers shared with another process (CLONE_SIGHAND)", false},
};

static void note_sharing(struct survey *s, struct dump_task *t, struct dump_task *first,
			 unsigned thing)
{
	s->c->passing += shared_things[thing].passes;
	if (shared_things[thing].refused)
		checkpoint_block(s->c, t->rec.pid, -1, 0,
				 "checkpoint when it has called exec or ended", "%s",
				 shared_things[thing].refused);
	else if (shared_things[thing].type == KCMP_FILES)
		t->files_of = first;
	else
		t->fs_of = first;
}

#define THINGS (sizeof(shared_things) / sizeof(*shared_things))

struct orders {
	struct dump_task **of[THINGS];
	size_t count;
};

static int sort_by_thing(void *ctx, size_t thing, struct error **err)
{
	const struct orders *o = ctx;
	int type = shared_things[thing].type;

	qsort_r(o->of[thing], o->count, sizeof(**o->of), compare_kcmp, &type);
	return 0;
}

/* Equal ones are neighbours after sorting. */
static void note_equal(struct survey *s, struct dump_task **order, size_t n, unsigned thing)
{
	int type = shared_things[thing].type;
	size_t end;

	for (size_t i = 0; i < n; i = end) {
		struct dump_task *first = order[i];

		for (end = i + 1; end < n && same(order[i], order[end], type); end++)
			if (order[end] < first)
				first = order[end];
		for (size_t m = i; m < end; m++)
			if (order[m] != first)
				note_sharing(s, order[m], first, thing);
	}
}

/* kcmp orders what it compares. */
static int check_sharing(struct survey *s, struct error **err)
{
	struct checkpoint *c = s->c;
	__cleanup_free struct dump_task **all = calloc(c->tasks.count * THINGS, sizeof(*all));
	struct orders o = {0};
	int r;

	if (!all)
		return error_errno(err, ENOMEM, "comparing tasks");
	for (unsigned k = 0; k < THINGS; k++) {
		o.of[k] = all + k * c->tasks.count;
		o.count = 0;
		vec_for_each (t, &c->tasks)
			if (t->rec.state != CKPT_TASK_ZOMBIE)
				o.of[k][o.count++] = t;
	}
	r = parallel_each(THINGS, sort_by_thing, &o, err);
	for (unsigned k = 0; !r && k < THINGS; k++)
		note_equal(s, o.of[k], o.count, k);
	return r;
}

static void check_threads(struct survey *s)
{
	vec_for_each (t, &s->c->tasks)
		for (size_t i = 1; i < t->threads.count; i++) {
			pid_t tid = t->threads.items[i].tid;

			if (syscall(SYS_kcmp, t->speaker, tid, KCMP_FILES, 0, 0) ||
			    syscall(SYS_kcmp, t->speaker, tid, KCMP_FS, 0, 0))
				checkpoint_block(s->c, t->threads.items[i].rec.tid, -1, 0,
						 "none in this version",
						 "a thread with files or a directory of its own");
		}
}

static uint32_t process_of(const struct checkpoint *c, pid_t tid)
{
	vec_for_each (t, &c->tasks)
		vec_for_each (th, &t->threads)
			if (th->tid == tid)
				return t->rec.pid;
	return 0;
}

/* No task has two tracers; and what traces it cannot be made again. */
static void admit_traced(struct checkpoint *c, struct dump_task *t, const struct dump_thread *th)
{
	t->rec.tracer = process_of(c, th->status.tracer);
	if (!t->rec.tracer)
		checkpoint_block(c, th->rec.tid, -1, 0, "detach the debugger first",
				 "a task that process %d outside is tracing", th->status.tracer);
	else if (provider_traces(&c->kernel))
		checkpoint_block(c, th->rec.tid, -1, 0, "detach the debugger first",
				 "a task that is being traced");
	else if (!c->request->leave_running)
		checkpoint_block(c, th->rec.tid, -1, 0,
				 "detach the debugger first, or use --leave-running",
				 "a task that is being traced, and could not be restored so,");
}

void tasks_admit_traced(struct checkpoint *c)
{
	vec_for_each (t, &c->tasks) {
		/* by a tracer of that thread alone: it keeps the zombie */
		if (t->exited.status.tracer)
			admit_traced(c, t, &t->exited);
		vec_for_each (th, &t->threads)
			if (th->status.tracer)
				admit_traced(c, t, th);
	}
}

int tasks_survey(struct checkpoint *c, struct error **err)
{
	struct survey s = {.c = c};
	struct proc_status status;
	int r = proc_status(c->request->init, 0, &status, err);

	if (r)
		return r;
	s.level = status.levels - 1;
	r = walk_tree(&s, err);
	if (!r)
		r = read_namespaces(c->init, s.ns, err);
	if (!r)
		r = check_namespaces(&s, err);
	if (!r)
		r = find_outsiders(&s, err);
	if (!r)
		r = check_sharing(&s, err);
	if (!r)
		check_threads(&s);
	return r;
}

void tasks_free(struct checkpoint *c)
{
	vec_for_each (t, &c->tasks) {
		vec_for_each (th, &t->threads)
			free(th->xstate);
		vec_free(&t->threads);
		vmas_free(&t->vmas);
		buf_free(&t->records);
		buf_free(&t->kernel);
		buf_free(&t->aio);
		page_area_free(&t->pages);
		vec_free(&t->guards);
		remote_forget(&t->remote);
		answers_free(&t->answers);
		free(t->exe);
		free(t->args);
		free(t->auxv);
		if (t->pidfd >= 0)
			close(t->pidfd);
		if (t->snapshot >= 0)
			close(t->snapshot);
	}
	vec_free(&c->tasks);
	vec_for_each (t, &c->outside)
		vec_free(&t->threads);
	vec_free(&c->outside);
}
