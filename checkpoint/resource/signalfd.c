// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "util/error.h"

static bool matches(const struct description *d)
{
	return !strcmp(d->link, "anon_inode:[signalfd]");
}

static int signalfd_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	const char *mask = fdinfo_find(d->fdinfo, "sigmask");
	struct ckpt_signalfd rec = {.id = d->id, .open_flags = d->open_flags};

	if (!mask)
		return error_set(err, EOPNOTSUPP, "the kernel does not show a signalfd's mask");
	rec.mask = strtoull(mask, NULL, 16);
	if (!record_add(&c->records, CKPT_SIGNALFD, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording a signalfd");
	return 0;
}

static int signalfd_load(struct restore *r, struct file_object *o, struct error **err)
{
	if (o->tail_len)
		return error_set(err, EBADMSG, "signalfd %u is malformed", o->id);
	return 0;
}

static int signalfd_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_signalfd *rec = o->rec;

	o->fd = syscall(SYS_signalfd4, -1, &rec->mask, sizeof(rec->mask), SFD_CLOEXEC);
	if (o->fd < 0)
		return error_errno(err, errno, "making a signalfd");
	return files_set_flags(o->fd, rec->open_flags, err);
}

const struct file_kind file_kind_signalfd = {
	.type = CKPT_SIGNALFD,
	.size = sizeof(struct ckpt_signalfd),
	.matches = matches,
	.dump = signalfd_dump,
	.load = signalfd_load,
	.open = signalfd_open,
};
