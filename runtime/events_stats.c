// SPDX-License-Identifier: GPL-2.0-only
#include "runtime/events_stats.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "libcontainer/cgroup.h"
#include "libcontainer/cgroup_stats.h"
#include "libcontainer/state.h"
#include "runtime/view.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/json_write.h"

static int print_event(const char *type, const char *id, const struct cgroup *stats,
		       struct error **err)
{
	__cleanup_json struct json *j = json_new(false);

	json_object_begin(j);
	json_add_string(j, "type", type);
	json_add_string(j, "id", id);
	if (stats) {
		json_key(j, "data");
		cgroup_stats_write(j, stats);
	}
	json_object_end(j);
	return view_print(j, err);
}

static int open_cgroup(const struct container *c, struct cgroup **cg, struct error **err)
{
	if (c->state == CONTAINER_DEAD || !c->cgroup_path)
		return error_set(err, ESRCH, "container not running");
	return cgroup_open(c->cgroup_path, cg, err);
}

int events_print_stats(const struct container *c, struct error **err)
{
	__cleanup_cgroup struct cgroup *cg = NULL;
	int r = open_cgroup(c, &cg, err);

	return r < 0 ? r : print_event("stats", c->id, cg, err);
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

struct ooms {
	uint64_t count, told;
};

/* 1 when the cgroup is gone. */
static int print_ooms(const struct container *c, const struct cgroup *cg, int oom,
		      struct ooms *ooms, struct error **err)
{
	if (cgroup_oom_read(cg, oom, &ooms->count) < 0)
		return 1;
	for (; ooms->told < ooms->count; ooms->told++) {
		int r = print_event("oom", c->id, NULL, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int follow(const struct container *c, const struct cgroup *cg, int oom, int interval_ms,
		  struct error **err)
{
	__cleanup_fd int init = pidfd_open(c->init.pid, 0);
	struct pollfd fds[] = {{.fd = oom, .events = POLLIN}, {.fd = init, .events = POLLIN}};
	long long next = now_ms();
	struct ooms ooms = {0};
	int r = 0;

	if (init < 0 || !process_alive(&c->init))
		return error_set(err, ESRCH, "container not running");
	while (r == 0) {
		long long left = next - now_ms();

		if (left <= 0) {
			r = print_event("stats", c->id, cg, err);
			next += interval_ms;
			continue;
		}
		if (poll(fds, 2, left) < 0 && errno != EINTR)
			return error_errno(err, errno, "waiting for events");
		if (fds[0].revents)
			r = print_ooms(c, cg, oom, &ooms, err);
		if (fds[1].revents && r == 0)
			r = 1;
	}
	return r < 0 ? r : 0;
}

int events_follow_stats(const struct container *c, int interval_ms, struct error **err)
{
	__cleanup_cgroup struct cgroup *cg = NULL;
	__cleanup_fd int oom = -1;
	int r = open_cgroup(c, &cg, err);

	if (r < 0)
		return r;
	oom = cgroup_oom_open(cg, err);
	return oom < 0 ? oom : follow(c, cg, oom, interval_ms, err);
}
