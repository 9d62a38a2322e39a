// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tree is cloned by its own members: each stub makes its children by a
 * remote clone3 with set_tid. Sessions are inherited at the clone, so the order
 * matters:
 *
 *   1. a process makes the children that have the session it was born in,
 *   2. becomes a session leader if it was one, and takes its controlling terminal,
 *   3. makes the others that have its session or will lead one;
 *   4. whose session is another's is made by that session's leader as its
 *      sibling (CLONE_PARENT), or as a grandchild whose parent leaves at once, so that
 *      init or a subreaper gets it, as it has before; a leader that is gone is stood in
 *      for by a helper with its pid. So it is with who shares descriptors or a directory
 *      with others than its parent: one of those makes it.
 *
 * Into which session each is born, and below whom, is decided before: births.c.
 *
 * Who has pages that children have inherited gets its memory before it makes the first of those.
 * The others come before, if their sessions allow it, and lose at once what they are born with.
 *
 * Then groups are joined, helpers leave, and zombies exit.
 */
#include <errno.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoint/engine/births.h"
#include "checkpoint/engine/engine.h"
#include "checkpoint/engine/tasks.h"
#include "checkpoint/resource/memory.h"
#include "checkpoint/resource/thread.h"
#include "checkpoint/resource/tty.h"
#include "checkpoint/user/trace.h"
#include "util/error.h"

#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

/* Pids for those that live for a moment. */
#define ANYBODY_FIRST 300
#define ANYBODY_LAST  30000

#define TRIAL_PID 1 /* ours, of whom a trial has made: not 0 */

struct helper {
	uint32_t pid;
	uint32_t parent;
	struct restore_task *leaves; /* whom it leaves to its parent when it ends; or NULL */
	struct restore_task task;    /* only pid, rec and remote are used */
	struct ckpt_task rec;
};
typedef VEC(struct helper *) helper_vec;

struct restore_task *restore_find(struct restore *r, uint32_t pid)
{
	vec_for_each (t, &r->tasks)
		if (t->rec->pid == pid)
			return t;
	return NULL;
}

/* A new task begins to get a window of its own in place of the one it shares with who made it. */
static int start_adopting(struct restore *r, struct restore_task *t, struct error **err)
{
	uint64_t vdso = memory_vdso_at(r, t->born);
	int ret = trace_set_sigmask(t->pid, ~0ull, err);

	if (!ret)
		ret = remote_start_attach(&t->remote, t->pid, r->window, vdso, r->vdso_len, 0, err);
	if (ret)
		return ret;
	t->pidfd = syscall(SYS_pidfd_open, t->pid, 0);
	return t->pidfd < 0 ? error_errno(err, errno, "opening a pidfd of a stub") : 0;
}

static int adopt(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret = start_adopting(r, t, err);

	return ret ? ret : remote_arrive(&t->remote, err);
}

bool restore_shares_files(const struct restore *r, const struct restore_task *t)
{
	if (t->files_of)
		return true;
	vec_for_each (other, &r->tasks)
		if (other->files_of == t->rec->pid)
			return true;
	return false;
}

/* Whether t has that, or nobody in particular is wanted; its: as in struct ckpt_sharing. */
static bool has_same(const struct restore_task *t, uint32_t its, uint32_t wanted)
{
	return !wanted || t->rec->pid == wanted || its == wanted;
}

/* Descriptors and directories can only be shared with who makes one. */
static bool can_share_with(const struct restore_task *maker, const struct restore_task *t)
{
	return has_same(maker, maker->files_of, t->files_of) &&
	       has_same(maker, maker->fs_of, t->fs_of);
}

/* Who makes others in another's place has what they may have to share with that one. */
static void share_all(struct restore_task *helper, const struct restore_task *maker)
{
	helper->files_of = maker->files_of ? maker->files_of : maker->rec->pid;
	helper->fs_of = maker->fs_of ? maker->fs_of : maker->rec->pid;
}

static bool is_heir(const struct restore_task *maker, const struct restore_task *t)
{
	return t->inherits && t->rec->ppid == maker->rec->pid;
}

static int cannot_share(struct restore *r, const struct restore_task *t, struct error **err)
{
	r->stuck = t->rec->pid;
	error_set(err, EOPNOTSUPP,
		  "process %u shares descriptors or a directory with others than who would make it",
		  t->rec->pid);
	return error_hint(err, "end it, or let it have its own");
}

