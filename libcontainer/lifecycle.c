// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/lifecycle.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcontainer/cgroup.h"
#include "libcontainer/freezer.h"
#include "libcontainer/intel_rdt.h"
#include "libcontainer/rootfs_shared.h"
#include "libcontainer/state.h"
#include "util/cleanup.h"
#include "util/error.h"

/* How long a killed init may take to die; its pid namespace's other tasks go first. */
#define DEATH_PATIENCE_MS 10000
/* After so long it is looked upon as one that cannot die where it is. */
#define FROZEN_AFTER_MS 200

static int open_freezer(const struct container *c, struct cgroup **cg, struct freezer **f,
			struct error **err)
{
	int r;

	if (!c->cgroup_path)
		return error_set(err, ENOENT, "container \"%s\" has no cgroup", c->id);
	r = cgroup_open(c->cgroup_path, cg, err);
	return r < 0 ? r : freezer_open(*cg, f, err);
}

/* FREEZING has no way back but THAWING. The error to report is the freezer's. */
static void take_back(struct container *c)
{
	if (container_set_state(c, CONTAINER_THAWING, NULL) == 0)
		container_set_state(c, CONTAINER_RUNNING, NULL);
}

int container_freeze(struct container *c, bool user, int deadline_ms, const volatile int *cancel,
		     struct error **err)
{
	__cleanup_cgroup struct cgroup *cg = NULL;
	__cleanup_freezer struct freezer *f = NULL;
	int r;

	if (c->state == CONTAINER_FROZEN) {
		if (!user || c->user_paused)
			return 0;
		c->user_paused = true;
		c->worker = (struct process_id){0};
		return container_save(c, err);
	}
	r = open_freezer(c, &cg, &f, err);
	if (r == 0)
		r = container_set_state(c, CONTAINER_FREEZING, err);
	if (r < 0)
		return r;
	freezer_cancel_by(f, cancel);
	r = freezer_freeze(f, deadline_ms, err);
	if (r < 0) {
		take_back(c);
		return r;
	}
	c->user_paused = user;
	r = container_set_state(c, CONTAINER_FROZEN, err);
	if (r < 0 && c->state == CONTAINER_FREEZING) {
		c->user_paused = false;
		if (freezer_thaw(f, NULL) == 0)
			take_back(c);
	}
	return r;
}

int container_thaw(struct container *c, struct error **err)
{
	__cleanup_cgroup struct cgroup *cg = NULL;
	__cleanup_freezer struct freezer *f = NULL;
	int r = open_freezer(c, &cg, &f, err);

	/* asked before the state changes: THAWING cannot become FROZEN again */
	if (r == 0)
		r = freezer_may_thaw(f, err);
	if (r == 0)
		r = container_set_state(c, CONTAINER_THAWING, err);
	if (r == 0)
		r = freezer_thaw(f, err);
	if (r < 0)
		return r;
	c->user_paused = false;
	return container_set_state(c, CONTAINER_RUNNING, err);
}

static int not_running(struct error **err)
{
	/* callers look for these words */
	return error_set(err, ESRCH, "container not running");
}

/* By pidfd, looked at again once that is open: never a later process with the same pid. */
static int signal_init(const struct container *c, int signo, struct error **err)
{
	__cleanup_fd int pidfd = pidfd_open(c->init.pid, 0);

	if (pidfd < 0 || !process_alive(&c->init))
		return not_running(err);
	if (pidfd_send_signal(pidfd, signo, NULL, 0) < 0) {
		if (errno == ESRCH)
			return not_running(err);
		return error_errno(err, errno, "sending signal %d to pid %d", signo, c->init.pid);
	}
	return 0;
}

/* Whether the kernel kills all tasks of the container with its init. */
static bool has_own_pid_namespace(const struct container *c)
{
	struct stat ours, its;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", c->init.pid);
	return stat("/proc/self/ns/pid", &ours) == 0 && stat(path, &its) == 0 &&
	       (ours.st_ino != its.st_ino || ours.st_dev != its.st_dev);
}

static int signal_cgroup(struct container *c, int signo, struct error **err)
{
	__cleanup_cgroup struct cgroup *cg = NULL;
	int r;

	if (!c->cgroup_path)
		return 0;
	r = cgroup_open(c->cgroup_path, &cg, err);
	return r < 0 ? r : cgroup_kill_all(cg, signo, err);
}

int container_signal(struct container *c, int signo, bool all, struct error **err)
{
	bool frozen = c->state == CONTAINER_FROZEN;
	int r;

	/* with --all of a dead one: what its init left behind in the cgroup */
	if (c->state == CONTAINER_DEAD)
		return all ? signal_cgroup(c, signo, err) : not_running(err);
	if (all || (signo == SIGKILL && (frozen || !has_own_pid_namespace(c))))
		r = signal_cgroup(c, signo, err);
	else
		r = signal_init(c, signo, err);
	if (r == 0 && frozen && !process_alive(&c->init))
		r = container_set_state(c, CONTAINER_DEAD, err);
	return r;
}

/*
 * It may have been moved out of its cgroup, and on v1 nobody dies in a frozen one, whoever has
 * frozen that: it is not ours to thaw. Whoever is moved out of it runs again.
 */
static int kill_init(const struct container *c, struct cgroup *cg, struct error **err)
{
	__cleanup_fd int pidfd = c->init.pid > 0 ? pidfd_open(c->init.pid, 0) : -1;
	struct pollfd pfd = {.fd = pidfd, .events = POLLIN};
	__cleanup_error struct error *ignored = NULL;

	if (pidfd < 0 || !process_alive(&c->init))
		return 0;
	pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	if (poll(&pfd, 1, FROZEN_AFTER_MS) == 0 && cg)
		cgroup_attach(cg, c->init.pid, &ignored);
	if (poll(&pfd, 1, DEATH_PATIENCE_MS) == 0)
		return error_errno(err, ETIMEDOUT, "waiting for killed pid %d to die", c->init.pid);
	return 0;
}

void container_remove_made(const struct container *c)
{
	__cleanup_free char *record = NULL;

	if (container_kept(c, KEPT_RDT, 65536, &record, NULL, NULL) == 0)
		intel_rdt_remove_recorded(record);
	rootfs_unshare(c);
}

int container_destroy(struct container *c, struct error **err)
{
	__cleanup_cgroup struct cgroup *cg = NULL;
	int r = 0;

	if (c->cgroup_path) {
		r = cgroup_open(c->cgroup_path, &cg, err);
		if (r == 0)
			r = cgroup_kill_all(cg, SIGKILL, err);
	}
	if (r == 0)
		r = kill_init(c, cg, err);
	if (r == 0 && c->state == CONTAINER_RSTRTING)
		r = container_set_state(c, CONTAINER_ABORTING, err);
	if (r == 0 && c->state != CONTAINER_DEAD)
		r = container_set_state(c, CONTAINER_DEAD, err);
	if (r == 0 && cg)
		r = cgroup_destroy(cg, err);
	if (r == 0)
		container_remove_made(c);
	return r;
}
