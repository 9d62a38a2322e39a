// SPDX-License-Identifier: GPL-2.0-only
/* What is in and below a container's cgroups: processes, and cgroups made inside; their end. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libcontainer/cgroup_driver.h"
#include "libcontainer/cgroup_internal.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define DESTROY_PATIENCE_MS 5000

static int walk(int dir_fd, int depth, int (*fn)(int dir_fd, void *ctx), void *ctx)
{
	__cleanup_dir DIR *dir = NULL;
	struct dirent *entry;
	int r;

	if (depth > CGROUP_MAX_DEPTH)
		return -ELOOP;
	dir = open_dir_again(dir_fd);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		__cleanup_fd int below = -1;

		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		below = openat(dir_fd, entry->d_name,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below < 0)
			continue;
		r = walk(below, depth + 1, fn, ctx);
		if (r < 0)
			return r;
	}
	return fn(dir_fd, ctx);
}

int cgroup_walk(int dir_fd, int (*fn)(int dir_fd, void *ctx), void *ctx)
{
	return walk(dir_fd, 0, fn, ctx);
}

static int add_pids(int dir_fd, void *ctx)
{
	struct pid_list *list = ctx;
	__cleanup_free char *text = NULL;
	int r = read_file(dir_fd, "cgroup.procs", 64 << 20, &text, NULL);

	/* a threaded cgroup lists no processes; those of its domain are listed above it */
	if (r == -EOPNOTSUPP)
		return 0;
	/* removed meanwhile */
	if (r == -ENODEV || r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	for (char *next = text; *next;) {
		char *end;
		long pid = strtol(next, &end, 10);
		pid_t *item;

		if (end == next)
			break;
		next = end + (*end == '\n');
		/* 0: a process of another pid namespace, not ours to name */
		if (pid <= 0)
			continue;
		item = vec_add_item((void **)&list->pids, &list->count, &list->size, sizeof(*item));
		if (!item)
			return -ENOMEM;
		*item = pid;
	}
	return 0;
}

static const struct hierarchy *any_hierarchy(const struct cgroup *cg)
{
	const struct hierarchy *h = cgroup_freezer_hierarchy(cg);

	vec_for_each (other, cg) {
		if (!h && other->fd >= 0)
			h = other;
	}
	return h;
}

static int compare_pids(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

int cgroup_pids(struct cgroup *cg, struct pid_list *list, struct error **err)
{
	const struct hierarchy *h = any_hierarchy(cg);
	int r;

	*list = (struct pid_list){0};
	if (!h)
		return 0;
	r = cgroup_walk(h->fd, add_pids, list);
	if (r < 0) {
		free(list->pids);
		*list = (struct pid_list){0};
		return error_errno(err, -r, "reading the processes of cgroup \"%s%s\"", h->mount,
				   h->path);
	}
	if (list->count)
		qsort(list->pids, list->count, sizeof(*list->pids), compare_pids);
	return 0;
}

static int add_nested(const struct hierarchy *h, struct buf *paths)
{
	__cleanup_dir DIR *dir = open_dir_again(h->fd);
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		__cleanup_free char *path = NULL;

		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		if (asprintf(&path, "%s%s/%s", h->mount, h->path, entry->d_name) < 0 ||
		    !buf_add(paths, path, strlen(path) + 1))
			return -ENOMEM;
	}
	return 0;
}

int cgroup_nested(struct cgroup *cg, struct buf *paths, struct error **err)
{
	vec_for_each (h, cg) {
		int r = h->fd < 0 ? 0 : add_nested(h, paths);

		if (r < 0)
			return error_errno(err, -r, "reading cgroup \"%s%s\"", h->mount, h->path);
	}
	return 0;
}

/* Removes what is below a directory; cgroup_walk() would hold the directories open. */
static void remove_below(int dir_fd, int depth)
{
	__cleanup_dir DIR *dir = depth > CGROUP_MAX_DEPTH ? NULL : open_dir_again(dir_fd);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(dir_fd, entry->d_name, AT_REMOVEDIR) < 0) {
			int below = openat(dir_fd, entry->d_name,
					   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (below < 0)
				continue;
			remove_below(below, depth + 1);
			close(below);
			unlinkat(dir_fd, entry->d_name, AT_REMOVEDIR);
		}
	}
}

/*
 * A task leaves its cgroup a moment after its pidfd says it is dead, and
 * nothing tells of it on v1: hence the short steps after the first try.
 */
static int remove_hierarchy(struct hierarchy *h)
{
	char path[PATH_MAX];
	long step_us = 50, waited_us = 0;

	if (snprintf(path, sizeof(path), "%s%s", h->mount, h->path) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	while (rmdir(path) < 0) {
		if (errno == ENOENT)
			break;
		if (errno != EBUSY || waited_us > DESTROY_PATIENCE_MS * 1000L)
			return -errno;
		remove_below(h->fd, 0);
		nanosleep(&(struct timespec){.tv_nsec = step_us * 1000}, NULL);
		waited_us += step_us;
		step_us = step_us < 2000 ? step_us * 2 : step_us;
	}
	return 0;
}

int cgroup_destroy(struct cgroup *cg, struct error **err)
{
	int result = 0;

	if (cg->driver->stop)
		cg->driver->stop(cg);
	vec_for_each (h, cg) {
		int r = h->fd < 0 ? 0 : remove_hierarchy(h);

		if (r < 0 && result == 0)
			result =
				error_errno(err, -r, "removing cgroup \"%s%s\"", h->mount, h->path);
	}
	return result;
}
