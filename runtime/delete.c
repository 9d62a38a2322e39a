// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcontainer/connections.h"
#include "libcontainer/hooks.h"
#include "libcontainer/lifecycle.h"
#include "libcontainer/state.h"
#include "oci/config.h"
#include "runtime/verb.h"
#include "runtime/view.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"

static const struct option_spec options[] = {
	{"force", 'f', NULL, "kill the container if it is not stopped; missing is no error"},
	{"regex", 0, NULL, "ID is an extended regular expression: all containers that it matches"},
	{"wait", 0, NULL, "wait while another verb works on the container"},
	{NULL, 0, NULL, NULL},
};

static int delete (struct container *c, struct error **err)
{
	__cleanup_oci_config struct oci_config *config = view_config(c);
	int r = container_destroy(c, err);

	if (r < 0)
		return r;
	if (config)
		connections_forget(config, c->id);
	r = container_remove(c, err);
	/* after the deletion, and whatever they do it stays deleted: as the specification says */
	if (r == 0 && config)
		hooks_run_all(&config->hooks.poststop, "poststop", c, config, "stopped", 0);
	return r;
}

/* Nothing but its cgroup is known of it: no hooks run. */
static int delete_damaged(struct runtime *rt, struct error *problem, struct error **err)
{
	__cleanup_container struct container *c = NULL;
	int r = container_open_damaged(rt->root, rt->id, "delete", &c, err);

	if (r == -ENOENT) {
		error_free(*err);
		*err = NULL;
		error_set(err, EUCLEAN, "%s, and its cgroup is not known", error_message(problem));
		return error_hint(err, "remove the directory once its tasks are gone");
	}
	if (r == 0)
		r = container_destroy(c, err);
	if (r == 0)
		r = container_remove(c, err);
	if (r == 0)
		fprintf(stderr, "firn: delete %s: %s: killed and removed by its cgroup\n", rt->id,
			error_message(problem));
	return r;
}

static int delete_one(struct runtime *rt, struct error **err)
{
	__cleanup_container struct container *c = NULL;
	__cleanup_error struct error *problem = NULL;
	bool force = option_flag(rt, "force");
	int r = 0;

	if (force)
		r = container_interrupt(rt->root, rt->id, true, &problem);
	if (r >= 0)
		r = container_open(rt->root, rt->id, "delete", force || option_flag(rt, "wait"), &c,
				   &problem);
	if (r == -ENOENT && force)
		return 0;
	if (r == -EUCLEAN && force)
		return delete_damaged(rt, problem, err);
	if (r < 0) {
		*err = problem;
		problem = NULL;
		return r;
	}
	/* the init of a created container has not run anything yet: nobody loses by its end */
	if (!force && c->state != CONTAINER_DEAD && c->state != CONTAINER_CREATED) {
		error_set(err, EBUSY, "cannot delete container \"%s\" that is not stopped: %s",
			  c->id, container_oci_status(c));
		return error_hint(err, "--force kills it");
	}
	return delete (c, err);
}

/* One that cannot be deleted does not keep the others. */
static int delete_each(struct runtime *rt, const struct container_ids *ids, const regex_t *wanted,
		       struct error **err)
{
	size_t matching = 0, left = 0;

	for (size_t i = 0; i < ids->count; i++) {
		__cleanup_error struct error *problem = NULL;

		if (regexec(wanted, ids->items[i], 0, NULL, 0) != 0)
			continue;
		matching++;
		rt->id = ids->items[i];
		if (delete_one(rt, &problem) < 0) {
			left++;
			log_warning("%s: %s", ids->items[i], error_message(problem));
		}
	}
	rt->id = NULL;
	if (!left)
		return 0;
	return error_set(err, EBUSY, "%zu of %zu containers could not be deleted", left, matching);
}

static int delete_matching(struct runtime *rt, struct error **err)
{
	__cleanup(container_ids_free) struct container_ids ids = {0};
	regex_t wanted;
	char reason[128];
	int r = regcomp(&wanted, rt->id, REG_EXTENDED | REG_NOSUB);

	if (r) {
		regerror(r, &wanted, reason, sizeof(reason));
		return error_set(err, EINVAL, "option \"--regex\": \"%s\": %s", rt->id, reason);
	}
	r = container_ids(rt->root, &ids, err);
	if (r == 0)
		r = delete_each(rt, &ids, &wanted, err);
	regfree(&wanted);
	return r;
}

static int run(struct runtime *rt, struct error **err)
{
	return option_flag(rt, "regex") ? delete_matching(rt, err) : delete_one(rt, err);
}

const struct verb verb_delete = {
	.name = "delete",
	.summary = "remove a stopped container's cgroup and state",
	.usage = "ID",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.takes_id = true,
	.notes = "With --force a container that runs, is paused, or is being checkpointed or\n"
		 "restored is killed first; one whose state file is damaged by its cgroup.",
	.run = run,
};
