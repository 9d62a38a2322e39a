/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * linux.intelRdt: shares of cache and memory bandwidth. A class of service is a directory of
 * the resctrl file system, with a file "schemata" of what it may use and a file "tasks".
 */
#ifndef FIRN_LIBCONTAINER_INTEL_RDT_H
#define FIRN_LIBCONTAINER_INTEL_RDT_H

#include <stdbool.h>
#include <sys/types.h>

struct error;
struct oci_intel_rdt;

/* What was made, and is to be removed with the container: never what was there before. */
struct intel_rdt {
	char *clos;  /* the class's directory */
	char *group; /* the monitoring group's, or NULL */
	bool clos_made, group_made;
};

/* Where resctrl is mounted, malloc'ed. -EOPNOTSUPP if it is nowhere. */
int intel_rdt_root(char **root, struct error **err);

/* Finds or makes the class below root, and the monitoring group. Undone on failure. */
int intel_rdt_create(const char *root, const char *id, const struct oci_intel_rdt *config,
		     struct intel_rdt *rdt, struct error **err);

/* Puts the process, and what it will start, into the class and the group. */
int intel_rdt_join(const struct intel_rdt *rdt, pid_t pid, struct error **err);

/* Other limits for the class of a container that runs; empty strings are not given. */
int intel_rdt_update(const char *root, const char *id, const struct oci_intel_rdt *config,
		     struct error **err);

/* Removes what was made. */
void intel_rdt_remove(struct intel_rdt *rdt);

/* As lines for the container's directory (state_kept.c), and back: what was made only. */
char *intel_rdt_record(const struct intel_rdt *rdt);
void intel_rdt_remove_recorded(const char *record);

void intel_rdt_free(struct intel_rdt *rdt);
#define __cleanup_intel_rdt __attribute__((cleanup(intel_rdt_free)))

#endif
