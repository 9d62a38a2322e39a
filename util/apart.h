/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Work that has to be finished once it is begun, even if we are killed in the middle: a child does
 * it, out of reach of what is sent to us, to our process group or to our terminal.
 */
#ifndef FIRN_UTIL_APART_H
#define FIRN_UTIL_APART_H

#include <sys/types.h>

struct buf;
struct error;

/*
 * Calls work(ctx, result, err) in a copy of this process, whose memory is its own: what it found
 * out is appended to result, and its error becomes the caller's. Descriptors are shared as by
 * fork().
 */
int apart_run(int (*work)(void *ctx, struct buf *result, struct error **err), void *ctx,
	      struct buf *result, struct error **err);

/* The same for work that need not be finished: -ECANCELED, it was killed when *cancel was set. */
int apart_run_until(int (*work)(void *ctx, struct buf *result, struct error **err), void *ctx,
		    struct buf *result, const volatile int *cancel, struct error **err);

/* A child that waits for our end. */
struct apart_guard {
	pid_t pid; /* 0: there is none */
	int fd;
};

/*
 * Should we end, however, before the guard is dismissed, a copy of this process as it is now calls
 * work(ctx). On failure there is no guard to dismiss.
 */
int apart_guard(void (*work)(void *ctx), void *ctx, struct apart_guard *guard, struct error **err);
void apart_dismiss(struct apart_guard *guard);

#endif
