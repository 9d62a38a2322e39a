// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "libcontainer/state.h"
#include "oci/config.h"
#include "runtime/build.h"
#include "runtime/verb.h"
#include "runtime/view.h"
#include "util/error.h"

static int run(struct runtime *rt, struct error **err)
{
	__cleanup_oci_config struct oci_config *config = NULL;
	__cleanup_container struct container *c = NULL;
	int ret = container_open(rt->root, rt->id, "start", false, &c, err);

	if (ret < 0)
		return ret;
	if (c->state != CONTAINER_CREATED)
		return error_set(err, EPERM, "cannot start a container that is %s",
				 container_oci_status(c));
	config = view_config(c);
	if (!config)
		return error_set(err, ENOENT, "its config.json in \"%s/%s\" cannot be read",
				 c->root, c->id);
	ret = build_start(c, config, err);
	return ret < 0 ? ret : build_started(c, config, err);
}

const struct verb verb_start = {
	.name = "start",
	.summary = "run the program of a created container",
	.usage = "ID",
	.min_args = 1,
	.max_args = 1,
	.takes_id = true,
	.run = run,
};
