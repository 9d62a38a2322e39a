/* SPDX-License-Identifier: GPL-2.0-only */
/* The features document (runtime-spec, features.md): what `firn features` prints. */
#ifndef FIRN_OCI_FEATURES_H
#define FIRN_OCI_FEATURES_H

#include "oci/config.h"

/*
 * It tells what Firn is built with, not what the host has. What oci/ does not
 * know itself comes from the caller; all borrowed, and NULL leaves it out.
 */
struct oci_features {
	const char *version;		  /* Firn's */
	const char *const *mount_options; /* sorted, ends with NULL */
	const char *const *seccomp_flags; /* those of linux.seccomp.flags that can be set here */
	bool systemd_cgroup, rdma;
	bool apparmor, selinux;
	bool idmap_mounts;
	const struct oci_pairs *annotations; /* besides Firn's own */
};

/* Indented JSON, malloc'ed, or NULL for want of memory. */
char *oci_features_json(const struct oci_features *features);

#endif
