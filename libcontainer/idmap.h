/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Id-mapped binds. The kernel maps a mount only for who has the privilege over its file
 * system, that is for the runtime and not for an init in a user namespace: the runtime makes
 * the mounts before it clones the init, which inherits them detached and attaches them. So it
 * does with binds of what the root of a new user namespace cannot get at.
 */
#ifndef FIRN_LIBCONTAINER_IDMAP_H
#define FIRN_LIBCONTAINER_IDMAP_H

#include <stddef.h>

struct error;
struct oci_config;

/* Detached mounts by their index in config's mounts, -1 for the others. */
struct idmapped_mounts {
	int *fds;
	size_t count;
};

/* bundle is where relative sources start. The result is for idmap_close(), also on failure. */
int idmap_open(const struct oci_config *config, const char *bundle, struct idmapped_mounts *mounts,
	       struct error **err);

void idmap_close(struct idmapped_mounts *mounts);

#endif
