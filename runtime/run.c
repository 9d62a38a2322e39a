// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "libcontainer/netdevices.h"
#include "libcontainer/self_image.h"
#include "libcontainer/state.h"
#include "oci/config.h"
#include "runtime/build.h"
#include "runtime/foreground.h"
#include "runtime/verb.h"
#include "util/cleanup.h"
#include "util/error.h"

static const struct option_spec options[] = {
	BUILD_OPTIONS,
	{"detach", 'd', NULL, "do not wait for the container to end"},
	{"keep", 0, NULL, "leave the container's state when it has ended"},
	{"no-subreaper", 0, NULL, "do not reap the container's orphans"},
	{NULL, 0, NULL, NULL},
};

/* What the init was given from outside goes back if it does not come to run its program. */
static int start(struct container *c, const struct oci_config *config, struct init_process *init,
		 struct error **err)
{
	int ret = build_start(c, config, err);

	if (ret < 0) {
		net_devices_return(init->devices);
		build_remove(c, config);
		return ret;
	}
	return build_started(c, config, err);
}

static int run_in(const struct runtime *rt, const char *bundle, const struct oci_config *config,
		  const struct create_options *create, struct foreground *f, struct error **err)
{
	__cleanup_container struct container *c = NULL;
	struct init_process init;
	int status = 0;
	int ret = build_container(rt, bundle, config, create, &c, &init, err);

	if (ret == 0)
		ret = start(c, config, &init, err);
	init_process_close(&init);
	if (ret < 0 || !f)
		return ret;
	status = foreground_wait(f, c->init.pid, err);
	if (!option_flag(rt, "keep"))
		build_remove_ended(rt, config);
	return status;
}

static int run_foreground(const struct runtime *rt, const char *bundle, struct oci_config *config,
			  struct create_options *create, struct error **err)
{
	struct foreground f;
	bool terminal = config->process && config->process->terminal && !create->console_socket;
	int ret = foreground_prepare(&f, terminal, err);

	if (ret < 0)
		return ret;
	if (terminal) {
		create->console_fd = f.console[1];
		foreground_size(config->process);
	}
	if (!option_flag(rt, "no-subreaper"))
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	ret = run_in(rt, bundle, config, create, &f, err);
	foreground_end(&f);
	return ret;
}

static int run(struct runtime *rt, struct error **err)
{
	struct create_options create = {0};
	__cleanup_oci_config struct oci_config *config = NULL;
	__cleanup_free char *bundle = NULL;
	int ret = container_check_id(rt->id, err);

	if (ret == 0)
		ret = build_options(rt, &create, err);
	if (ret == 0)
		ret = build_open_bundle(rt, &bundle, &config, err);
	if (ret == 0 && self_image_exposed(config))
		ret = self_image_seal(rt->command_line, &create.is_trampoline, err);
	if (ret < 0)
		return ret;
	if (option_flag(rt, "detach"))
		return run_in(rt, bundle, config, &create, NULL, err);
	return run_foreground(rt, bundle, config, &create, err);
}

const struct verb verb_run = {
	.name = "run",
	.summary = "create and start a container",
	.usage = "ID",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.takes_id = true,
	.notes = "Waits for the container, passes signals on to it, exits with its exit status\n"
		 "(128 + N if signal N killed it) and removes it.",
	.run = run,
};