/*
 * What t's parent is sent at t's end, and by which kind of wait(2) it may be waited for: who is
 * cloned by its maker for the maker's parent has the maker's own, who is left to another one
 * SIGCHLD.
 */
static uint32_t exit_signal_by(const struct restore_task *maker, const struct restore_task *t,
			       uint64_t flags)
{
	if (flags & CLONE_PARENT)
		return maker->rec->exit_signal;
	return maker->rec->pid == t->rec->ppid ? t->rec->exit_signal : SIGCHLD;
}

static int cannot_tell(struct restore *r, const struct restore_task *t, struct error **err)
{
	r->stuck = t->rec->pid;
	error_set(
		err, EOPNOTSUPP,
		"process %u tells its parent of its end by signal %u, and could not be made by it",
		t->rec->pid, t->rec->exit_signal);
	return error_hint(err, "end it");
}

/* How maker is to clone t; an heir's maker has its memory by then. */
static int prepare_clone(struct restore *r, struct restore_task *maker, struct restore_task *t,
			 uint64_t flags, struct remote_child *how, struct error **err)
{
	int ret = 0;

	if (!can_share_with(maker, t))
		return cannot_share(r, t, err);
	if (exit_signal_by(maker, t, flags) != t->rec->exit_signal)
		return cannot_tell(r, t, err);
	if (r->trial)
		return 0;
	if (is_heir(maker, t) && !maker->laid_out && memory_to_bequeath(r, maker))
		ret = memory_prepare(r, maker, err);
	if (!ret)
		ret = memory_inherit_sources(maker, t, err);
	t->born = maker->laid_out ? maker : maker->born;
	*how = (struct remote_child){
		.flags = flags | (t->files_of ? CLONE_FILES : 0) | (t->fs_of ? CLONE_FS : 0),
		.exit_signal = flags & CLONE_PARENT ? 0 : (int)t->rec->exit_signal,
		.tid = t->rec->pid,
	};
	return ret;
}

static int settle_stub(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret = adopt(r, t, err);

	return ret || t->inherits ? ret : memory_give_up(r, t, err);
}

static int make(struct restore *r, struct restore_task *maker, struct restore_task *t,
		uint64_t flags, struct error **err)
{
	struct remote_child how;
	int ret = prepare_clone(r, maker, t, flags, &how, err);

	if (r->trial) {
		t->pid = TRIAL_PID;
		return ret;
	}
	if (!ret)
		ret = remote_clone(&maker->remote, how.flags, how.exit_signal, how.tid, &t->pid,
				   err);
	return ret ? ret : settle_stub(r, t, err);
}

static int stub_call(struct restore_task *t, const char *what, struct error **err, long nr,
		     unsigned long a0, unsigned long a1)
{
	return remote_syscall(&t->remote, err, what, NULL, nr, a0, a1, 0, 0, 0, 0);
}

static int lead_session(struct restore *r, struct restore_task *t, struct error **err)
{
	return r->trial ? 0 : stub_call(t, "becoming session leader", err, SYS_setsid, 0, 0);
}

typedef VEC(struct restore_task *) stub_vec;

/*
 * Stubs on their way to a window while their maker clones the next ones: the last one stops for
 * the first time, those before it have come to their next stop meanwhile.
 */
static int help_along(struct restore *r, struct restore_task *const *stubs, size_t count,
		      struct error **err)
{
	int ret = trace_wait_stop(stubs[count - 1]->pid, NULL, err);

	if (!ret)
		ret = start_adopting(r, stubs[count - 1], err);
	for (size_t back = 1; ret >= 0 && back <= REMOTE_WINDOW_STEPS && back < count; back++)
		ret = remote_proceed(&stubs[count - 1 - back]->remote, err);
	return ret < 0 ? ret : 0;
}

static int clone_batch(struct restore *r, struct restore_task *maker,
		       struct restore_task *const *stubs, size_t count, struct error **err)
{
	struct remote_child how[REMOTE_CLONES_MAX] = {0};
	remote_vec remotes = {0};
	size_t made = 0;
	int ret = 0;

