/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the cgroup object share: layout, creation, limits, freezer. */
#ifndef FIRN_LIBCONTAINER_CGROUP_INTERNAL_H
#define FIRN_LIBCONTAINER_CGROUP_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "libcontainer/cgroup.h"

struct cgroup_driver;
struct cgroup_unit; /* of cgroup_systemd.c */
struct oci_device_rule;
struct oci_resources;

/* Controllers by their v1 name; io is BLKIO, and systemd's named hierarchy is one of them. */
enum controller {
	CTL_FREEZER = 1 << 0,
	CTL_DEVICES = 1 << 1,
	CTL_PIDS = 1 << 2,
	CTL_MEMORY = 1 << 3,
	CTL_CPUACCT = 1 << 4,
	CTL_CPU = 1 << 5,
	CTL_CPUSET = 1 << 6,
	CTL_BLKIO = 1 << 7,
	CTL_HUGETLB = 1 << 8,
	CTL_NET_CLS = 1 << 9,
	CTL_NET_PRIO = 1 << 10,
	CTL_RDMA = 1 << 11,
	CTL_SYSTEMD = 1 << 12,
	CTL_UNIFIED = 1 << 13, /* wanted because of the config's "unified" */
};

struct hierarchy {
	int version;
	unsigned int controllers; /* on v2: those of the root's cgroup.controllers */
	char *names; /* as in /proc/PID/cgroup: "cpu,cpuacct", "name=systemd", "" for v2 */
	char *mount; /* where it is mounted */
	char *own;   /* the caller's cgroup below the mount: "/..." */
	char *path;  /* the container's: "/..." */
	int fd;	     /* of the container's directory, or -1: not in this one */
	bool made;   /* by cgroup_make(), to be removed if that fails */
	bool given;  /* made for us by the driver: its processes are not another's */
};

struct cgroup {
	struct hierarchy *items;
	size_t count, size;
	char *recorded;
	const struct cgroup_driver *driver;
	struct cgroup_unit *unit;
	bool explicit;	   /* who called us has chosen the place: its parents' limits are to hold */
	bool started;	   /* by the driver: to be stopped if the rest fails */
	bool user_systemd; /* as cgroup_options says */
	bool rootless;	   /* its own rights may not do for it: see may_do_without() */
};

/* The controllers (CTL_*) in a list divided by commas. */
unsigned int cgroup_controllers(const char *list);

/*
 * All mounted hierarchies with the caller's place in them. fds are -1. The
 * result is for cgroup_free().
 */
int cgroup_layout(struct cgroup **cg, struct error **err);

/* The same with that process's place in them. */
int cgroup_layout_of(pid_t pid, struct cgroup **cg, struct error **err);

/* The same from the given texts of mountinfo and of /proc/self/cgroup, for tests. */
int cgroup_layout_parse(const char *mountinfo, const char *own, struct cgroup *cg,
			struct error **err);

/*
 * Whether the machine's controllers are v1's, also if a v2 hierarchy is beside them. One that
 * somebody has mounted for himself on a v2 machine, net_cls for a VPN, makes no such.
 */
bool cgroup_is_v1(const struct cgroup *cg);

/* The hierarchy that carries the freezer and has the container, or NULL. */
struct hierarchy *cgroup_freezer_hierarchy(const struct cgroup *cg);

/* Which controllers the configuration sets limits in. */
unsigned int cgroup_limited(const struct oci_resources *res);

/* Makes and opens the container's cgroup in a hierarchy. -EBUSY if it is another's. */
int cgroup_join(struct hierarchy *h, unsigned int limited, struct error **err);

/*
 * Applies the limits of these controllers (CTL_*) to the container's opened cgroups. What
 * "unified" says of pids wants CTL_PIDS, too.
 */
int cgroup_apply(struct cgroup *cg, const struct oci_resources *res, unsigned int controllers,
		 struct error **err);

/*
 * Makes the controllers' files appear in a v2 cgroup, by enabling them in all
 * cgroups above it. Only those in required fail.
 */
int cgroup_enable_v2(struct hierarchy *h, unsigned int controllers, unsigned int required,
		     struct error **err);

/* The device rules: in v1's devices hierarchy, or by a BPF program on v2. */
int cgroup_apply_devices(struct cgroup *cg, const struct oci_resources *res, struct error **err);

/* The rules with those that every container has, in their order: the last that fits counts. */
struct cgroup_device_rules {
	struct oci_device_rule *items;
	size_t count, size;
};
int cgroup_device_rules(const struct oci_resources *res, struct cgroup_device_rules *rules,
			struct error **err);
void cgroup_device_rules_free(struct cgroup_device_rules *rules);

int cgroup_apply_devices_v2(const struct hierarchy *h, const struct oci_device_rule *rules,
			    size_t count, struct error **err);

/* v1 weights and shares as v2 counts them. */
unsigned long long cgroup_cpu_weight(unsigned long long shares);
unsigned long long cgroup_io_weight(unsigned long long weight);

/* Nested deeper than this is taken for an attack on our stack. */
#define CGROUP_MAX_DEPTH 64

/* Calls fn for the directory and all below it, deepest first, with open fds. Stops at an error. */
int cgroup_walk(int dir_fd, int (*fn)(int dir_fd, void *ctx), void *ctx);

#endif
