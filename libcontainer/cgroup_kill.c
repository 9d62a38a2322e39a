// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "libcontainer/cgroup_internal.h"
#include "libcontainer/freezer.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/* Tasks that have SIGKILL pending and do not die in this time sit in the kernel. */
#define KILL_PATIENCE_MS 10000

/* A freeze that is only there to outrun a fork bomb: what does not freeze at once, does not fork.
 */
#define FREEZE_PATIENCE_MS 200

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void signal_all(const struct pid_list *list, int signo)
{
	for (size_t i = 0; i < list->count; i++)
		kill(list->pids[i], signo);
}

/* Until they are dead, zombies or not; -ETIMEDOUT. */
static int wait_dead(const struct pid_list *list, long long until_ms)
{
	for (size_t i = 0; i < list->count; i++) {
		__cleanup_fd int pidfd = pidfd_open(list->pids[i], 0);
		struct pollfd pfd = {.fd = pidfd, .events = POLLIN};
		long long left = until_ms - now_ms();
		int r;

		if (pidfd < 0)
			continue;
		/* freeing a large memory is work for two: the task is at it, too */
		syscall(SYS_process_mrelease, pidfd, 0);
		do
			r = poll(&pfd, 1, left > 0 ? left : 0);
		while (r < 0 && errno == EINTR);
		if (r == 0)
			return -ETIMEDOUT;
	}
	return 0;
}

/* The container may have frozen cgroups of its own below: their tasks must get to die, too. */
static int thaw_below(int dir_fd, void *ctx)
{
	__cleanup_free char *self = NULL;

	if (read_file(dir_fd, "freezer.self_freezing", 16, &self, NULL) == 0 && *self == '1')
		return write_file(dir_fd, "freezer.state", "THAWED");
	return 0;
}

/*
 * Kills what is there now. Frozen tasks get the signal while they are frozen:
 * when the thaw wakes them it is the first thing they see, so that none gets
 * back to user space (legacy_freezer.c; get_signal() takes SIGKILL first).
 */
static int kill_round_v1(struct cgroup *cg, struct hierarchy *h, bool freeze, long long until_ms,
			 struct error **err)
{
	__cleanup_free void *owned = NULL;
	__cleanup_freezer struct freezer *f = NULL;
	struct pid_list list;
	enum freezer_state state;
	int r = freezer_open(cg, &f, err);

	if (r < 0)
		return r;
	if (freeze)
		freezer_freeze(f, FREEZE_PATIENCE_MS, NULL);
	r = cgroup_pids(cg, &list, err);
	if (r < 0)
		return r;
	owned = list.pids;
	if (!list.count)
		return 0;
	signal_all(&list, SIGKILL);
	r = freezer_state(f, &state, err);
	if (r < 0)
		return r;
	if (state == FREEZER_INHERITED)
		return error_set(err, EBUSY,
				 "cgroup \"%s%s\" is frozen by a cgroup above it: its tasks die "
				 "once that is thawed",
				 h->mount, h->path);
	r = cgroup_walk(h->fd, thaw_below, NULL);
	if (r < 0)
		return error_errno(err, -r, "thawing cgroup \"%s%s\"", h->mount, h->path);
	r = wait_dead(&list, until_ms);
	if (r < 0)
		return error_errno(err, -r, "waiting for killed task %d and others to die",
				   list.pids[0]);
	return 1;
}

static int kill_v1(struct cgroup *cg, struct hierarchy *h, struct error **err)
{
	long long until = now_ms() + KILL_PATIENCE_MS;

	/* the first round needs no freeze, and usually is the only one: init takes the rest along
	 */
	for (int round = 0; now_ms() < until; round++) {
		int r = kill_round_v1(cg, h, round > 0, until, err);

		if (r <= 0)
			return r;
	}
	return error_errno(err, ETIMEDOUT, "killing the tasks of cgroup \"%s%s\"", h->mount,
			   h->path);
}

static bool populated(int events_fd)
{
	char text[256];
	ssize_t n = pread(events_fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return false;
	text[n] = '\0';
	return strstr(text, "populated 1");
}

/* cgroup.kill came with 5.14; before that, again and again until nobody is left. */
static int kill_once_v2(struct cgroup *cg, struct hierarchy *h, struct error **err)
{
	__cleanup_free void *owned = NULL;
	struct pid_list list;
	int r = write_file(h->fd, "cgroup.kill", "1");

	if (r != -ENOENT)
		return r < 0 ? error_errno(err, -r, "killing cgroup \"%s%s\"", h->mount, h->path)
			     : 0;
	r = cgroup_pids(cg, &list, err);
	if (r < 0)
		return r;
	owned = list.pids;
	signal_all(&list, SIGKILL);
	return 0;
}

static int kill_v2(struct cgroup *cg, struct hierarchy *h, struct error **err)
{
	__cleanup_fd int fd = openat(h->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct pollfd pfd = {.fd = fd, .events = POLLPRI};
	long long until = now_ms() + KILL_PATIENCE_MS;

	if (fd < 0)
		return error_errno(err, errno, "opening cgroup.events of \"%s%s\"", h->mount,
				   h->path);
	while (populated(fd)) {
		int r = kill_once_v2(cg, h, err);

		if (r < 0)
			return r;
		if (now_ms() >= until)
			return error_errno(err, ETIMEDOUT, "killing the tasks of cgroup \"%s%s\"",
					   h->mount, h->path);
		/* kernfs wakes us when "populated" changes; the read before armed it */
		poll(&pfd, 1, 100);
	}
	return 0;
}

int cgroup_kill_all(struct cgroup *cg, int signo, struct error **err)
{
	__cleanup_free void *owned = NULL;
	struct hierarchy *h = cgroup_freezer_hierarchy(cg);
	struct pid_list list;
	int r;

	if (signo == SIGKILL && h)
		return h->version == 1 ? kill_v1(cg, h, err) : kill_v2(cg, h, err);
	r = cgroup_pids(cg, &list, err);
	if (r < 0)
		return r;
	owned = list.pids;
	signal_all(&list, signo);
	if (signo != SIGKILL)
		return 0;
	r = wait_dead(&list, now_ms() + KILL_PATIENCE_MS);
	if (r < 0)
		return error_errno(err, -r, "waiting for killed tasks to die");
	return 0;
}
