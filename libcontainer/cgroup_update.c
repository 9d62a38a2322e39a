// SPDX-License-Identifier: GPL-2.0-only
/* What happens to the cgroups of a container that runs: other limits, and places below them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcontainer/cgroup_driver.h"
#include "libcontainer/cgroup_internal.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/speaker.h"

/* Processes fork while they are moved: until none is left where it was. */
#define MOVE_ROUNDS 16

/* Of a first thread that has exited v1 says that it is in the root. */
static bool is_in(const struct hierarchy *h, pid_t pid)
{
	__cleanup_free char *text = NULL;
	size_t len = strlen(h->names);

	if (proc_read(&text, NULL, "%d/cgroup", process_speaker(pid)) < 0)
		return true;
	for (char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *names = strchr(line, ':');

		if (!names || strncmp(names + 1, h->names, len) || names[1 + len] != ':')
			continue;
		names += len + 2;
		len = strlen(h->path);
		/* or below: a process in a cgroup made inside has been there before */
		return !strncmp(names, h->path, len) && (names[len] == '\n' || names[len] == '/');
	}
	return false;
}

static int move_all(struct cgroup *cg, const struct hierarchy *h, struct error **err)
{
	for (int round = 0; round < MOVE_ROUNDS; round++) {
		struct pid_list list;
		size_t moved = 0;
		int r = cgroup_pids(cg, &list, err);

		for (size_t i = 0; r == 0 && i < list.count; i++) {
			char text[16];

			if (is_in(h, list.pids[i]))
				continue;
			snprintf(text, sizeof(text), "%d", list.pids[i]);
			r = write_file(h->fd, "cgroup.procs", text);
			moved++;
			/* it has ended */
			if (r == -ESRCH)
				r = 0;
			else if (r < 0)
				error_errno(err, -r, "moving pid %d into cgroup \"%s%s\"",
					    list.pids[i], h->mount, h->path);
		}
		free(list.pids);
		if (r < 0 || !moved)
			return r;
	}
	return error_set(err, EBUSY, "processes keep coming in cgroup \"%s\"", h->path);
}

/* A container is in few v1 hierarchies unless it has limits in others: see cgroup.c. */
static int join_for_limits(struct cgroup *cg, unsigned int limited, struct error **err)
{
	vec_for_each (h, cg) {
		int r = 0;

		if (h->version == 2 && h->fd >= 0)
			r = cgroup_enable_v2(h, h->controllers & limited, limited, err);
		if (h->version == 1 && h->fd < 0 && (h->controllers & limited)) {
			r = cgroup_join(h, limited, err);
			if (r == 0)
				r = move_all(cg, h, err);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_update(struct cgroup *cg, const struct oci_resources *res, struct error **err)
{
	/* device rules are for the whole of a container's life */
	unsigned int limited = cgroup_limited(res) & ~(unsigned int)CTL_DEVICES;
	int r;

	if (!*cg->recorded)
		return error_set(err, EOPNOTSUPP, "the container is in no cgroup");
	r = join_for_limits(cg, limited, err);
	if (r == 0)
		r = cgroup_apply(cg, res, ~(unsigned int)CTL_DEVICES, err);
	if (r == 0 && cg->driver->limited)
		r = cg->driver->limited(cg, limited, err);
	return r;
}

/* A directory below another, whatever links or mounts somebody has put there. */
static int open_below(int dir_fd, const char *path)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	long fd;

	path += strspn(path, "/");
	fd = syscall(SYS_openat2, dir_fd, *path ? path : ".", &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

static bool is_named(const struct hierarchy *h, const char *names, size_t len)
{
	__cleanup_free char *list = strndup(names, len);

	return list && h->version == 1 && cgroup_controllers(list) & h->controllers;
}

int cgroup_enter_below(struct cgroup *cg, const char *where, struct error **err)
{
	const char *colon = strchr(where, ':');
	const char *path = colon ? colon + 1 : where;
	int last = -ENOENT;
	bool found = false;

	vec_for_each (h, cg) {
		int fd;

		if (h->fd < 0 || (colon && !is_named(h, where, colon - where)))
			continue;
		fd = open_below(h->fd, path);
		if (fd < 0) {
			last = fd;
			continue;
		}
		close(h->fd);
		h->fd = fd;
		found = true;
	}
	if (found)
		return 0;
	if (last == -EXDEV)
		return error_set(err, EXDEV, "option \"--cgroup\": %s is not a sub cgroup path",
				 path);
	return error_errno(err, -last, "option \"--cgroup\": \"%s\"", where);
}

static struct hierarchy *find_v2(const struct cgroup *cg)
{
	vec_for_each (h, cg) {
		if (h->version == 2)
			return h;
	}
	return NULL;
}

int cgroup_enter_with(struct cgroup *cg, pid_t pid, struct error **err)
{
	__cleanup_cgroup struct cgroup *of_pid = NULL;
	struct hierarchy *h = find_v2(cg), *its;
	size_t len = h ? strlen(h->path) : 0;
	int ret = cgroup_layout_of(pid, &of_pid, err);
	int fd = -ENOENT;

	if (ret < 0)
		return ret;
	its = find_v2(of_pid);
	if (its && h && h->fd >= 0 && !strncmp(its->own, h->path, len) && its->own[len] == '/')
		fd = open_below(h->fd, its->own + len);
	if (fd < 0)
		return error_errno(err, -fd, "finding the cgroup of pid %d below the container's",
				   pid);
	close(h->fd);
	h->fd = fd;
	return 0;
}
