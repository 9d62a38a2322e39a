// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mounts of config.json. Binds are copied, changed while nobody can see
 * them, and attached: no moment in which a read-only bind is writable, and
 * flags that the user namespace has locked stay (mount_setattr(2) changes only
 * what it is told to).
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

#include "libcontainer/copy_up.h"
#include "libcontainer/idmap.h"
#include "libcontainer/labels.h"
#include "libcontainer/mount_options.h"
#include "libcontainer/rootfs.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/*
 * Mounting over /proc itself, or over parts that the runtime and the kernel
 * trust, lets an image fake what is written there (CVE-2019-16884): only proc
 * goes on /proc, and only what lxcfs provides below it.
 */
static const char *const allowed_in_proc[] = {
	"/proc/cpuinfo",
	"/proc/diskstats",
	"/proc/meminfo",
	"/proc/stat",
	"/proc/swaps",
	"/proc/uptime",
	"/proc/loadavg",
	"/proc/slabinfo",
	"/proc/net/dev",
	"/proc/sys/kernel/ns_last_pid",
	"/proc/sys/crypto/fips_enabled",
};

static int check_destination(const struct rootfs *r, const struct oci_mount *m, int target,
			     struct error **err)
{
	struct statfs fs;

	if (m->type && !strcmp(m->type, "proc"))
		return 0;
	if (fstatfs(target, &fs) < 0)
		return error_errno(err, errno, "looking at the destination");
	if (fs.f_type != PROC_SUPER_MAGIC)
		return 0;
	for (size_t i = 0; i < sizeof(allowed_in_proc) / sizeof(allowed_in_proc[0]); i++)
		if (!strcmp(m->destination, allowed_in_proc[i]))
			return 0;
	/* a bind of the host's whole proc, for containers in the host's pid namespace */
	if (!strcmp(m->destination, "/proc"))
		return 0;
	return error_set(err, EPERM, "destination is inside of /proc");
}

static int set_propagation(int mount_fd, unsigned long propagation)
{
	struct mount_attr attr = {.propagation = propagation & ~MS_REC};

	if (!propagation)
		return 0;
	if (mount_setattr(mount_fd, "", AT_EMPTY_PATH | (propagation & MS_REC ? AT_RECURSIVE : 0),
			  &attr, sizeof(attr)) < 0)
		return -errno;
	return 0;
}

static int apply_attributes(int mount_fd, const struct mount_options *o)
{
	int ret = mount_change(mount_fd, o->recursive_set, o->recursive_clear, true);

	if (ret == 0)
		ret = mount_change(mount_fd, o->attr_set, o->attr_clear, false);
	return ret;
}

static int open_source(const struct rootfs *r, const struct oci_mount *m, struct error **err)
{
	int fd;

	if (!m->source)
		return error_set(err, EINVAL, "a bind mount needs a source");
	fd = openat(r->bundle_fd, m->source, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "opening the source \"%s\"", m->source);
	return fd;
}

/* An id-mapped mount was made by the runtime, and is only to be attached: idmapped, else -1. */
static int mount_bind(const struct rootfs *r, const struct oci_mount *m,
		      const struct mount_options *o, int idmapped, struct error **err)
{
	__cleanup_fd int source =
		idmapped < 0 ? open_source(r, m, err) : fcntl(idmapped, F_DUPFD_CLOEXEC, 3);
	__cleanup_fd int target = -1, copy = -1;
	struct stat st;
	int ret;

	if (source < 0)
		return source;
	if (fstat(source, &st) < 0)
		return error_errno(err, errno, "looking at the source \"%s\"", m->source);
	target = rootfs_open_or_make(r, m->destination, S_ISDIR(st.st_mode), err);
	if (target < 0)
		return target;
	ret = check_destination(r, m, target, err);
	if (ret < 0)
		return ret;
	copy = idmapped < 0 ? mount_clone(source, o->recursive) : take_fd(&source);
	if (copy < 0)
		return error_errno(err, -copy, "copying the mount of \"%s\"", m->source);
	ret = apply_attributes(copy, o);
	if (ret < 0)
		return error_errno(err, -ret, "setting options");
	/* what the host mounts below the source later is not to appear, unless asked for */
	ret = set_propagation(copy, o->propagation ? o->propagation : MS_PRIVATE | MS_REC);
	if (ret < 0)
		return error_errno(err, -ret, "setting the propagation");
	ret = mount_attach(copy, target);
	if (ret < 0)
		return error_errno(err, -ret, "attaching \"%s\"", m->source);
	return 0;
}