	for (size_t i = 0; !ret && i < count; i++)
		ret = prepare_clone(r, maker, stubs[i], 0, &how[i], err);
	if (!ret)
		ret = remote_start_clones(&maker->remote, how, count, err);
	while (!ret && made < count) {
		ret = remote_next_clone(&maker->remote, &stubs[made]->pid, err);
		if (ret <= 0)
			break;
		ret = made ? help_along(r, stubs, made, err) : 0;
		made++;
	}
	if (!ret)
		ret = remote_end_clones(&maker->remote, count, made, err);
	if (!ret)
		ret = help_along(r, stubs, count, err);
	for (size_t i = 0; !ret && i < count; i++)
		ret = remotes_add(&remotes, &stubs[i]->remote, err);
	if (!ret)
		ret = remotes_proceed(&remotes, err);
	vec_free(&remotes);
	return ret;
}

/* Of a large memory there is one copy at a time that nobody keeps. */
static int make_each(struct restore *r, struct restore_task *maker, const stub_vec *stubs,
		     struct error **err)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < stubs->count; i++)
		ret = make(r, maker, stubs->items[i], 0, err);
	return ret;
}

/* They keep what they are born with, or that is only the runtime's. */
static int make_at_once(struct restore *r, struct restore_task *maker, const stub_vec *stubs,
			struct error **err)
{
	int ret = 0;

	for (size_t at = 0; !ret && at < stubs->count; at += REMOTE_CLONES_MAX) {
		size_t n = stubs->count - at;

		ret = clone_batch(r, maker, stubs->items + at,
				  n < REMOTE_CLONES_MAX ? n : REMOTE_CLONES_MAX, err);
	}
	return ret;
}

static int make_some(struct restore *r, struct restore_task *t, uint32_t sid, bool heirs,
		     struct error **err)
{
	bool large = !heirs && (t->laid_out || t->born), each = large || r->trial;
	stub_vec stubs = {0};
	int ret = 0;

	vec_for_each (child, &r->tasks) {
		struct restore_task **slot;

		if (child->pid || births_parent(child) != t->rec->pid || child->below ||
		    child->birth != sid || child->inherits != heirs || !can_share_with(t, child))
			continue;
		slot = vec_add(&stubs);
		if (slot)
			*slot = child;
		else
			ret = error_errno(err, ENOMEM, "making stubs");
	}
	if (!ret)
		ret = each ? make_each(r, t, &stubs, err) : make_at_once(r, t, &stubs, err);
	vec_free(&stubs);
	return ret;
}

/* Makes the children of t that are born into session sid and are not there yet. */
static int make_children(struct restore *r, struct restore_task *t, uint32_t sid,
			 struct error **err)
{
	int ret = make_some(r, t, sid, false, err);

	return ret ? ret : make_some(r, t, sid, true, err);
}

/* born: the session that the stub was cloned into */
static int make_family(struct restore *r, struct restore_task *t, uint32_t born, struct error **err)
{
	uint32_t now = born;
	int ret = 0;

	if (births_leads(t) && born != t->rec->sid) {
		ret = make_children(r, t, born, err);
		if (!ret)
			ret = lead_session(r, t, err);
		now = t->rec->sid;
	}
	if (!ret && births_leads(t) && !r->trial)
		ret = tty_control(r, t, err);
	return ret ? ret : make_children(r, t, now, err);
}

static void free_helpers(helper_vec *helpers)
{
	for (size_t i = 0; i < helpers->count; i++) {
		remote_forget(&helpers->items[i]->task.remote);
		vec_free(&helpers->items[i]->task.sources);
		if (helpers->items[i]->task.pidfd > 0)
			close(helpers->items[i]->task.pidfd);
		free(helpers->items[i]);
	}
	vec_free(helpers);
}

static struct helper *find_helper(helper_vec *helpers, uint32_t pid)
{
	for (size_t i = 0; i < helpers->count; i++)
		if (helpers->items[i]->pid == pid)
			return helpers->items[i];
	return NULL;
}

/* Some that are not there yet may be made by who stands in for a child of t. */
static bool has_heirs_left(struct restore *r, const struct restore_task *t)
{
	vec_for_each (other, &r->tasks)
		if (!other->pid && is_heir(t, other))
			return true;
	return false;
}

