// SPDX-License-Identifier: GPL-2.0-only
#include "util/undo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"

struct undo_entry {
	struct undo_entry *below;
	const char *name;
	void (*fn)(void *ctx);
	void *ctx;
};

int undo_push(struct undo *u, const char *name, void (*fn)(void *ctx), void *ctx)
{
	struct undo_entry *e = malloc(sizeof(*e));

	if (!e) {
		fn(ctx);
		return -ENOMEM;
	}
	*e = (struct undo_entry){.below = u->top, .name = name, .fn = fn, .ctx = ctx};
	u->top = e;
	return 0;
}

void undo_run_until(struct undo *u, const char *name)
{
	while (u->top && !(name && !strcmp(u->top->name, name))) {
		struct undo_entry *e = u->top;

		/* off the stack first: what fn calls may run the rest */
		u->top = e->below;
		log_debug("undo %s", e->name);
		e->fn(e->ctx);
		free(e);
	}
}

void undo_run(struct undo *u)
{
	undo_run_until(u, NULL);
}

void undo_drop(struct undo *u, const char *name)
{
	for (struct undo_entry **e = &u->top; *e; e = &(*e)->below) {
		struct undo_entry *found = *e;

		if (strcmp(found->name, name))
			continue;
		*e = found->below;
		free(found);
		return;
	}
}

void undo_forget(struct undo *u)
{
	while (u->top) {
		struct undo_entry *e = u->top;

		u->top = e->below;
		free(e);
	}
}
