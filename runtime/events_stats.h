/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of `events` that runc has too: statistics, and that the OOM killer was at work. */
#ifndef FIRN_RUNTIME_EVENTS_STATS_H
#define FIRN_RUNTIME_EVENTS_STATS_H

struct container;
struct error;

/* Prints the statistics once. */
int events_print_stats(const struct container *c, struct error **err);

/* Prints them again and again, and OOM events as they come, until the container has ended. */
int events_follow_stats(const struct container *c, int interval_ms, struct error **err);

#endif
