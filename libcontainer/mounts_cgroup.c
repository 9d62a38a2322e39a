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

/* The cgroup's directory on the host, for those who share the host's cgroup namespace. */
static int attach_host_cgroup(int target, const char *directory, const char *path,
			      const struct mount_options *o, struct error **err)
{
	__cleanup_fd int source = open_fmt(O_PATH | O_DIRECTORY, HOST "/%s%s", directory, path);
	__cleanup_fd int copy = source < 0 ? source : mount_clone(source, false);
	int ret = copy < 0 ? copy : mount_change(copy, o->attr_set, o->attr_clear, false);

	if (ret == 0)
		ret = mount_attach(copy, target);
	if (ret < 0)
		return error_errno(err, -ret, "mounting " HOST "/%s%s", directory, path);
	return 0;
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

/* Of the lines "N:controllers:path" of /proc/self/cgroup. */
struct entry {
	const char *controllers;
	const char *path;
};

static char *next_entry(char **text, struct entry *e)
{
	char *line = strsep(text, "\n");
	char *controllers, *path;

	if (!line || !*line)
		return NULL;
	controllers = strchr(line, ':');
	path = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!path)
		return NULL;
	*path++ = '\0';
	e->controllers = controllers + 1;
	e->path = path;
	return line;
}

/* Where the host has mounted it: "cpu,cpuacct", "systemd", "unified". */
static const char *directory_of(const struct entry *e)
{
	if (!*e->controllers)
		return "unified";
	if (!strncmp(e->controllers, "name=", 5))
		return e->controllers + 5;
	return e->controllers;
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

static int mount_hierarchy(const struct rootfs *r, int dir, const struct entry *e,
			   const struct mount_options *o, struct error **err)
{
	const char *directory = directory_of(e);
	__cleanup_fd int target = -1;

	if (mkdirat(dir, directory, 0755) < 0 && errno != EEXIST)
		return error_errno(err, errno, "making the directory %s", directory);
	target = openat(dir, directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return error_errno(err, errno, "opening the directory %s", directory);
	if (!r->cgroup_namespace)
		return attach_host_cgroup(target, directory, e->path, o, err);
	if (!*e->controllers)
		return mount_path_of(target, "cgroup2", "cgroup2", o->flags, NULL, err);
	return mount_path_of(target, "cgroup", "cgroup", o->flags, e->controllers, err);
}

static bool host_has_mount(const struct entry *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), HOST "/%s", directory_of(e));
	return access(path, F_OK) == 0;
}

static int mount_hierarchies(const struct rootfs *r, int dir, const struct mount_options *o,
			     struct error **err)
{
	__cleanup_free char *text = NULL;
	struct entry e;
	char *rest;
	int ret = proc_read(&text, NULL, "self/cgroup");

	if (ret < 0)
		return error_errno(err, -ret, "reading /proc/self/cgroup");
	rest = text;
	while (next_entry(&rest, &e)) {
		if (!host_has_mount(&e))
			continue;
		ret = mount_hierarchy(r, dir, &e, o, err);
		if (ret == 0)
			ret = link_controllers(dir, directory_of(&e), err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int mount_unified(const struct rootfs *r, int target, const struct mount_options *o,
			 struct error **err)
{
	__cleanup_free char *text = NULL;
	const char *path = "/";
	int ret;

	if (r->cgroup_namespace)
		return mount_path_of(target, "cgroup", "cgroup2", o->flags, NULL, err);
	ret = proc_read(&text, NULL, "self/cgroup");
	if (ret < 0)
		return error_errno(err, -ret, "reading /proc/self/cgroup");
	text[strcspn(text, "\n")] = '\0';
	if (!strncmp(text, "0::", 3))
		path = text + 3;
	return attach_host_cgroup(target, ".", path, o, err);
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
