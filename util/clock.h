/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FIRN_UTIL_CLOCK_H
#define FIRN_UTIL_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NSEC_PER_SEC 1000000000ll

/* What the clock says, in nanoseconds; one of those that there always are. */
static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

struct clocks {
	uint64_t realtime, monotonic, boottime;
};

static inline struct clocks clocks_now(void)
{
	return (struct clocks){
		.realtime = clock_ns(CLOCK_REALTIME),
		.monotonic = clock_ns(CLOCK_MONOTONIC),
		.boottime = clock_ns(CLOCK_BOOTTIME),
	};
}

#endif