/* Stands in for a process that is gone but whose pid names a session or group. */
static int make_helper(struct restore *r, helper_vec *helpers, struct restore_task *parent,
		       uint32_t pid, struct helper **helper, struct error **err)
{
	struct helper **slot = vec_add(helpers);
	struct helper *h = calloc(1, sizeof(*h));

	if (!slot || !h) {
		free(h);
		return error_errno(err, ENOMEM, "making stubs");
	}
	*slot = h;
	h->pid = pid;
	h->parent = parent->rec->pid;
	h->rec.pid = pid;
	h->rec.ppid = h->parent;
	h->rec.exit_signal = SIGCHLD;
	h->task.rec = &h->rec;
	h->task.inherits = has_heirs_left(r, parent);
	share_all(&h->task, parent);
	*helper = h;
	return make(r, parent, &h->task, 0, err);
}

bool stub_can_end_with(uint32_t status)
{
	static const uint64_t never_fatal = 1ull << SIGCHLD | 1ull << SIGCONT | 1ull << SIGSTOP |
					    1ull << SIGTSTP | 1ull << SIGTTIN | 1ull << SIGTTOU |
					    1ull << SIGURG | 1ull << SIGWINCH;
	unsigned signo = status & 0x7f;

	return signo < 64 ? !(never_fatal >> signo & 1) : signo == 64;
}

/* What it might do besides dying; an image could make it do that for ever. */
#define END_STOPS_MAX 64

static int end_task(struct restore_task *t, uint32_t status, struct error **err)
{
	int signo = status & 0x7f;
	int got;
	int ret = remote_settle(&t->remote, err);

	if (!ret && signo) {
		/* SIGKILL ends it at once, whatever it is stopped in */
		ret = trace_set_sigmask(t->pid, 0, err);
		if (!ret && kill(t->pid, signo))
			ret = error_errno(err, errno, "ending the zombie %u", t->rec->pid);
		if (!ret && ptrace(PTRACE_CONT, t->pid, NULL, NULL) && errno != ESRCH)
			ret = error_errno(err, errno, "ending the zombie %u", t->rec->pid);
	} else if (!ret) {
		remote_set(remote_calls(&t->remote), SYS_exit_group, status >> 8);
		ret = remote_start(&t->remote, 0, 1, err);
	}
	for (unsigned stops = 0; !ret; stops++) {
		struct error *died = NULL;
		bool stopped = !trace_wait(t->pid, &got, &died);

		error_free(died);
		if (!stopped)
			break;
		if (stops == END_STOPS_MAX)
			return error_set(err, EPROTO, "the zombie %u does not end with status %#x",
					 t->rec->pid, status);
		if (ptrace(PTRACE_CONT, t->pid, NULL, (unsigned long)signo) && errno != ESRCH)
			ret = error_errno(err, errno, "ending the zombie %u", t->rec->pid);
	}
	return ret;
}

/* Ends a stub with a wait status; it becomes a zombie of its parent. */
static int end_stub(struct restore_task *t, uint32_t status, struct error **err)
{
	int ret = end_task(t, status, err);

	remote_forget(&t->remote);
	return ret;
}

/* A process has it, or a session or group, which somebody may have to stand in for. */
static bool is_named(struct restore *r, uint32_t pid)
{
	vec_for_each (t, &r->tasks)
		if (t->rec->pid == pid || t->rec->sid == pid || t->rec->pgid == pid)
			return true;
	return false;
}

/* Stopped, with a pid that the image does not name. */
static int clone_anybody(struct restore *r, struct restore_task *maker, uint64_t flags,
			 uint32_t *pid, pid_t *child, struct error **err)
{
	int ret = -EEXIST;

	for (uint32_t try = ANYBODY_FIRST; ret == -EEXIST && try < ANYBODY_LAST; try++) {
		error_free(*err);
		*err = NULL;
		*pid = try;
		if (!is_named(r, try))
			ret = remote_clone(&maker->remote, flags, 0, try, child, err);
	}
	return ret;
}

/* A helper h that nobody will know: maker's child, with a window of its own. */
static int make_passing(struct restore *r, struct restore_task *maker, struct restore_task *h,
			uint32_t *pid, struct error **err)
{
	int ret;

	share_all(h, maker);
	if (r->trial)
		return 0;
	ret = clone_anybody(r, maker, CLONE_FILES | CLONE_FS, pid, &h->pid, err);
	h->born = maker->laid_out ? maker : maker->born;
	return ret ? ret : adopt(r, h, err);
}

static int set_subreaper(struct restore *r, struct restore_task *t, bool on, struct error **err)
{
	if (t == &r->tasks.items[0]) /* gets them anyway */
		return 0;
	return stub_call(t, "becoming subreaper", err, SYS_prctl, PR_SET_CHILD_SUBREAPER, on);
}

