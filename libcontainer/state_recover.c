// SPDX-License-Identifier: GPL-2.0-only
/*
 * What to do with a container whose worker died in a passing state. The work
 * itself is not finished in its place: only who asked knows whether it is
 * still wanted. The container goes back to the last state that was sure.
 *
 *   CREATING           its tasks and cgroup go -> DEAD (`delete` removes the rest)
 *   FREEZING, THAWING  thaw -> RUNNING
 *   FROZEN             the same, unless a user paused it: then it stays. A checkpoint may have
 *                      been about to kill it, which holds connections back as in CKPTING
 *   CKPTING            seized tasks were let go by the kernel with the tracer:
 *                      frozen again if a user had paused it -> FROZEN; else
 *                      thawed -> RUNNING. Connections that it held back or had in
 *                      repair mode go on
 *   RSTRTING, ABORTING its tasks and cgroup go -> DEAD
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>

#include "libcontainer/cgroup.h"
#include "libcontainer/connections.h"
#include "libcontainer/freezer.h"
#include "libcontainer/lifecycle.h"
#include "libcontainer/state.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"

#define REFREEZE_DEADLINE_MS 10000

static int freeze_or_thaw(struct container *c, bool freeze, struct error **err)
{
	__cleanup_cgroup struct cgroup *cg = NULL;
	__cleanup_freezer struct freezer *f = NULL;
	enum freezer_state state;
	int r;

	if (!c->cgroup_path)
		return 0;
	r = cgroup_open(c->cgroup_path, &cg, err);
	if (r == 0)
		r = freezer_open(cg, &f, err);
	if (r == 0)
		r = freezer_state(f, &state, err);
	if (r < 0)
		return r;
	if (freeze)
		return freezer_freeze(f, REFREEZE_DEADLINE_MS, err);
	/* frozen from above: nothing of ours to undo, and not for us to undo */
	if (state == FREEZER_INHERITED)
		return 0;
	return freezer_thaw(f, err);
}

static int thaw_to_running(struct container *c, struct error **err)
{
	int r = 0;

	if (c->state != CONTAINER_THAWING)
		r = container_set_state(c, CONTAINER_THAWING, err);
	if (r == 0)
		r = freeze_or_thaw(c, false, err);
	if (r < 0)
		return r;
	c->user_paused = false;
	return container_set_state(c, CONTAINER_RUNNING, err);
}

static int recover_checkpoint(struct container *c, struct error **err)
{
	int r = 0;

	connections_recover(c);
	if (c->user_paused)
		r = freeze_or_thaw(c, true, err);
	if (r == 0)
		r = container_set_state(c, CONTAINER_FROZEN, err);
	if (r < 0 || c->user_paused)
		return r;
	return thaw_to_running(c, err);
}

/* Killed while it made the cgroup: nobody can be in it. */
static void remove_planned(const struct container *c)
{
	__cleanup_free char *path = NULL;

	if (container_kept(c, KEPT_CGROUP, PATH_MAX, &path, NULL, NULL) == 0)
		cgroup_remove_empty(path);
}

static int take_down(struct container *c, struct error **err)
{
	__cleanup_cgroup struct cgroup *cg = NULL;
	int r = 0;

	if (c->state == CONTAINER_RSTRTING)
		r = container_set_state(c, CONTAINER_ABORTING, err);
	if (r < 0)
		return r;
	/* in no cgroup yet, or one that is not written down: the init at least */
	if (process_alive(&c->init))
		kill(c->init.pid, SIGKILL);
	if (!c->cgroup_path) {
		remove_planned(c);
	} else {
		r = cgroup_open(c->cgroup_path, &cg, err);
		if (r == 0)
			r = cgroup_kill_all(cg, SIGKILL, err);
		if (r == 0)
			r = cgroup_destroy(cg, err);
		if (r < 0)
			return r;
	}
	container_remove_made(c);
	return container_set_state(c, CONTAINER_DEAD, err);
}

int container_recover(struct container *c, struct error **err)
{
	enum container_state was = c->state;
	int r = 0;

	if (!container_passes(c))
		return 0;
	switch (was) {
	case CONTAINER_FROZEN:
		connections_recover(c);
		/* fall through */
	case CONTAINER_FREEZING:
	case CONTAINER_THAWING:
		r = thaw_to_running(c, err);
		break;
	case CONTAINER_CKPTING:
		r = recover_checkpoint(c, err);
		break;
	default:
		r = take_down(c, err);
		break;
	}
	if (r < 0)
		return error_wrap(err, "recovering container \"%s\" from %s", c->id,
				  container_state_name(was));
	log_debug("container \"%s\" was left %s by \"%s\" and is %s now", c->id,
		  container_state_name(was), c->verb, container_state_name(c->state));
	return 0;
}
