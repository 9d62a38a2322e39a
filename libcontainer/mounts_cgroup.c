// SPDX-License-Identifier: GPL-2.0-only
/*
 * A mount of type "cgroup" means "as on the host, but only the container's
 * own": cgroup2 on a unified host; else a tmpfs with a directory per v1
 * hierarchy.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "libcontainer/cgroup_internal.h"
#include "libcontainer/mount_options.h"
#include "libcontainer/rootfs.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define HOST "/sys/fs/cgroup"

static bool host_is_unified(void)
{
	struct statfs fs;

	return statfs(HOST, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* The cgroup's directory, for those who share the host's cgroup namespace. */
static int attach_directory(int target, const struct hierarchy *h, const struct mount_options *o,
			    struct error **err)
{
	__cleanup_fd int source = open_fmt(O_PATH | O_DIRECTORY, "%s%s", h->mount, h->path);
	__cleanup_fd int copy = source < 0 ? source : mount_clone(source, false);
	int ret = copy < 0 ? copy : mount_change(copy, o->attr_set, o->attr_clear, false);

	if (ret == 0)
		ret = mount_attach(copy, target);
	if (ret < 0)
		return error_errno(err, -ret, "mounting %s%s", h->mount, h->path);
	return 0;
}

/* Over whatever is there, also the host's own: an rbound /sys brings that along. */
static int mount_cgroup2(int target, const struct mount_options *o, struct error **err)
{
	__cleanup_fd int fd = mount_new("cgroup2", NULL, NULL, o->attr_set);
	int ret = fd < 0 ? fd : mount_attach(fd, target);

	return ret < 0 ? error_errno(err, -ret, "mounting cgroup2") : 0;
}

static int mount_path_of(int target, const char *source, const char *type, unsigned long flags,
			 const char *data, struct error **err)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", target);
	if (mount(source, path, type, flags, data) < 0)
		return error_errno(err, errno, "mounting %s%s%s", type, data ? " with " : "",
				   data ? data : "");
	return 0;
}

/* cpu -> cpu,cpuacct, as hosts have it. */
static int link_controllers(int dir, const char *directory, struct error **err)
{
	char name[NAME_MAX + 1];

	if (!strchr(directory, ','))
		return 0;
	for (const char *c = directory; *c; c += *c == ',') {
		size_t len = strcspn(c, ",");

		snprintf(name, sizeof(name), "%.*s", (int)len, c);
		if (symlinkat(directory, dir, name) < 0 && errno != EEXIST)
			return error_errno(err, errno, "making the link %s", name);
		c += len;
	}
	return 0;
}

static int mount_hierarchy(const struct rootfs *r, int dir, const struct hierarchy *h,
			   const struct mount_options *o, struct error **err)
{
	const char *slash = strrchr(h->mount, '/');
	const char *directory = slash ? slash + 1 : h->mount;
	__cleanup_fd int target = -1;
	int ret;

	if (mkdirat(dir, directory, 0755) < 0 && errno != EEXIST)
		return error_errno(err, errno, "making the directory %s", directory);
	target = openat(dir, directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return error_errno(err, errno, "opening the directory %s", directory);
	if (!r->cgroup_namespace)
		ret = attach_directory(target, h, o, err);
	else if (h->version == 2)
		ret = mount_cgroup2(target, o, err);
	else
		ret = mount_path_of(target, "cgroup", "cgroup", o->flags, h->names, err);
	return ret < 0 ? ret : link_controllers(dir, directory, err);
}

/* Only those the container is in: in another, it would see all of the host's. */
static int mount_hierarchies(const struct rootfs *r, int dir, const struct mount_options *o,
			     struct error **err)
{
	vec_for_each (h, r->cgroup) {
		int ret = h->fd < 0 ? 0 : mount_hierarchy(r, dir, h, o, err);

		if (ret < 0)
			return ret;
	}
	return 0;
}

static int mount_unified(const struct rootfs *r, int target, const struct mount_options *o,
			 struct error **err)
{
	if (r->cgroup_namespace)
		return mount_cgroup2(target, o, err);
	vec_for_each (h, r->cgroup)
		if (h->fd >= 0)
			return attach_directory(target, h, o, err);
	return error_set(err, ENOENT, "the container has no cgroup to mount");
}

int rootfs_mount_cgroup(struct rootfs *r, const struct oci_mount *m, const struct mount_options *o,
			struct error **err)
{
	__cleanup_fd int target = rootfs_open_or_make(r, m->destination, true, err);
	__cleanup_fd int dir = -1;
	unsigned long flags = o->flags & ~(unsigned long)MS_RDONLY;
	int ret;

	if (target < 0)
		return target;
	if (host_is_unified())
		return mount_unified(r, target, o, err);
	ret = mount_path_of(target, "tmpfs", "tmpfs", flags, "mode=755", err);
	if (ret < 0)
		return ret;
	dir = open_in_root(r->fd, m->destination, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return error_errno(err, -dir, "opening the tmpfs");
	ret = mount_hierarchies(r, dir, o, err);
	if (ret == 0 && o->flags & MS_RDONLY) {
		ret = mount_change(dir, MOUNT_ATTR_RDONLY, 0, false);
		if (ret < 0)
			return error_errno(err, -ret, "making the tmpfs read-only");
	}
	return ret;
}
