// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/copy_up.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/* Deeper than this is taken for an attack on our stack and descriptors. */
#define DEPTH_MAX 128

static int copy_tree(int from, int to, int depth, struct error **err);

/* What the new file system does not take, as labels that are its own to give, stays away. */
static void copy_xattrs(int from, int to)
{
	char names[4096], value[65536];
	ssize_t len = flistxattr(from, names, sizeof(names));

	for (char *name = names; len > 0 && name < names + len; name += strlen(name) + 1) {
		ssize_t n = fgetxattr(from, name, value, sizeof(value));

		if (n >= 0)
			fsetxattr(to, name, value, n, 0);
	}
}

/* The mode last: a change of owner takes the set-id bits away. */
static int copy_attributes(int from, int to, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};

	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
		return -errno;
	copy_xattrs(from, to);
	return futimens(to, times) < 0 ? -errno : 0;
}

static int copy_data(int from, int to)
{
	ssize_t n;

	do
		n = sendfile(to, from, NULL, 1 << 20);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

static int copy_file(int from_dir, int to_dir, const char *name, const struct stat *st)
{
	__cleanup_fd int from =
		openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	__cleanup_fd int to = -1;
	int ret;

	if (from < 0)
		return -errno;
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	ret = copy_data(from, to);
	return ret < 0 ? ret : copy_attributes(from, to, st);
}

static int copy_directory(int from_dir, int to_dir, const char *name, const struct stat *st,
			  int depth, struct error **err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	__cleanup_fd int from = openat(from_dir, name, flags);
	__cleanup_fd int to = -1;
	int ret;

	if (from < 0 || mkdirat(to_dir, name, 0700) < 0)
		return -errno;
	to = openat(to_dir, name, flags);
	if (to < 0)
		return -errno;
	ret = copy_tree(from, to, depth + 1, err);
	return ret < 0 ? ret : copy_attributes(from, to, st);
}

static int copy_link(int from_dir, int to_dir, const char *name)
{
	__cleanup_free char *target = read_link(from_dir, name);

	return !target || symlinkat(target, to_dir, name) < 0 ? -errno : 0;
}

/* Of links, devices, pipes and sockets: what has no descriptor to do it by. */
static int copy_special(int from_dir, int to_dir, const char *name, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	int ret = 0;

	if (S_ISLNK(st->st_mode))
		ret = copy_link(from_dir, to_dir, name);
	else if (mknodat(to_dir, name, st->st_mode, st->st_rdev) < 0)
		ret = -errno;
	if (ret < 0)
		return ret;
	if (fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int copy_entry(int from, int to, const char *name, int depth, struct error **err)
{
	struct stat st;
	int ret;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		ret = -errno;
	else if (S_ISDIR(st.st_mode))
		ret = copy_directory(from, to, name, &st, depth, err);
	else if (S_ISREG(st.st_mode))
		ret = copy_file(from, to, name, &st);
	else
		ret = copy_special(from, to, name, &st);
	if (ret < 0 && !*err)
		error_errno(err, -ret, "copying \"%s\" into the tmpfs", name);
	if (ret == -ENOSPC)
		error_hint(err, "its option size= is too small");
	return ret;
}

static int copy_tree(int from, int to, int depth, struct error **err)
{
	__cleanup_dir DIR *dir = open_dir_again(from);
	struct dirent *entry;

	if (!dir)
		return -errno;
	if (depth > DEPTH_MAX)
		return -ELOOP;
	while ((entry = readdir(dir))) {
		int ret = 0;

		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			ret = copy_entry(from, to, entry->d_name, depth, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int copy_up(int from, int to, bool keep_owner, struct error **err)
{
	struct stat st;
	int ret = copy_tree(from, to, 0, err);

	if (ret == 0 && !keep_owner &&
	    (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0))
		ret = -errno;
	if (ret < 0 && !*err)
		return error_errno(err, -ret, "copying into the tmpfs");
	return ret;
}
