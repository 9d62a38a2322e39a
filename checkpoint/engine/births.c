// SPDX-License-Identifier: GPL-2.0-only
/*
 * In which session each task of a tree is born, and below whom, so that all of
 * them come to have the sessions and parents that they had. A session leader may have had
 * children before it became one: so it is born into the session that they have. One
 * that was below another branch when members of a session were born is made there, and left to its
 * parent later (line_up_parents()).
 *
 * Nothing is made here: stubs.c does that, and a trial of it at the checkpoint.
 */
#include "checkpoint/engine/births.h"

bool births_leads(const struct restore_task *t)
{
	return t->rec->sid == t->rec->pid;
}

uint32_t births_parent(const struct restore_task *t)
{
	return t->below ? t->below : t->rec->ppid;
}

bool births_is_below(struct restore *r, const struct restore_task *t, uint32_t pid)
{
	while (t && births_parent(t) != pid)
		t = restore_find(r, births_parent(t));
	return t;
}

/* The one above t (or t) whose parent is other, or above that. */
static struct restore_task *find_branch(struct restore *r, struct restore_task *t,
					const struct restore_task *other)
{
	while (t) {
		struct restore_task *parent = restore_find(r, births_parent(t));

		if (parent && (parent == other || births_is_below(r, other, parent->rec->pid)))
			return t;
		t = parent;
	}
	return NULL;
}

/* Of a session that is not lined up: its members are made as if nobody had been elsewhere. */
static void take_back_branches(struct restore *r, uint32_t sid)
{
	vec_for_each (t, &r->tasks)
		if (t->below_for == sid)
			t->below = t->below_for = 0;
}

/*
 * Whether parent could have had children of this session that were born as usual: it is in it, or
 * has left it to lead its own, and was born in it to such a one.
 */
static bool can_pass_on(struct restore *r, const struct restore_task *parent, uint32_t sid)
{
	while (parent && parent->rec->sid != sid) {
		if (!births_leads(parent))
			return false;
		parent = restore_find(r, births_parent(parent));
	}
	return parent;
}

/*
 * What stands in for a session's leader, which is gone, makes its members for parents that are
 * all above it; init gets orphans anyway. Where parents are in different branches one
 * branch was below the other when the members were born, and left to its parent later: so it is
 * again, if it can be made in any session, since it leads one. Returns false if that is not so.
 */
static bool line_up_parents(struct restore *r, uint32_t sid)
{
	struct restore_task *lowest = NULL;

	vec_for_each (t, &r->tasks) {
		struct restore_task *parent, *branch;

		if (t->rec->sid != sid)
			continue;
		parent = restore_find(r, t->rec->ppid);
		if (!parent || can_pass_on(r, parent, sid) || parent == &r->tasks.items[0] ||
		    (lowest && (parent == lowest || births_is_below(r, lowest, parent->rec->pid))))
			continue;
		if (lowest && !births_is_below(r, parent, lowest->rec->pid)) {
			branch = find_branch(r, parent, lowest);
			if (!branch || branch->below || !births_leads(branch)) {
				take_back_branches(r, sid);
				return false;
			}
			branch->below = lowest->rec->pid;
			branch->below_for = sid;
		}
		lowest = parent;
	}
	return true;
}

static const struct restore_task *first_of_session(const struct restore *r, uint32_t sid)
{
	const struct restore_task *t = r->tasks.items;

	while (t->rec->sid != sid)
		t++;
	return t;
}

static bool leader_is_gone(struct restore *r, const struct restore_task *t)
{
	return t->rec->sid && !restore_find(r, t->rec->sid);
}

/*
 * The session in which each is to be cloned: its own, or of a session leader its parent's; but if
 * a child has another one that its parent must have had before, that. If the leader of that one is
 * below the parent, though, the child has been left to it, as to a subreaper. Children come behind
 * their parents.
 */
void births_find(struct restore *r)
{
	vec_for_each (t, &r->tasks) {
		const struct restore_task *first = first_of_session(r, t->rec->sid);

		t->lined_up = first != t ? first->lined_up
					 : leader_is_gone(r, t) && line_up_parents(r, t->rec->sid);
	}
	for (size_t i = r->tasks.count; i-- > 0;) {
		struct restore_task *t = &r->tasks.items[i];
		struct restore_task *parent = restore_find(r, births_parent(t));

		if (!births_leads(t))
			t->birth = t->rec->sid;
		else if ((!t->birth || t->below) && parent)
			t->birth = parent->rec->sid;
		if (t->lined_up && !can_pass_on(r, parent, t->birth))
			continue;
		if (parent && births_leads(parent) && t->birth != parent->rec->sid &&
		    !births_is_below(r, restore_find(r, t->birth), parent->rec->pid))
			parent->birth = t->birth;
	}
}
