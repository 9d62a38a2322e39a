/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The undo stack: what was done to a container and must be undone if the work
 * fails, or once it is finished. Whoever does something pushes its undoing.
 */
#ifndef FIRN_UTIL_UNDO_H
#define FIRN_UTIL_UNDO_H

struct undo_entry;

struct undo {
	struct undo_entry *top;
};

/*
 * Pushes fn(ctx), under a name for the log (a string constant). If there is no
 * memory for the entry, fn(ctx) runs at once and -ENOMEM is returned.
 */
int undo_push(struct undo *u, const char *name, void (*fn)(void *ctx), void *ctx);

/* Runs everything, newest first, and empties the stack. */
void undo_run(struct undo *u);

/* Runs what is above the newest entry with this name, which stays; all if there is none. */
void undo_run_until(struct undo *u, const char *name);

/* Takes off the newest entry with this name without running it. */
void undo_drop(struct undo *u, const char *name);

/* Forgets everything: it is to stay. */
void undo_forget(struct undo *u);

#endif
