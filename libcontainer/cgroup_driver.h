/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who makes a container's cgroups: Firn itself (cgroup.c), or systemd as a unit
 * (cgroup_systemd.c). The limits in their files are Firn's in any case: see cgroup_limits.c.
 */
#ifndef FIRN_LIBCONTAINER_CGROUP_DRIVER_H
#define FIRN_LIBCONTAINER_CGROUP_DRIVER_H

#include <stdbool.h>
#include <sys/types.h>

struct cgroup;
struct error;
struct oci_config;

struct cgroup_driver {
	/* Says where the container is to be in each hierarchy (path). Makes nothing. */
	int (*place)(struct cgroup *cg, const char *id, const struct oci_config *config,
		     struct error **err);

	/* The rest may be NULL: nothing is to be done then. */

	/*
	 * Makes cgroups, or has them made, before those are joined that are missing. Sets
	 * cg->started once stop is wanted, also if it fails then.
	 */
	int (*start)(struct cgroup *cg, const struct oci_config *config, struct error **err);

	/* The container's first process is there: who kept its place may go. */
	int (*settle)(struct cgroup *cg, struct error **err);

	/* The files of these controllers (CTL_*, or 0) have been written to. */
	int (*limited)(struct cgroup *cg, unsigned int controllers, struct error **err);

	/* Moves a process where the caller may not; only the directories are left to be entered. */
	int (*attach)(struct cgroup *cg, pid_t pid, struct error **err);

	/* Whether processes can be cloned into the cgroup, or move there by themselves. */
	bool (*may_enter)(const struct cgroup *cg);

	/* Whether what was planned is there, and not another's of that name. */
	bool (*is_made)(struct cgroup *cg);

	/* Undoes start; what is left of directories is removed after that. No processes are left.
	 */
	void (*stop)(struct cgroup *cg);

	/* Frees what it has in cg->unit. */
	void (*free)(struct cgroup *cg);
};

extern const struct cgroup_driver cgroup_systemd_driver;

/*
 * The line that the record of a container's cgroups has for its unit (see cgroup_path()), to be
 * freed, or NULL for want of memory; and the driver set as such a record says: 1 if it has such a
 * line, else 0.
 */
char *cgroup_systemd_record(const struct cgroup *cg);
int cgroup_systemd_recorded(struct cgroup *cg, const char *recorded);

#endif