static int reap_helper(struct restore_task *parent, pid_t pid, struct error **err)
{
	long got;
	int ret = remote_syscall(&parent->remote, err, "reaping a helper", &got, SYS_wait4, pid, 0,
				 __WALL, 0, 0, 0);

	return ret || got == pid ? ret : error_set(err, EPROTO, "a helper %d did not end", pid);
}

/*
 * t was born to somebody in maker's session who has left it to parent: its init, or an
 * ancestor of maker's, who is a subreaper for that moment.
 */
static int make_orphan(struct restore *r, struct restore_task *maker, struct restore_task *t,
		       struct restore_task *parent, struct error **err)
{
	struct ckpt_task rec = {.exit_signal = SIGCHLD};
	struct restore_task h = {.rec = &rec, .pidfd = -1};
	int ret = make_passing(r, maker, &h, &rec.pid, err);

	if (!ret)
		ret = make(r, &h, t, 0, err);
	if (r->trial)
		return ret;
	if (!ret)
		ret = set_subreaper(r, parent, true, err);
	if (!ret)
		ret = end_stub(&h, 0, err);
	else
		remote_forget(&h.remote);
	if (!ret)
		ret = reap_helper(maker, rec.pid, err);
	if (!ret)
		ret = set_subreaper(r, parent, false, err);
	if (h.pidfd >= 0)
		close(h.pidfd);
	vec_free(&h.sources);
	return ret;
}

/*
 * The parent for a helper that stands in for a session's leader. Its members are made as siblings
 * of the helper, or as orphans that an ancestor of it gets: so of all their parents it is the one
 * furthest down.
 */
static struct restore_task *find_helpers_parent(struct restore *r, const struct restore_task *t)
{
	struct restore_task *lowest = restore_find(r, t->rec->ppid);

	vec_for_each (other, &r->tasks) {
		struct restore_task *parent;

		if (other->pid || other->birth != t->birth)
			continue;
		parent = restore_find(r, other->rec->ppid);
		if (parent && parent->pid && lowest && births_is_below(r, parent, lowest->rec->pid))
			lowest = parent;
	}
	return lowest;
}

/* Whether t can become its parent's child when maker has made it, or left it behind. */
static bool can_come_by(struct restore *r, struct restore_task *maker, const struct restore_task *t)
{
	return maker->rec->ppid == t->rec->ppid || t->rec->ppid == r->tasks.items[0].rec->pid ||
	       births_is_below(r, maker, t->rec->ppid);
}

/* One in the session of t that shares what t shares, if it does with somebody. */
static struct restore_task *find_sharer(struct restore *r, const struct restore_task *t)
{
	if (!t->files_of && !t->fs_of)
		return NULL;
	vec_for_each (other, &r->tasks)
		if (other->pid && other->rec->sid == t->birth && can_share_with(other, t) &&
		    can_come_by(r, other, t))
			return other;
	return NULL;
}

/*
 * Who makes tasks that their parents do not make: one that has what they share, or the leader of
 * their session, or who stands in for that.
 */
static int find_maker(struct restore *r, helper_vec *helpers, struct restore_task *t,
		      struct restore_task **maker, uint32_t *makers_parent, struct error **err)
{
	struct restore_task *sharer = find_sharer(r, t);
	struct restore_task *leader = sharer ? sharer : restore_find(r, t->birth);
	struct helper *h = find_helper(helpers, t->birth);
	int ret = 0;

	if (leader && leader->pid) {
		*maker = leader;
		*makers_parent = leader->rec->ppid;
		return 0;
	}
	if (leader || !t->birth)
		return error_set(err, EOPNOTSUPP,
				 "process %u is in session %u, which has no leader", t->rec->pid,
				 t->birth);
	if (!h) {
		ret = make_helper(r, helpers, find_helpers_parent(r, t), t->birth, &h, err);
		if (!ret)
			ret = lead_session(r, &h->task, err);
		if (ret)
			return ret;
	}
	*maker = &h->task;
	*makers_parent = h->parent;
	return 0;
}

/* Who would make it is there, or can be stood in for. */
static bool can_be_made(struct restore *r, const struct restore_task *t)
{
	const struct restore_task *parent = restore_find(r, t->rec->ppid);
	const struct restore_task *leader = restore_find(r, t->birth);

	return parent && parent->pid && !t->below && (!leader || leader->pid);
}

