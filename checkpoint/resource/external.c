// SPDX-License-Identifier: GPL-2.0-only
/* Standard streams that the runtime was given for the container: given anew at a restore. */
#include <errno.h>

#include "checkpoint/resource/files.h"
#include "util/error.h"

static int external_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	struct ckpt_external rec = {.id = d->id, .stdio = d->stdio, .open_flags = d->open_flags};

	if (!record_add(&c->records, CKPT_EXTERNAL, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording a standard stream");
	return 0;
}

static int external_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_external *rec = o->rec;

	if (rec->stdio > 2 || o->tail_len)
		return error_set(err, EBADMSG, "stream %u is malformed", o->id);
	return 0;
}

/* Flags stay as the new owner has them: it shares the description. */
static int external_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_external *rec = o->rec;

	o->fd = r->request->stdio[rec->stdio];
	o->lent = true;
	return 0;
}

const struct file_kind file_kind_external = {
	.type = CKPT_EXTERNAL,
	.size = sizeof(struct ckpt_external),
	.dump = external_dump,
	.load = external_load,
	.open = external_open,
};
