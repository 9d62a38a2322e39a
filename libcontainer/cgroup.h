/* SPDX-License-Identifier: GPL-2.0-only */
/* A container's cgroups on v1, v2 and hybrid layouts, creation to removal. */
#ifndef FIRN_LIBCONTAINER_CGROUP_H
#define FIRN_LIBCONTAINER_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct buf;
struct error;
struct oci_config;
struct oci_resources;
struct cgroup; /* open directory fds of the container's cgroup in each hierarchy */

struct pid_list {
	pid_t *pids;
	size_t count, size;
};

/* The user's own choice, and what he may do. */
struct cgroup_options {
	/*
	 * Where the caller may not make cgroups the container is in none, if it has no limits
	 * there.
	 */
	bool rootless;
	/* It stays in those of its caller: then it has no limits, and none that device rules hold
	 * in. */
	bool none;
	/* They are made by systemd, as a unit: cgroupsPath is "SLICE:PREFIX:NAME" then. */
	bool systemd;
	bool user_systemd; /* by the user's own instance, and not by the system's */
};

/*
 * Creates the container's cgroup and applies the resources. It goes where
 * config's cgroupsPath says: below each mount if that is absolute, else below
 * the caller's own cgroup ("firn/ID" if there is none). Hierarchies that
 * neither freeze, confine nor count it are left out: see CTL_ALWAYS.
 * What is created is removed again on failure. -EEXIST/-EBUSY when a cgroup
 * with tasks is already there.
 *
 * In steps: what cgroup_path() says after the first covers all that the second may
 * make, so that it can be saved before. The third is for when the container's first process is in
 * it, and has not run anything of the container yet: only then all limits are set.
 */
int cgroup_plan(const char *id, const struct oci_config *config,
		const struct cgroup_options *options, struct cgroup **cg, struct error **err);
int cgroup_make(struct cgroup *cg, const struct oci_config *config, struct error **err);
int cgroup_settle(struct cgroup *cg, const struct oci_config *config, struct error **err);

/* Removes what was planned and perhaps made, but only if it is empty: it may be another's. */
void cgroup_remove_empty(const char *path);

/* Opens that of a running container by the recorded path; hierarchies where it is missing are left
 * out. */
int cgroup_open(const char *path, struct cgroup **cg, struct error **err);

/*
 * What to record in the state file: the path in the freezer's hierarchy, then
 * "\nCONTROLLERS:PATH" for each hierarchy where it is another, and "\nunit:NAME" or
 * "\nuser-unit:NAME" if it is a unit of systemd's. Owned by the cgroup. To be saved at once: it is
 * what a cleanup after kill -9 goes by.
 */
const char *cgroup_path(const struct cgroup *cg);

/*
 * Lets a cgroup below the container's own stand for it, in all hierarchies that have it ("PATH")
 * or in those of the controllers ("NAMES:PATH"). -ENOENT if it is in none, or leads elsewhere.
 */
int cgroup_enter_below(struct cgroup *cg, const char *where, struct error **err);

/*
 * Lets the v2 cgroup that the process has made for itself below the container's own stand for
 * that: where controllers are enabled for children, v2 takes no processes (-EBUSY). -ENOENT if it
 * is not below.
 */
int cgroup_enter_with(struct cgroup *cg, pid_t pid, struct error **err);

/* Moves a process (all threads) into all of them. */
int cgroup_attach(struct cgroup *cg, pid_t pid, struct error **err);

/*
 * Whether a process can get there only by another's cgroup_attach(): it can neither be cloned into
 * it nor move itself.
 */
bool cgroup_wants_attach(const struct cgroup *cg);

/*
 * The v2 directory fd for clone3's CLONE_INTO_CGROUP, or -1 where v2 does not
 * carry the freezer, or cgroup_wants_attach().
 */
int cgroup_v2_fd(const struct cgroup *cg);

/* All processes in it and in cgroups below it. The caller frees list->pids. */
int cgroup_pids(struct cgroup *cg, struct pid_list *list, struct error **err);

/* Appends the path of each directory right below it, with the hierarchy's mount, and a NUL. */
int cgroup_nested(struct cgroup *cg, struct buf *paths, struct error **err);

/* Kills every task (cgroup.kill on v2; v1 freeze-kill-thaw is the freezer's) and waits until it is
 * empty. */
int cgroup_kill_all(struct cgroup *cg, int signo, struct error **err);

/* Removes the directories, nested ones first; waits for dying tasks by poll, not blindly. */
int cgroup_destroy(struct cgroup *cg, struct error **err);

/* Changes limits of a container that runs; a hierarchy that it is not in is joined first. */
int cgroup_update(struct cgroup *cg, const struct oci_resources *res, struct error **err);

void cgroup_free(struct cgroup *cg);
static inline void cleanup_cgroup(struct cgroup **cg)
{
	cgroup_free(*cg);
}
#define __cleanup_cgroup __attribute__((cleanup(cleanup_cgroup)))

#endif
