/* SPDX-License-Identifier: GPL-2.0-only */
/* What `firn spec` writes. */
#ifndef FIRN_OCI_SPEC_H
#define FIRN_OCI_SPEC_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * A configuration to start from: a shell in the read-only "rootfs" beside it.
 * Rootless: with a user namespace that maps uid and gid to root (else they are
 * ignored), and without what only root may do. Malloc'ed, or NULL for want of memory.
 */
char *oci_spec_default(bool rootless, uid_t uid, gid_t gid);

#endif
