// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

int mount_clone(int fd, bool recursive)
{
	int tree = open_tree(fd, "",
			     AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
				     (recursive ? AT_RECURSIVE : 0));

	return tree < 0 ? -errno : tree;
}

int mount_new(const char *type, const char *option, const char *value,
	      unsigned long long attributes)
{
	__cleanup_fd int fs = fsopen(type, FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0 || (option && fsconfig(fs, FSCONFIG_SET_STRING, option, value, 0) < 0) ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
	return fd < 0 ? -errno : fd;
}

int mount_attach(int mount_fd, int target_fd)
{
	if (move_mount(mount_fd, "", target_fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
		return -errno;
	return 0;
}

int mount_change(int mount_fd, unsigned long long set, unsigned long long clear, bool recursive)
{
	struct mount_attr attr = {.attr_set = set, .attr_clr = clear};

	if (!set && !clear)
		return 0;
	if (mount_setattr(mount_fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr,
			  sizeof(attr)))
		return -errno;
	return 0;
}

/*
 * pivot_root(2) refuses a new root below a shared mount. Making everything a
 * slave suffices, unless the configuration asks for shared mounts.
 */
static int unshare_parent_mount(const char *path, struct error **err)
{
	__cleanup_free char *where = strdup(path);

	if (!where)
		return error_errno(err, ENOMEM, "opening the root file system");
	/* the mount point above is not known by name: EINVAL means "not one, look higher" */
	while (mount(NULL, where, NULL, MS_PRIVATE, NULL) < 0) {
		char *slash = strrchr(where, '/');

		if (errno != EINVAL || !slash || !where[1])
			return error_errno(err, errno, "making the mount of \"%s\" private", path);
		slash[slash == where] = '\0';
	}
	return 0;
}

int rootfs_open(struct rootfs *r, const char *path, struct error **err)
{
	unsigned long propagation = r->config->lx.rootfs_propagation;
	bool shared = propagation & MS_SHARED;

	/* what cannot be bound could not be made a mount of its own: see rootfs_finish() */
	if (propagation & MS_UNBINDABLE)
		propagation = MS_SLAVE;
	if (mount(NULL, "/", NULL, propagation ? propagation | MS_REC : MS_SLAVE | MS_REC, NULL) <
	    0)
		return error_errno(err, errno, "changing the propagation of mounts");
	if (shared) {
		int ret = unshare_parent_mount(path, err);

		if (ret < 0)
			return ret;
	}
	if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0)
		return error_errno(err, errno, "mounting the root file system \"%s\"", path);
	r->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r->fd < 0)
		return error_errno(err, errno, "opening the root file system \"%s\"", path);
	return 0;
}

/* mkdir -p below the root: each missing component is made in the directory that was opened. */
static int make_directories(const struct rootfs *r, const char *path)
{
	char prefix[PATH_MAX];

	for (const char *end = path; *end;) {
		__cleanup_fd int above = -1, fd = -1;
		const char *name;

		end += strspn(end, "/");
		name = end;
		end += strcspn(end, "/");
		if (end - path >= PATH_MAX)
			return -ENAMETOOLONG;
		memcpy(prefix, path, end - path);
		prefix[end - path] = '\0';
		fd = open_in_root(r->fd, prefix[0] ? prefix : "/", O_PATH | O_DIRECTORY, 0);
		if (fd >= 0)
			continue;
		if (fd != -ENOENT)
			return fd;
		prefix[name - path] = '\0';
		above = open_in_root(r->fd, prefix[0] ? prefix : "/", O_PATH | O_DIRECTORY, 0);
		if (above < 0)
			return above;
		memcpy(prefix, name, end - name);
		prefix[end - name] = '\0';
		if (mkdirat(above, prefix, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

int rootfs_open_parent(const struct rootfs *r, const char *path, const char **name,
		       struct error **err)
{
	const char *slash = strrchr(path, '/');
	char above[PATH_MAX] = "/";
	int fd;

	*name = slash ? slash + 1 : path;
	if (!**name || !strcmp(*name, ".") || !strcmp(*name, ".."))
		return error_set(err, EINVAL, "\"%s\" does not end in a name", path);
	if (slash && slash != path) {
		if (slash - path >= PATH_MAX)
			return error_errno(err, ENAMETOOLONG, "opening \"%.50s...\"", path);
		memcpy(above, path, slash - path);
		above[slash - path] = '\0';
	}
	fd = open_in_root(r->fd, above, O_PATH | O_DIRECTORY, 0);
	if (fd == -ENOENT) {
		fd = make_directories(r, above);
		if (fd == 0)
			fd = open_in_root(r->fd, above, O_PATH | O_DIRECTORY, 0);
	}
	if (fd < 0)
		return error_errno(err, -fd, "making the directory \"%s\" in the root file system",
				   above);
	return fd;
}

static int make_file(const struct rootfs *r, const char *path, struct error **err)
{
	__cleanup_fd int above = -1, made = -1;
	const char *name;

	above = rootfs_open_parent(r, path, &name, err);
	if (above < 0)
		return above;
	made = openat(above, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, 0644);
	if (made < 0 && errno != EEXIST)
		return error_errno(err, errno, "making \"%s\" in the root file system", path);
	return 0;
}

int rootfs_open_or_make(const struct rootfs *r, const char *path, bool directory,
			struct error **err)
{
	int fd = open_in_root(r->fd, path, O_PATH, 0);
	int ret = 0;

	if (fd != -ENOENT)
		return fd < 0 ? error_errno(err, -fd, "opening \"%s\" in the root file system",
					    path)
			      : fd;
	if (directory) {
		ret = make_directories(r, path);
		if (ret < 0)
			return error_errno(err, -ret, "making \"%s\" in the root file system",
					   path);
	} else {
		ret = make_file(r, path, err);
		if (ret < 0)
			return ret;
	}
	fd = open_in_root(r->fd, path, O_PATH, 0);
	if (fd < 0)
		return error_errno(err, -fd, "opening \"%s\" in the root file system", path);
	return fd;
}

int rootfs_open_plain(const struct rootfs *r, const char *path, struct error **err)
{
	const struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
	};
	__cleanup_fd int made = rootfs_open_or_make(r, path, true, err);
	long fd;

	if (made < 0)
		return made;
	do
		fd = syscall(SYS_openat2, r->fd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	if (fd < 0 && errno == ELOOP)
		return error_set(err, ELOOP, "a symbolic link leads to \"%s\"", path);
	return fd < 0 ? error_errno(err, errno, "opening \"%s\" in the root file system", path)
		      : (int)fd;
}

/* The null device, from outside: what the root file system calls /dev/null may be anything. */
static int open_null(struct error **err)
{
	__cleanup_fd int fd = open("/dev/null", O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "opening /dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return error_set(err, EPERM, "the host's /dev/null is not the null device");
	return take_fd(&fd);
}

/* One empty read-only directory for all masked directories. */
static int make_empty_directory(struct error **err)
{
	int fd = mount_new("tmpfs", "mode", "755",
			   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				   MOUNT_ATTR_NOEXEC);

	return fd < 0 ? error_errno(err, -fd, "making a tmpfs for masked paths") : fd;
}

/*
 * The first masked directory gets the tmpfs itself, further ones copies of it:
 * before Linux 6.15 only an attached mount can be copied.
 */
static int mask_directory(int target, int *empty_fd, struct error **err)
{
	__cleanup_fd int copy = -1;
	int ret;

	if (*empty_fd < 0) {
		*empty_fd = make_empty_directory(err);
		return *empty_fd < 0 ? *empty_fd : mount_attach(*empty_fd, target);
	}
	copy = mount_clone(*empty_fd, false);
	ret = copy < 0 ? copy : mount_attach(copy, target);
	return ret;
}

static int mask_file(int target, int null_fd)
{
	__cleanup_fd int copy = mount_clone(null_fd, false);

	return copy < 0 ? copy : mount_attach(copy, target);
}

static int mask_path(const struct rootfs *r, const char *path, int null_fd, int *empty_fd,
		     struct error **err)
{
	__cleanup_fd int target = open_in_root(r->fd, path, O_PATH, 0);
	struct stat st;
	int ret;

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0 || fstat(target, &st) < 0)
		return error_errno(err, target < 0 ? -target : errno, "masking \"%s\"", path);
	ret = S_ISDIR(st.st_mode) ? mask_directory(target, empty_fd, err)
				  : mask_file(target, null_fd);
	if (ret < 0 && !*err)
		return error_errno(err, -ret, "masking \"%s\"", path);
	return ret;
}

static int protect_path(const struct rootfs *r, const char *path, struct error **err)
{
	__cleanup_fd int target = open_in_root(r->fd, path, O_PATH, 0);
	__cleanup_fd int copy = -1;
	int ret;

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	copy = target < 0 ? target : mount_clone(target, true);
	ret = copy < 0 ? copy : mount_change(copy, MOUNT_ATTR_RDONLY, 0, true);
	if (ret == 0)
		ret = mount_attach(copy, target);
	if (ret < 0)
		return error_errno(err, -ret, "making \"%s\" read-only", path);
	return 0;
}

int rootfs_hide_paths(struct rootfs *r, struct error **err)
{
	const struct oci_linux *lx = &r->config->lx;
	__cleanup_fd int null_fd = -1, empty_fd = -1;
	int ret = 0;

	if (lx->masked_paths.count) {
		null_fd = open_null(err);
		ret = null_fd < 0 ? null_fd : 0;
	}
	for (size_t i = 0; i < lx->masked_paths.count && ret == 0; i++)
		ret = mask_path(r, lx->masked_paths.items[i], null_fd, &empty_fd, err);
	for (size_t i = 0; i < lx->readonly_paths.count && ret == 0; i++)
		ret = protect_path(r, lx->readonly_paths.items[i], err);
	return ret;
}

/*
 * The new root is mounted over the old one and the old one taken from below
 * it: needs no directory for it, and leaves no moment with both (pivot_root(2)
 * "pivot_root(".", ".")").
 */
static int pivot(const struct rootfs *r, struct error **err)
{
	__cleanup_fd int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (old < 0 || fchdir(r->fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0) {
		int code = errno;

		error_errno(err, code, "changing the root with pivot_root");
		return code == EINVAL ? error_hint(err, "on a ramdisk use --no-pivot") : -code;
	}
	/*
	 * The old root's mounts must not be unmounted on the host too. By its descriptor: what
	 * is "." is still the new root, which may want to share its mounts.
	 */
	if (fchdir(old) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 ||
	    umount2(".", MNT_DETACH) < 0)
		return error_errno(err, errno, "unmounting the host's root");
	return 0;
}

int rootfs_pivot(struct rootfs *r, bool no_pivot, struct error **err)
{
	int ret;

	ret = no_pivot ? rootfs_move(r, err) : pivot(r, err);
	if (ret == 0 && chdir("/") < 0)
		ret = error_errno(err, errno, "entering the new root");
	return ret;
}

int rootfs_finish(struct rootfs *r, struct error **err)
{
	unsigned long propagation = r->config->lx.rootfs_propagation;
	int ret;

	if (propagation & (MS_SHARED | MS_UNBINDABLE) &&
	    mount(NULL, "/", NULL, propagation, NULL) < 0)
		return error_errno(err, errno, "setting linux.rootfsPropagation");
	if (r->config->root && r->config->root->readonly) {
		ret = mount_change(r->fd, MOUNT_ATTR_RDONLY, 0, false);
		if (ret < 0)
			return error_errno(err, -ret, "making the root file system read-only");
	}
	return 0;
}