static int explain_mount(int code, const struct oci_mount *m, struct error **err)
{
	error_errno(err, code, "mounting %s", m->type);
	if (code == ENOSPC)
		return error_hint(err, "the mount limit /proc/sys/fs/mount-max may be reached");
	if (code == ENODEV)
		return error_hint(err, "the kernel does not know this file system");
	if (code == EPERM && !strcmp(m->type, "proc"))
		return error_hint(err, "in a user namespace, proc needs a pid namespace of its "
				       "own and a host proc with nothing mounted over it");
	if (code == EPERM && !strcmp(m->type, "sysfs"))
		return error_hint(err, "in a user namespace, sysfs needs a network namespace of "
				       "its own");
	return -code;
}

/* What mounts on "/proc/self/fd/N" end up on is what was opened, whatever happens to its name. */
static int mount_on(int target, const struct oci_mount *m, const struct mount_options *o,
		    const char *data, struct error **err)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", target);
	if (mount(m->source ? m->source : m->type, path, m->type, o->flags, data) < 0)
		return explain_mount(errno, m, err);
	return 0;
}

/* After a mount on it, the same path leads to what was mounted. */
static int finish_mount(const struct rootfs *r, const struct oci_mount *m,
			const struct mount_options *o, struct error **err)
{
	__cleanup_fd int fd = -1;
	int ret;

	if (!o->propagation && !o->recursive_set && !o->recursive_clear)
		return 0;
	fd = open_in_root(r->fd, m->destination, O_PATH, 0);
	ret = fd < 0 ? fd : mount_change(fd, o->recursive_set, o->recursive_clear, true);
	if (ret == 0)
		ret = set_propagation(fd, o->propagation);
	if (ret < 0)
		return error_errno(err, -ret, "setting options");
	return 0;
}

/*
 * The mode of a tmpfs over a directory that is there already, if none is
 * given, is that directory's, as with runc.
 */
static const char *tmpfs_data(int target, const struct oci_mount *m, const char *data, char *room,
			      size_t size)
{
	struct stat st;

	if (strcmp(m->type, "tmpfs") || strstr(data, "mode=") || fstat(target, &st) < 0)
		return data;
	snprintf(room, size, "%s%smode=%o", data, *data ? "," : "", st.st_mode & 07777);
	return room;
}

static int open_target(const struct rootfs *r, const struct oci_mount *m, struct error **err)
{
	if (!strcmp(m->type, "proc") || !strcmp(m->type, "sysfs"))
		return rootfs_open_plain(r, m->destination, err);
	return rootfs_open_or_make(r, m->destination, true, err);
}

static int mount_labelled(const struct rootfs *r, int target, const struct oci_mount *m,
			  const struct mount_options *o, struct error **err)
{
	char room[4096];
	const char *data = tmpfs_data(target, m, (const char *)o->data.data, room, sizeof(room));
	__cleanup_free char *labelled = labels_mount_data(m->type, data, r->config->lx.mount_label);

	if (!labelled)
		return error_errno(err, ENOMEM, "mounting %s", m->type);
	return mount_on(target, m, o, labelled, err);
}

