/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages that a process has from its parent and that neither of them has written to since, which
 * the kernel keeps once (copy-on-write). They are recorded once, too: as the parent's. At a restore
 * who has something to bequeath gets its memory before it clones its heirs; they keep what they
 * have inherited, and replace the rest by what they have of their own.
 */
#ifndef FIRN_RESOURCE_MEMORY_COW_H
#define FIRN_RESOURCE_MEMORY_COW_H

#include "checkpoint/engine/engine.h"
#include "checkpoint/user/pages.h"

/* --- a checkpoint --- */

/* Whose pagemap is open: that of the last parent that was looked at. */
struct cow_parent {
	const struct dump_task *task;
	int pagemap; /* -1: none */
};

/* Finds out who may have pages in common with whom. The others cost nothing more. */
int cow_find_kin(struct checkpoint *c, struct error **err);

/*
 * Makes those pages of t's runs the parent's which are, and says which of its own others may have
 * too (*shared, one for each run). pagemap is t's.
 */
int cow_mark(struct checkpoint *c, const struct dump_task *t, int pagemap,
	     struct cow_parent *parent, page_run_vec *runs, bool **shared, struct error **err);

/* When all is recorded: that a restore will find what tasks are to inherit. */
int cow_verify(const struct checkpoint *c, struct error **err);

/* --- a restore --- */

/* A part of a mapping that the stub was born with: from the mapping's start to end. */
struct cow_kept {
	const struct ckpt_vma *vma, *parents;
	uint64_t end;
};
typedef VEC(struct cow_kept) cow_kept_vec;

/* When all is loaded: that what tasks are to inherit is there. Says who inherits, who bequeaths. */
int cow_check(struct restore *r, struct error **err);

/* What t's stub keeps, by address; nothing if it is not its parent's memory that it has. */
int cow_find_kept(struct restore *r, const struct restore_task *t, cow_kept_vec *kept,
		  struct error **err);

/* The part of a mapping that is kept, or NULL. */
const struct cow_kept *cow_kept_of(const cow_kept_vec *kept, const struct ckpt_vma *v);

/* Lets go of pages in what is kept that the parent has and t has not (any more). */
int cow_drop_others(struct restore_task *t, const cow_kept_vec *kept, struct error **err);

/* Queues what t should have inherited, if its stub was not born to its parent: copies. */
int cow_copy(struct restore *r, struct restore_task *t, struct error **err);
void cow_forget(struct restore_task *t);

#endif
