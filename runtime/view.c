// SPDX-License-Identifier: GPL-2.0-only
#include "runtime/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "libcontainer/state.h"
#include "oci/config.h"
#include "oci/state.h"
#include "runtime/verb.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/json_write.h"

int view_container(const struct runtime *rt, const char *id, struct container **c,
		   struct error **err)
{
	struct container *recovered = NULL;
	int r = container_read(rt->root, id, c, err);

	if (r < 0 || !container_passes(*c) || process_alive(&(*c)->worker))
		return r;
	if (container_open(rt->root, id, rt->verb->name, false, &recovered, NULL) == 0) {
		container_unlock(recovered);
		container_free(*c);
		*c = recovered;
	}
	return 0;
}

struct oci_config *view_config(const struct container *c)
{
	struct oci_config *config = NULL;

	return oci_config_load(c->dir_fd, KEPT_CONFIG, &config, NULL) < 0 ? NULL : config;
}

void view_state(const struct container *c, const struct oci_config *config, struct oci_state *s)
{
	*s = (struct oci_state){
		.oci_version = config ? config->oci_version : NULL,
		.id = c->id,
		.status = container_oci_status(c),
		.pid = c->state == CONTAINER_DEAD ? 0 : c->init.pid,
		.bundle = c->bundle,
		.annotations = config ? &config->annotations : NULL,
		.rootfs = c->rootfs,
		.created = c->created,
		.owner = "",
		.firn = container_state_name(c->state),
	};
}

int view_print(struct json *j, struct error **err)
{
	__cleanup_free char *text = json_text(j);

	if (!text)
		return error_errno(err, ENOMEM, "printing JSON");
	if (puts(text) < 0 || fflush(stdout))
		return error_errno(err, errno, "writing to standard output");
	return 0;
}
