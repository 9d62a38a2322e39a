// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "libcontainer/rootfs.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

struct paths {
	VEC(char *) list;
};

static void free_paths(struct paths *paths)
{
	vec_for_each (path, &paths->list)
		free(*path);
	vec_free(&paths->list);
}

static void end_mounts(FILE **file)
{
	if (*file)
		endmntent(*file);
}

static bool is_below(const char *path, const char *root)
{
	size_t len = strlen(root);

	return !strncmp(path, root, len) && (!path[len] || path[len] == '/');
}

/* Where the host has proc and sysfs, apart from those of the container. */
static int find_host_mounts(const char *root, struct paths *found, struct error **err)
{
	__cleanup(end_mounts) FILE *file = setmntent("/proc/self/mounts", "re");
	struct mntent entry;
	char line[8192];

	if (!file)
		return error_errno(err, errno, "reading /proc/self/mounts");
	while (getmntent_r(file, &entry, line, sizeof(line))) {
		char **item;

		if ((strcmp(entry.mnt_type, "proc") && strcmp(entry.mnt_type, "sysfs")) ||
		    is_below(entry.mnt_dir, root))
			continue;
		item = vec_add(&found->list);
		if (item)
			*item = strdup(entry.mnt_dir);
		if (!item || !*item)
			return error_errno(err, ENOMEM, "reading /proc/self/mounts");
	}
	return 0;
}

/* One that cannot be unmounted, being locked in a user namespace, is covered. */
static int hide_host_mount(const char *path, struct error **err)
{
	/* private: on the host it must stay where it is */
	if (mount(NULL, path, NULL, MS_PRIVATE | MS_REC, NULL) == 0 &&
	    umount2(path, MNT_DETACH) == 0)
		return 0;
	if (mount("tmpfs", path, "tmpfs", MS_RDONLY, NULL) == 0)
		return 0;
	/* it went with one that it was mounted on */
	if (errno == ENOENT)
		return 0;
	return error_errno(err, errno, "hiding \"%s\" of the host", path);
}

/*
 * A proc or sysfs of the host's with nothing mounted over it, out of reach as it is below the root,
 * is what the kernel wants to see before it mounts another one for a user namespace
 * (mount_too_revealing() in fs/namespace.c). And that would be without masked paths.
 */
static int hide_host_mounts(const struct rootfs *r, struct error **err)
{
	__cleanup(free_paths) struct paths found = {0};
	__cleanup_free char *root = NULL;
	char path[32];
	int ret;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", r->fd);
	root = read_link(AT_FDCWD, path);
	if (!root)
		return error_errno(err, errno, "finding the path of the root file system");
	ret = find_host_mounts(root, &found, err);
	vec_for_each (item, &found.list) {
		if (ret == 0)
			ret = hide_host_mount(*item, err);
	}
	return ret;
}

int rootfs_move(const struct rootfs *r, struct error **err)
{
	int ret = hide_host_mounts(r, err);

	if (ret < 0)
		return ret;
	if (fchdir(r->fd) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		return error_errno(err, errno, "moving the root file system to /");
	return 0;
}
