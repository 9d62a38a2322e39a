/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices of config.json for a container with a new user namespace, in which nobody may make
 * nodes: the runtime makes them in a file system of its own, and the init binds them from there.
 */
#ifndef FIRN_LIBCONTAINER_DEVICES_OUTSIDE_H
#define FIRN_LIBCONTAINER_DEVICES_OUTSIDE_H

struct error;
struct oci_config;
struct rootfs;

/*
 * By the runtime. *fd is a mount that is attached nowhere, with a node named by its number for each
 * device; or -1: none is wanted, or the runtime may not make nodes itself, and then the host's are
 * bound.
 */
int devices_make_outside(const struct oci_config *config, int *fd, struct error **err);

/* By the init: binds them to their places from that mount, r->devices_fd. */
int devices_bind_outside(const struct rootfs *r, struct error **err);

#endif