/* The directory below is reached by its descriptor only. */
static int mount_copied_up(const struct rootfs *r, int target, const struct oci_mount *m,
			   const struct mount_options *o, struct error **err)
{
	__cleanup_fd int from = open_in_root(r->fd, m->destination, O_RDONLY | O_DIRECTORY, 0);
	__cleanup_fd int to = -1;
	const char *data = (const char *)o->data.data;
	int ret;

	if (strcmp(m->type, "tmpfs"))
		return error_set(err, EINVAL, "\"tmpcopyup\" is for a tmpfs only");
	if (from < 0)
		return error_errno(err, -from, "opening what to copy");
	ret = mount_labelled(r, target, m, o, err);
	if (ret < 0)
		return ret;
	to = open_in_root(r->fd, m->destination, O_RDONLY | O_DIRECTORY, 0);
	if (to < 0)
		return error_errno(err, -to, "opening the tmpfs");
	return copy_up(from, to, strstr(data, "uid=") || strstr(data, "gid="), err);
}

/*
 * What comes after it may have to be made in it: a directory to mount on, a device. Binds are of
 * what is there already.
 */
static bool is_filled_later(const struct oci_mount *m, const struct mount_options *o)
{
	return !o->bind && m->type && o->flags & MS_RDONLY &&
	       (!strcmp(m->type, "tmpfs") || !strcmp(m->destination, "/dev"));
}

/* By descriptor: something else may be mounted on its destination by then. */
static int protect_later(struct rootfs *r, const struct oci_mount *m, struct error **err)
{
	int fd = open_in_root(r->fd, m->destination, O_PATH, 0);
	int *item = fd < 0 ? NULL : vec_add(&r->filled);

	if (!item) {
		close(fd);
		return error_errno(err, fd < 0 ? -fd : ENOMEM, "opening what was mounted");
	}
	*item = fd;
	return 0;
}

static int mount_fs(struct rootfs *r, const struct oci_mount *m, const struct mount_options *o,
		    struct error **err)
{
	__cleanup_fd int target = open_target(r, m, err);
	bool later = is_filled_later(m, o);
	struct mount_options now = *o;
	int ret;

	if (target < 0)
		return target;
	ret = check_destination(r, m, target, err);
	if (later)
		now.flags &= ~(unsigned long)MS_RDONLY;
	if (ret == 0)
		ret = o->copy_up ? mount_copied_up(r, target, m, &now, err)
				 : mount_labelled(r, target, m, &now, err);
	if (ret == 0 && later)
		ret = protect_later(r, m, err);
	if (ret < 0)
		return ret;
	return finish_mount(r, m, o, err);
}

static int mount_one(struct rootfs *r, size_t i, const struct mount_options *o, struct error **err)
{
	const struct oci_mount *m = &r->config->mounts.items[i];

	if (o->bind || (m->type && !strcmp(m->type, "bind")))
		return mount_bind(r, m, o, r->idmapped->fds[i], err);
	if (!m->type)
		return error_set(err, EINVAL, "neither a type nor \"bind\" is given");
	if (!strcmp(m->type, "cgroup"))
		return rootfs_mount_cgroup(r, m, o, err);
	return mount_fs(r, m, o, err);
}

int rootfs_mount_all(struct rootfs *r, struct error **err)
{
	for (size_t i = 0; i < r->config->mounts.count; i++) {
		const struct oci_mount *m = &r->config->mounts.items[i];
		struct mount_options o;
		int ret = mount_options_parse(&m->options, &o, err);

		if (ret == 0)
			ret = mount_one(r, i, &o, err);
		buf_free(&o.data);
		if (ret < 0)
			return error_wrap(err, "/mounts/%zu of config.json, on \"%s\"", i,
					  m->destination);
	}
	return 0;
}

int rootfs_protect_filled(struct rootfs *r, struct error **err)
{
	int ret = 0;

	vec_for_each (fd, &r->filled) {
		if (ret == 0)
			ret = mount_change(*fd, MOUNT_ATTR_RDONLY, 0, false);
		close(*fd);
	}
	vec_free(&r->filled);
	return ret < 0 ? error_errno(err, -ret, "making mounts read-only") : 0;
}
