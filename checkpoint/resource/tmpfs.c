// SPDX-License-Identifier: GPL-2.0-only
/*
 * File systems in memory that were mounted for the container begin empty at a
 * restore. What is in them is not saved yet, so it is refused by name: all but
 * what every start makes again (device nodes, links, mount points) and sockets,
 * which their listeners bind again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "checkpoint/resource/mounts.h"
#include "checkpoint/resource/resource.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define DEPTH_MAX 64

static bool is_mount_point(const mount_vec *mounts, const char *path)
{
	vec_for_each (m, mounts)
		if (!strcmp(m->point, path))
			return true;
	return false;
}

/* 1: *found is what would be lost; 0: nothing. In /dev the runtime itself makes empty files. */
static int find_contents(const mount_vec *mounts, int fd, const char *path, bool is_dev, int depth,
			 char **found)
{
	__cleanup_dir DIR *dir = fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		close(fd);
		return 0;
	}
	while (depth < DEPTH_MAX && (e = readdir(dir))) {
		__cleanup_free char *name = NULL;
		struct stat st;
		int below;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    asprintf(&name, "%s/%s", path, e->d_name) < 0 ||
		    fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    is_mount_point(mounts, name))
			continue;
		if (S_ISREG(st.st_mode) ? !is_dev || st.st_size
		    : is_dev		? false
			     : S_ISFIFO(st.st_mode) || S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode)) {
			*found = take_ptr(name);
			return 1;
		}
		if (!S_ISDIR(st.st_mode))
			continue;
		below = openat(dirfd(dir), e->d_name,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below >= 0 && find_contents(mounts, below, name, is_dev, depth + 1, found))
			return 1;
	}
	return 0;
}

/* One that the host has mounted too came in by a bind mount: it is still there at the restore. */
static bool is_from_outside(const mount_vec *ours, const struct mount *m)
{
	vec_for_each (o, ours)
		if (o->major == m->major && o->minor == m->minor)
			return true;
	return false;
}

static int admit_mount(struct checkpoint *c, const mount_vec *mounts, const struct mount *m)
{
	__cleanup_free char *found = NULL;
	int fd = open_in_root(c->rootfd, m->point, O_RDONLY | O_DIRECTORY, 0);
	struct stat st;

	/* hidden by another mount: out of reach for the container as well */
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) || major(st.st_dev) != m->major || minor(st.st_dev) != m->minor) {
		close(fd);
		return 0;
	}
	if (!find_contents(mounts, fd, strcmp(m->point, "/") ? m->point : "",
			   !strcmp(m->point, "/dev"), 0, &found))
		return 0;
	return checkpoint_block(c, 0, -1, 0,
				"remove it, or keep it in the root file system or a bind mount",
				"\"%s\", in a file system in memory,", found);
}

static int tmpfs_admit(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	mount_vec mounts = {0}, ours = {0};
	char pid[16];
	int r;

	if (t)
		return 0;
	snprintf(pid, sizeof(pid), "%d", c->request->init);
	r = mounts_read(pid, &mounts, err);
	if (!r)
		r = mounts_read("self", &ours, err);
	vec_for_each (m, &mounts)
		if (!r && !strcmp(m->type, "tmpfs") && !is_from_outside(&ours, m))
			r = admit_mount(c, &mounts, m);
	mounts_free(&mounts);
	mounts_free(&ours);
	return r;
}

static const enum ckpt_type tmpfs_types[] = {0};

static const char *const tmpfs_not_captured[] = {
	"contents of file systems in memory (tmpfs): refused",
	NULL,
};

const struct resource_class resource_tmpfs = {
	.name = "tmpfs",
	.version = 1,
	.types = tmpfs_types,
	.admit = tmpfs_admit,
	.not_captured = tmpfs_not_captured,
};
