/* SPDX-License-Identifier: GPL-2.0-only */
/* The same thing for many items, on all processors. */
#ifndef FIRN_PARALLEL_H
#define FIRN_PARALLEL_H

#include <stddef.h>

struct error;

/* How many processors this process may use: 1 at least. */
unsigned parallel_cpus(void);

/*
 * Calls fn for each of the items 0 to count - 1, in any order, by as many threads as there are
 * processors; the caller's is one of them. Whatever fn needs that belongs to one thread (to
 * a tracer, for instance) is out of its reach. The first failure ends it, with its error.
 */
int parallel_each(size_t count, int (*fn)(void *ctx, size_t item, struct error **err), void *ctx,
		  struct error **err);

#endif