/* A task in a session that its parent does not have (any more), or that shares with others. */
static int make_foreign(struct restore *r, helper_vec *helpers, struct restore_task *t,
			struct error **err)
{
	struct restore_task *parent = restore_find(r, t->rec->ppid), *maker = NULL;
	uint32_t makers_parent = 0;
	int ret = find_maker(r, helpers, t, &maker, &makers_parent, err);

	r->stuck = t->rec->pid;
	if (ret)
		return ret;
	if (makers_parent == t->rec->ppid)
		return make(r, maker, t, CLONE_PARENT, err);
	if (parent == &r->tasks.items[0] ||
	    births_is_below(r, restore_find(r, makers_parent), t->rec->ppid))
		return make_orphan(r, maker, t, parent, err);
	if (t->files_of || t->fs_of)
		return cannot_share(r, t, err);
	return error_set(err, EOPNOTSUPP, "process %u is in session %u, in which it cannot be born",
			 t->rec->pid, t->birth);
}

/* Makes t, whose parent is another one, as the child of a helper below `below`. */
static int make_below(struct restore *r, helper_vec *detours, struct restore_task *t,
		      struct restore_task *below, struct error **err)
{
	struct helper **slot = vec_add(detours);
	struct helper *h = calloc(1, sizeof(*h));
	int ret;

	if (!slot || !h) {
		free(h);
		return error_errno(err, ENOMEM, "making stubs");
	}
	*slot = h;
	h->parent = below->rec->pid;
	h->leaves = t;
	h->rec.exit_signal = SIGCHLD;
	h->task = (struct restore_task){.rec = &h->rec, .pidfd = -1};
	ret = make_passing(r, below, &h->task, &h->pid, err);
	return ret ? ret : make(r, &h->task, t, 0, err);
}

/* Those below whom somebody is made have their sessions and most of their children. */
static int make_detours(struct restore *r, helper_vec *detours, const bool *done, bool *any,
			struct error **err)
{
	int ret = 0;

	*any = false;
	vec_for_each (t, &r->tasks) {
		struct restore_task *below = t->below ? restore_find(r, t->below) : NULL;

		if (ret || t->pid || !below || !done[below - r->tasks.items])
			continue;
		ret = make_below(r, detours, t, below, err);
		*any = true;
	}
	return ret;
}

/* The last one first: it may be below one that was made before it. */
static int end_detours(struct restore *r, helper_vec *detours, struct error **err)
{
	int ret = 0;

	for (size_t i = detours->count; !ret && i-- > 0;) {
		struct helper *h = detours->items[i];
		struct restore_task *parent = restore_find(r, h->leaves->rec->ppid);

		ret = set_subreaper(r, parent, true, err);
		if (!ret)
			ret = end_stub(&h->task, 0, err);
		if (!ret)
			ret = reap_helper(restore_find(r, h->parent), h->pid, err);
		if (!ret)
			ret = set_subreaper(r, parent, false, err);
		h->leaves->below = 0;
	}
	return ret;
}

/* If none of those that are missing is there, the first of them. */
static const struct restore_task *find_absent(struct restore *r, size_t missing)
{
	const struct restore_task *first = NULL;
	size_t absent = 0;

	vec_for_each (t, &r->tasks) {
		absent += !t->pid;
		if (!t->pid && !first)
			first = t;
	}
	return absent == missing ? first : NULL;
}

static int make_tree(struct restore *r, helper_vec *helpers, helper_vec *detours,
		     uint32_t init_session, struct error **err)
{
	size_t missing = r->tasks.count, before;
	bool *done = calloc(r->tasks.count, sizeof(*done));
	bool any = false;
	int ret = 0;

	if (!done)
		return error_errno(err, ENOMEM, "making stubs");
	births_find(r);
	/* each pass makes the families of who is there; foreign ones come when the rest stands
	 * still */
	do {
		before = missing;
		for (size_t i = 0; !ret && i < r->tasks.count; i++) {
			struct restore_task *t = &r->tasks.items[i];
			uint32_t born = i ? t->birth : init_session;

			if (!t->pid || done[i])
				continue;
			ret = make_family(r, t, born, err);
			done[i] = true;
			missing--;
		}
		if (!ret && missing == before)
			ret = make_detours(r, detours, done, &any, err);
		for (size_t i = 0; !ret && missing == before && !any && i < r->tasks.count; i++) {
			if (r->tasks.items[i].pid || !can_be_made(r, &r->tasks.items[i]))
				continue;
			ret = make_foreign(r, helpers, &r->tasks.items[i], err);
			break;
		}
		if (missing == before && !ret && missing) {
			const struct restore_task *absent = find_absent(r, missing);

			r->stuck = absent ? absent->rec->pid : 0;
			if (absent)
				ret = error_set(err, EBADMSG,
						"process %u is in session %u, and nobody can make "
						"it there",
						absent->rec->pid, absent->rec->sid);
		}
	} while (!ret && missing);
	free(done);
	return ret || r->trial ? ret : end_detours(r, detours, err);
}

