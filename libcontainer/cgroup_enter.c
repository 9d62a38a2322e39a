// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/cgroup_enter.h"

#include "libcontainer/cgroup_internal.h"
#include "util/buf.h"
#include "util/error.h"
#include "util/io.h"

int cgroup_enter(struct cgroup *cg, struct error **err)
{
	vec_for_each (h, cg) {
		const char *file = h->version == 1 ? "tasks" : "cgroup.procs";
		int ret = h->fd < 0 ? 0 : write_file(h->fd, file, "0");

		if (ret < 0)
			return error_errno(err, -ret, "entering cgroup \"%s%s\"", h->mount,
					   h->path);
	}
	return 0;
}
