/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FIRN_LIBCONTAINER_CGROUP_ENTER_H
#define FIRN_LIBCONTAINER_CGROUP_ENTER_H

struct cgroup;
struct error;

/*
 * Moves the calling process, which must have one thread, into all cgroups. For
 * v1 much cheaper than cgroup_attach(): a thread that moves only itself by the
 * "tasks" file takes no lock that waits for an RCU grace period
 * (kernel/cgroup/cgroup.c, cgroup_procs_write_start()).
 */
int cgroup_enter(struct cgroup *cg, struct error **err);

#endif