static int try_tasks(struct checkpoint *c, struct restore *r, struct error **err)
{
	vec_for_each (t, &c->tasks) {
		struct restore_task *copy = vec_add(&r->tasks);

		if (!copy)
			return error_errno(err, ENOMEM, "looking at the tree");
		*copy = (struct restore_task){
			.rec = &t->rec,
			.pidfd = -1,
			.files_of = t->files_of ? t->files_of->rec.pid : 0,
			.fs_of = t->fs_of ? t->fs_of->rec.pid : 0,
		};
	}
	r->tasks.items[0].pid = TRIAL_PID;
	return 0;
}

/*
 * Nearly every tree: whoever does not lead a session has its parent's, and nobody shares anything.
 * So each is made by its parent. Children come behind their parents, and in the order of these.
 */
static bool is_plain(const struct checkpoint *c)
{
	const struct dump_task *init = c->tasks.items, *parent = init;

	for (const struct dump_task *t = init + 1; t < init + c->tasks.count; t++) {
		while (parent < t && parent->rec.pid != t->rec.ppid)
			parent++;
		if (parent == t || t->files_of || t->fs_of ||
		    (t->rec.sid != t->rec.pid && t->rec.sid != parent->rec.sid))
			return false;
	}
	return init->rec.sid == init->rec.pid;
}

int tree_can_be_made(struct checkpoint *c, uint32_t *stuck, struct error **err)
{
	struct restore r = {.trial = true};
	helper_vec helpers = {0}, detours = {0};
	int ret;

	/* everybody waits for this: it takes the square of how many they are */
	if (is_plain(c))
		return 0;
	ret = try_tasks(c, &r, err);
	/* every init begins as the leader of a session, a stub as well */
	if (!ret)
		ret = make_tree(&r, &helpers, &detours, r.tasks.items[0].rec->pid, err);
	free_helpers(&helpers);
	free_helpers(&detours);
	*stuck = r.stuck;
	vec_free(&r.tasks);
	return ret;
}

/* The leader of a group makes it; one that is gone is stood in for. */
static int join_groups(struct restore *r, helper_vec *helpers, struct error **err)
{
	int ret = 0;

	vec_for_each (t, &r->tasks)
		if (!ret && t->rec->pgid == t->rec->pid && !births_leads(t))
			ret = stub_call(t, "making a process group", err, SYS_setpgid, 0, 0);
	vec_for_each (t, &r->tasks) {
		struct helper *h;

		if (ret || t->rec->pgid == t->rec->pid || births_leads(t) || !t->rec->pgid)
			continue;
		h = find_helper(helpers, t->rec->pgid);
		if (!h && !restore_find(r, t->rec->pgid)) {
			ret = make_helper(r, helpers, t, t->rec->pgid, &h, err);
			if (!ret)
				ret = stub_call(&h->task, "making a process group", err,
						SYS_setpgid, 0, 0);
		}
		if (!ret)
			ret = stub_call(t, "joining a process group", err, SYS_setpgid, 0,
					t->rec->pgid);
	}
	return ret;
}

static int dismiss_helper(struct restore *r, struct helper *h, struct error **err)
{
	int ret = end_stub(&h->task, 0, err);

	return ret ? ret : reap_helper(restore_find(r, h->parent), h->pid, err);
}

