// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcontainer/lifecycle.h"
#include "libcontainer/state.h"
#include "runtime/verb.h"
#include "util/error.h"

static const struct option_spec options[] = {
	{"wait", 0, NULL, "wait while another verb works on the container"},
	{NULL, 0, NULL, NULL},
};

static int run(struct runtime *rt, struct error **err)
{
	__cleanup_container struct container *c = NULL;
	int r = container_open(rt->root, rt->id, "resume", option_flag(rt, "wait"), &c, err);

	if (r < 0)
		return r;
	if (c->state == CONTAINER_DEAD)
		return error_set(err, ESRCH, "container not running");
	if (c->state != CONTAINER_FROZEN)
		return error_set(err, EINVAL, "container not paused: it is %s",
				 container_oci_status(c));
	return container_thaw(c, err);
}

const struct verb verb_resume = {
	.name = "resume",
	.summary = "thaw a paused container",
	.usage = "ID",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.takes_id = true,
	.run = run,
};
