/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The container's root file system, made by its init in its own mount
 * namespace. Paths within it are untrusted: a root file system may hold any
 * symlink, so all are opened below root_fd with RESOLVE_IN_ROOT and used as
 * descriptors from there on.
 */
#ifndef FIRN_LIBCONTAINER_ROOTFS_H
#define FIRN_LIBCONTAINER_ROOTFS_H

#include <stdbool.h>
#include <sys/types.h>

#include "util/buf.h"

struct cgroup;
struct error;
struct idmapped_mounts;
struct oci_config;
struct oci_device;
struct oci_mount;
struct mount_options;

struct rootfs {
	int fd;		     /* O_PATH, of the root as it is mounted */
	int bundle_fd;	     /* relative sources of binds start here */
	int devices_fd;	     /* of devices_make_outside(), or -1 */
	bool user_namespace; /* devices cannot be made, only bound */
	bool cgroup_namespace;
	VEC(int) filled;	     /* mounts for rootfs_protect_filled() */
	const struct cgroup *cgroup; /* the container's */
	const struct idmapped_mounts *idmapped;
	const struct oci_config *config;
};

/* Makes mount propagation as wanted, and the root a mount of its own. path is on the host. */
int rootfs_open(struct rootfs *r, const char *path, struct error **err);

/* Everything of config's mounts, in order. */
int rootfs_mount_all(struct rootfs *r, struct error **err);

/* Device nodes and links in /dev, unless /dev is bound from outside. */
int rootfs_make_devices(struct rootfs *r, struct error **err);

/* What a device of config.json is to mknod(2): S_IF*, permissions, number. */
mode_t device_type(const struct oci_device *d);
mode_t device_mode(const struct oci_device *d);
dev_t device_number(const struct oci_device *d);

/* Binds a file (O_PATH) to a path in the root. */
int rootfs_bind_file(const struct rootfs *r, int source, const char *path, struct error **err);

/* Binds the pseudo-terminal's other end to /dev/console. */
int rootfs_bind_console(struct rootfs *r, int slave_fd, struct error **err);

/* linux.maskedPaths and linux.readonlyPaths. */
int rootfs_hide_paths(struct rootfs *r, struct error **err);

/* Makes those mounts read-only that later steps had to make something in: a tmpfs, /dev. */
int rootfs_protect_filled(struct rootfs *r, struct error **err);

/*
 * The --no-pivot of rootfs_pivot(): the root is moved over the host's, which stays below it without
 * proc and sysfs (rootfs_move.c). With the host's /proc.
 */
int rootfs_move(const struct rootfs *r, struct error **err);

/* Makes it the root; the host's is gone afterwards. */
int rootfs_pivot(struct rootfs *r, bool no_pivot, struct error **err);

/* What has to come last: propagation and write protection of the root. */
int rootfs_finish(struct rootfs *r, struct error **err);

/*
 * Opens what a path in the root names (O_PATH), making it and what leads to it
 * if it is missing: a directory, or an empty file. Negative errno on failure.
 */
int rootfs_open_or_make(const struct rootfs *r, const char *path, bool directory,
			struct error **err);

/*
 * The same for a directory that no symbolic link may lead to: what is mounted there is trusted
 * by its path later on (CVE-2019-19921).
 */
int rootfs_open_plain(const struct rootfs *r, const char *path, struct error **err);

/* The directory above a path (O_PATH), made if missing; *name is what follows, in path. */
int rootfs_open_parent(const struct rootfs *r, const char *path, const char **name,
		       struct error **err);

/* A detached copy of what fd (O_PATH) names. Negative errno on failure. */
int mount_clone(int fd, bool recursive);

/* Puts a detached mount over what target_fd names. Negative errno on failure. */
int mount_attach(int mount_fd, int target_fd);

/* Changes attributes (MOUNT_ATTR_*) of a mount or of the tree below it. Negative errno. */
int mount_change(int mount_fd, unsigned long long set, unsigned long long clear, bool recursive);

/*
 * A new mount of a file system that needs no more than options of the form NAME=VALUE (or NULL),
 * detached. Unlike one by mount(2) it can go over another of the same file system, where that
 * fails with EBUSY and leaves the other visible. Negative errno on failure.
 */
int mount_new(const char *type, const char *option, const char *value,
	      unsigned long long attributes);

/* A cgroup mount as this host's layout wants it (mounts_cgroup.c). */
int rootfs_mount_cgroup(struct rootfs *r, const struct oci_mount *m, const struct mount_options *o,
			struct error **err);

#endif
