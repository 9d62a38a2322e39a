// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "libcontainer/self_image.h"
#include "libcontainer/state.h"
#include "oci/config.h"
#include "runtime/build.h"
#include "runtime/verb.h"
#include "util/cleanup.h"

static const struct option_spec options[] = {
	BUILD_OPTIONS,
	{NULL, 0, NULL, NULL},
};

static int run(struct runtime *rt, struct error **err)
{
	struct create_options create = {0};
	__cleanup_oci_config struct oci_config *config = NULL;
	__cleanup_container struct container *c = NULL;
	__cleanup_free char *bundle = NULL;
	struct init_process init;
	int ret = container_check_id(rt->id, err);

	if (ret == 0)
		ret = build_options(rt, &create, err);
	if (ret == 0)
		ret = build_open_bundle(rt, &bundle, &config, err);
	if (ret == 0)
		ret = self_image_seal(rt->command_line, &create.is_trampoline, err);
	if (ret < 0)
		return ret;
	ret = build_container(rt, bundle, config, &create, &c, &init, err);
	init_process_close(&init);
	return ret;
}

const struct verb verb_create = {
	.name = "create",
	.summary = "create a container, to be started by \"firn start\"",
	.usage = "ID",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.takes_id = true,
	.run = run,
};
