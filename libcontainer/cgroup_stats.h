/* SPDX-License-Identifier: GPL-2.0-only */
/* What a container uses, and that it ran out of memory. */
#ifndef FIRN_LIBCONTAINER_CGROUP_STATS_H
#define FIRN_LIBCONTAINER_CGROUP_STATS_H

#include <stdint.h>

struct cgroup;
struct error;
struct json;

/* Writes an object with the members that runc's `events` has; what the kernel does not count is 0.
 */
void cgroup_stats_write(struct json *j, const struct cgroup *cg);

/*
 * A descriptor that is readable when the OOM killer was at work, or the cgroup is gone. -EOPNOTSUPP
 * if the container is in no cgroup that tells.
 */
int cgroup_oom_open(const struct cgroup *cg, struct error **err);

/*
 * Reads it, and adds to *count how often it was at work: v1 tells of each time, v2 the sum.
 * -ENODEV if the cgroup is gone.
 */
int cgroup_oom_read(const struct cgroup *cg, int fd, uint64_t *count);

#endif
