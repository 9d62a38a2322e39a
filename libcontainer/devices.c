// SPDX-License-Identifier: GPL-2.0-only
/* /dev: nodes and links, as runtime-spec config-linux.md "Default Devices" wants them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "libcontainer/devices_outside.h"
#include "libcontainer/rootfs.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

static const struct {
	char *path;
	unsigned int major, minor;
} default_devices[] = {
	{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
	{"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};

static const struct {
	const char *path, *target;
} links[] = {
	{"/dev/fd", "/proc/self/fd"},	    {"/dev/stdin", "/proc/self/fd/0"},
	{"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"},
	{"/dev/core", "/proc/kcore"},	    {"/dev/ptmx", "pts/ptmx"},
};

int rootfs_bind_file(const struct rootfs *r, int source, const char *path, struct error **err)
{
	__cleanup_fd int target = rootfs_open_or_make(r, path, false, err);
	__cleanup_fd int copy = -1;
	int ret;

	if (target < 0)
		return target;
	copy = mount_clone(source, false);
	ret = copy < 0 ? copy : mount_attach(copy, target);
	return ret < 0 ? error_errno(err, -ret, "binding the device \"%s\"", path) : 0;
}

/* Nobody may make nodes in a user namespace, but bind those that are there. */
static int bind_device(const struct rootfs *r, const char *path, struct error **err)
{
	__cleanup_fd int source = open(path, O_PATH | O_CLOEXEC);

	if (source < 0)
		return error_errno(err, errno, "opening the host's \"%s\"", path);
	return rootfs_bind_file(r, source, path, err);
}

mode_t device_type(const struct oci_device *d)
{
	return d->type == 'b' ? S_IFBLK : d->type == 'p' ? S_IFIFO : S_IFCHR;
}

mode_t device_mode(const struct oci_device *d)
{
	return d->has_file_mode ? d->file_mode & 07777 : 0666;
}

dev_t device_number(const struct oci_device *d)
{
	return d->type == 'p' ? 0 : makedev(d->major, d->minor);
}

static bool is_already(int dir, const char *name, const struct oci_device *d)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (st.st_mode & S_IFMT) == device_type(d) &&
	       (d->type == 'p' || st.st_rdev == device_number(d));
}

static int make_device(const struct rootfs *r, const struct oci_device *d, struct error **err)
{
	__cleanup_fd int dir = -1;
	const char *name;

	if (r->user_namespace)
		return bind_device(r, d->path, err);
	dir = rootfs_open_parent(r, d->path, &name, err);
	if (dir < 0)
		return dir;
	if (mknodat(dir, name, device_type(d) | device_mode(d), device_number(d)) < 0) {
		if (errno == EPERM)
			return bind_device(r, d->path, err);
		if (errno != EEXIST || !is_already(dir, name, d))
			return error_errno(err, errno, "making the device \"%s\"", d->path);
	}
	if ((d->uid || d->gid) && fchownat(dir, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(err, errno, "giving the device \"%s\" its owner", d->path);
	return 0;
}

static int make_link(const struct rootfs *r, const char *path, const char *target,
		     struct error **err)
{
	const char *name;
	__cleanup_fd int dir = rootfs_open_parent(r, path, &name, err);

	if (dir < 0)
		return dir;
	if (symlinkat(target, dir, name) < 0 && errno != EEXIST)
		return error_errno(err, errno, "making the link \"%s\"", path);
	return 0;
}

/* Whoever binds a /dev from outside has filled it as well. */
static bool dev_is_bound(const struct oci_config *config)
{
	vec_for_each (m, &config->mounts) {
		if (strcmp(m->destination, "/dev") && strcmp(m->destination, "/dev/"))
			continue;
		if (m->type && !strcmp(m->type, "bind"))
			return true;
		for (size_t i = 0; i < m->options.count; i++)
			if (!strcmp(m->options.items[i], "bind") ||
			    !strcmp(m->options.items[i], "rbind"))
				return true;
	}
	return false;
}

static int make_default(const struct rootfs *r, size_t i, struct error **err)
{
	const struct oci_device device = {
		.type = 'c',
		.path = default_devices[i].path,
		.major = default_devices[i].major,
		.minor = default_devices[i].minor,
	};

	/* config.json may want it otherwise */
	vec_for_each (d, &r->config->lx.devices)
		if (!strcmp(d->path, device.path))
			return 0;
	return make_device(r, &device, err);
}

static int make_configured(const struct rootfs *r, struct error **err)
{
	int ret = 0;

	if (r->devices_fd >= 0)
		return devices_bind_outside(r, err);
	vec_for_each (d, &r->config->lx.devices)
		if (ret == 0)
			ret = make_device(r, d, err);
	return ret;
}

int rootfs_make_devices(struct rootfs *r, struct error **err)
{
	int ret = 0;

	if (dev_is_bound(r->config))
		return 0;
	for (size_t i = 0; i < sizeof(default_devices) / sizeof(default_devices[0]); i++) {
		ret = make_default(r, i, err);
		if (ret < 0)
			return ret;
	}
	ret = make_configured(r, err);
	if (ret < 0)
		return error_wrap(err, "/linux/devices of config.json");
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		ret = make_link(r, links[i].path, links[i].target, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int rootfs_bind_console(struct rootfs *r, int slave_fd, struct error **err)
{
	__cleanup_fd int target = rootfs_open_or_make(r, "/dev/console", false, err);
	__cleanup_fd int copy = -1;
	struct statfs fs;
	int ret;

	if (target < 0)
		return target;
	/* a link could lead to a file that the container would have the terminal over
	 * (CVE-2025-52565) */
	if (fstatfs(target, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC)
		return error_set(err, EPERM, "/dev/console leads into /proc");
	copy = mount_clone(slave_fd, false);
	ret = copy < 0 ? copy : mount_attach(copy, target);
	if (ret < 0)
		return error_errno(err, -ret, "binding the terminal to /dev/console");
	return 0;
}
