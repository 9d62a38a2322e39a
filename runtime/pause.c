// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcontainer/lifecycle.h"
#include "libcontainer/state.h"
#include "runtime/checkpoint_ops.h"
#include "runtime/verb.h"
#include "util/error.h"

#define DEADLINE_S     10
#define DEADLINE_S_MAX 86400

static const struct option_spec options[] = {
	{"timeout", 0, "SECONDS", "give up when a task has not frozen by then (default 10)"},
	{"wait", 0, NULL, "wait while another verb works on the container"},
	{NULL, 0, NULL, NULL},
};

static int run(struct runtime *rt, struct error **err)
{
	__cleanup_container struct container *c = NULL;
	long seconds = DEADLINE_S;
	int r = option_number(rt, "timeout", 0, DEADLINE_S_MAX, &seconds, err);

	if (r == 0)
		r = container_open(rt->root, rt->id, "pause", option_flag(rt, "wait"), &c, err);
	if (r < 0)
		return r;
	if (c->state == CONTAINER_DEAD)
		return error_set(err, ESRCH, "container not running");
	if (c->state == CONTAINER_FROZEN && c->user_paused)
		return error_set(err, EBUSY, "container already paused");
	if (c->state != CONTAINER_RUNNING && c->state != CONTAINER_FROZEN)
		return error_set(err, EINVAL, "container not running: it is %s",
				 container_oci_status(c));
	r = container_freeze(c, true, seconds * 1000, checkpoint_catch_signals(), err);
	return r == -ETIMEDOUT ? error_hint(err, "the container runs on; --timeout waits longer")
			       : r;
}

const struct verb verb_pause = {
	.name = "pause",
	.summary = "freeze all tasks of a container",
	.usage = "ID",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.takes_id = true,
	.notes = "Returns when every task is frozen, or fails, names the tasks that did not\n"
		 "freeze, and leaves the container running. No signal is used, and the program\n"
		 "cannot tell, but for this: on a kernel without Firn's patches epoll_wait(2) and\n"
		 "semtimedop(2), and with cgroup v2 also sigtimedwait(2) and recv(2) with a "
		 "receive\n"
		 "timeout, return EINTR if they were sleeping.",
	.run = run,
};