/* The runtime's own handlers are inherited by stubs, and its name. */
static int prepare_end(struct restore_task *t, struct error **err)
{
	struct remote_call *call = remote_calls(&t->remote);
	uint32_t signo = t->rec->exit_code & 0x7f;
	unsigned n = 0;

	memset(remote_data(&t->remote), 0, 32);
	memcpy((char *)remote_data(&t->remote) + 32, t->rec->comm, sizeof(t->rec->comm));
	remote_set(&call[n++], SYS_prctl, PR_SET_NAME, remote_data_address(&t->remote) + 32);
	if (signo) {
		remote_set(&call[n++], SYS_rt_sigaction, signo, remote_data_address(&t->remote), 0,
			   8);
		/* it dies again, but leaves no core again */
		remote_set(&call[n++], SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	}
	return remote_run(&t->remote, 0, n, err);
}

static int end_zombies(struct restore *r, struct error **err)
{
	int ret = 0;

	vec_for_each (t, &r->tasks) {
		if (ret || t->rec->state != CKPT_TASK_ZOMBIE)
			continue;
		ret = prepare_end(t, err);
		if (!ret)
			ret = end_stub(t, t->rec->exit_code & 0xff7f, err);
	}
	return ret;
}

int stubs_make_ended(struct restore *r, struct restore_task *maker, uint32_t pid, uint32_t status,
		     int (*look)(void *ctx, const struct restore_task *t, struct error **err),
		     void *ctx, struct error **err)
{
	struct ckpt_task rec = {
		.pid = pid, .state = CKPT_TASK_ZOMBIE, .exit_code = status & 0xff7f};
	struct restore_task t = {.rec = &rec};
	int ret = pid ? remote_clone(&maker->remote, 0, 0, pid, &t.pid, err)
		      : clone_anybody(r, maker, 0, &rec.pid, &t.pid, err);

	if (ret)
		return ret;
	/* its copy of its maker's window is the same memory, which one of them uses at a time */
	t.remote = maker->remote;
	t.remote.tid = t.pid;
	ret = trace_set_sigmask(t.pid, ~0ull, err);
	if (!ret)
		ret = look(ctx, &t, err);
	if (!ret)
		ret = remote_settle(&maker->remote, err);
	if (!ret)
		ret = prepare_end(&t, err);
	if (!ret)
		ret = end_task(&t, rec.exit_code, err);
	if (!ret)
		ret = reap_helper(maker, rec.pid, err);
	return ret;
}

int stubs_make(struct restore *r, struct error **err)
{
	struct restore_task *init = &r->tasks.items[0];
	helper_vec helpers = {0}, detours = {0};
	long sid, pid;
	int ret = remote_syscall(&init->remote, err, "getsid", &sid, SYS_getsid, 0, 0, 0, 0, 0, 0);

	if (!ret)
		ret = remote_syscall(&init->remote, err, "getpid", &pid, SYS_getpid, 0, 0, 0, 0, 0,
				     0);
	if (ret)
		return ret;
	if (pid != init->rec->pid)
		return error_set(err, EEXIST, "the init had pid %u and would now have %ld",
				 init->rec->pid, pid);
	ret = creds_drop_common(r, err);
	if (!ret)
		ret = make_tree(r, &helpers, &detours, sid, err);
	if (!ret)
		ret = join_groups(r, &helpers, err);
	if (!ret)
		ret = tty_settle(r, err);
	for (size_t i = 0; !ret && i < helpers.count; i++)
		ret = dismiss_helper(r, helpers.items[i], err);
	if (!ret)
		ret = end_zombies(r, err);
	free_helpers(&helpers);
	free_helpers(&detours);
	return ret;
}

/* rseq and the robust list are inherited from the runtime at clone, and point into its memory. */
int stub_forget_runtime(struct restore *r, struct error **err)
{
	struct remote *stub = &r->tasks.items[0].remote;
	struct remote_call *call = remote_calls(stub);
	struct {
		uint64_t pointer;
		uint32_t size, signature, flags, pad;
	} rseq = {0};
	unsigned n = 0;
	int ret;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, stub->tid, sizeof(rseq), &rseq) >= 0 &&
	    rseq.pointer)
		remote_set(&call[n++], SYS_rseq, rseq.pointer, rseq.size, 1 /* unregister */,
			   rseq.signature);
	remote_set(&call[n++], SYS_set_robust_list, 0, 24);
	remote_set(&call[n++], SYS_set_tid_address, 0);
	ret = remote_run(stub, 0, n, err);
	for (unsigned i = 0; !ret && i < n; i++)
		if (call[i].ret < 0)
			ret = error_errno(err, -call[i].ret, "preparing the stub (call %ld)",
					  call[i].nr);
	return ret;
}
