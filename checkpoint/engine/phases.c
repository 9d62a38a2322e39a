// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/engine/phases.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "checkpoint/engine/engine.h"
#include "util/error.h"
#include "util/fault.h"
#include "util/log.h"

static double milliseconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1e3 + (now.tv_nsec - start->tv_nsec) / 1e6;
}

static int phase_fault(const char *what, const char *name, const char *end, struct error **err)
{
	char point[64];

	snprintf(point, sizeof(point), "%s-%s%s", what, name, end);
	return fault_point(point, err);
}

int checkpoint_cancelled(const volatile int *cancel, struct error **err)
{
	if (cancel && *cancel)
		return error_set(err, ECANCELED, "cancelled by a signal");
	return 0;
}

int phases_run(const char *what, const struct phase *phases, unsigned count, void *ctx,
	       const volatile int *cancel, struct error **err)
{
	for (unsigned i = 0; i < count; i++) {
		const struct phase *p = &phases[i];
		struct timespec start;
		int r;

		clock_gettime(CLOCK_MONOTONIC, &start);
		r = checkpoint_cancelled(cancel, err);
		if (!r)
			r = phase_fault(what, p->name, "", err);
		if (!r)
			r = p->run(ctx, err);
		if (!r)
			r = phase_fault(what, p->name, "-end", err);
		log_debug("%s: %s %s in %.2f ms", what, p->name, r ? "failed" : "done",
			  milliseconds_since(&start));
		if (r)
			return r;
	}
	return 0;
}
