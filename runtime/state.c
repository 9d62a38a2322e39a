// SPDX-License-Identifier: GPL-2.0-only
#include "oci/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcontainer/state.h"
#include "oci/config.h"
#include "runtime/verb.h"
#include "runtime/view.h"
#include "util/cleanup.h"
#include "util/error.h"

/* Engines read standard output and standard error as one text: nothing else may be printed. */
static int run(struct runtime *rt, struct error **err)
{
	__cleanup_container struct container *c = NULL;
	__cleanup_oci_config struct oci_config *config = NULL;
	__cleanup_free char *text = NULL;
	struct oci_state state;
	int r = view_container(rt, rt->id, &c, err);

	if (r < 0)
		return r;
	config = view_config(c);
	view_state(c, config, &state);
	text = oci_state_json(&state);
	if (!text)
		return error_errno(err, ENOMEM, "printing the state");
	fputs(text, stdout);
	return 0;
}

const struct verb verb_state = {
	.name = "state",
	.summary = "print the state of a container as JSON",
	.usage = "ID",
	.min_args = 1,
	.max_args = 1,
	.takes_id = true,
	.notes = "\"status\" is the OCI status; \"firn\" is Firn's own state: CREATING, CREATED,\n"
		 "RUNNING, FREEZING, FROZEN, THAWING, CKPTING, RSTRTING, ABORTING or DEAD.",
	.run = run,
};
