/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The root of a container that has no mount namespace of its own: what is mounted for it is mounted
 * in the runtime's, below a mount that is recorded, and goes with it.
 */
#ifndef FIRN_LIBCONTAINER_ROOTFS_SHARED_H
#define FIRN_LIBCONTAINER_ROOTFS_SHARED_H

struct container;
struct error;

/*
 * By the runtime: makes c->rootfs a mount of its own, private, which is written down before it is
 * there. Returns a descriptor of it (O_PATH).
 */
int rootfs_share(struct container *c, struct error **err);

/* Unmounts it with all that is below, if it is still there in the caller's mount namespace. */
void rootfs_unshare(const struct container *c);

/* Makes what fd names the caller's root; the host's stays within reach of CAP_SYS_CHROOT. */
int rootfs_enter(int fd, struct error **err);

#endif
