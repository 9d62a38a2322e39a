/* SPDX-License-Identifier: GPL-2.0-only */
/* A cgroup for a test: planned and made at once, without a container. */
#ifndef FIRN_TESTS_UNIT_CGROUP_CREATE_H
#define FIRN_TESTS_UNIT_CGROUP_CREATE_H

#include "libcontainer/cgroup.h"

static inline int cgroup_create(const char *id, const struct oci_config *config, struct cgroup **cg,
				struct error **err)
{
	const struct cgroup_options options = {0};
	struct cgroup *planned = NULL;
	int r = cgroup_plan(id, config, &options, &planned, err);

	if (r == 0)
		r = cgroup_make(planned, config, err);
	if (r == 0)
		*cg = planned;
	else
		cgroup_free(planned);
	return r;
}

#endif
