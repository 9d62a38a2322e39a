/* SPDX-License-Identifier: GPL-2.0-only */
/* Phases as data: one runner times them, logs them, and lets tests fail at any of them. */
#ifndef FIRN_CHECKPOINT_PHASES_H
#define FIRN_CHECKPOINT_PHASES_H

struct error;

struct phase {
	const char *name;
	int (*run)(void *ctx, struct error **err);
};

/*
 * Runs phases until one fails or *cancel is set (-ECANCELED). The fault points
 * of WHAT's phase NAME are "WHAT-NAME" before it and "WHAT-NAME-end" after it.
 */
int phases_run(const char *what, const struct phase *phases, unsigned count, void *ctx,
	       const volatile int *cancel, struct error **err);

#endif
