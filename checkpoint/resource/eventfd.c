// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "checkpoint/resource/files.h"
#include "util/error.h"
#include "util/io.h"

static bool matches(const struct description *d)
{
	return !strcmp(d->link, "anon_inode:[eventfd]");
}

static int eventfd_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	const char *count = fdinfo_find(d->fdinfo, "eventfd-count");
	const char *semaphore = fdinfo_find(d->fdinfo, "eventfd-semaphore");
	struct ckpt_eventfd rec = {.id = d->id, .open_flags = d->open_flags};

	if (!count || !semaphore)
		return error_set(err, EOPNOTSUPP, "the kernel does not show what an eventfd holds");
	rec.count = strtoull(count, NULL, 16);
	rec.semaphore = strtoul(semaphore, NULL, 10);
	if (!record_add(&c->records, CKPT_EVENTFD, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording an eventfd");
	return 0;
}

static int eventfd_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_eventfd *rec = o->rec;

	if (o->tail_len || rec->count == UINT64_MAX || rec->semaphore > 1)
		return error_set(err, EBADMSG, "eventfd %u is malformed", o->id);
	return 0;
}

static int eventfd_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_eventfd *rec = o->rec;
	int ret;

	/* the count goes beyond the 32 bits that eventfd(2) takes */
	o->fd = eventfd(0, EFD_CLOEXEC | (rec->semaphore ? EFD_SEMAPHORE : 0));
	if (o->fd < 0)
		return error_errno(err, errno, "making an eventfd");
	ret = rec->count ? write_full(o->fd, &rec->count, sizeof(rec->count)) : 0;
	if (ret)
		return error_errno(err, -ret, "setting an eventfd's count");
	return files_set_flags(o->fd, rec->open_flags, err);
}

const struct file_kind file_kind_eventfd = {
	.type = CKPT_EVENTFD,
	.size = sizeof(struct ckpt_eventfd),
	.matches = matches,
	.dump = eventfd_dump,
	.load = eventfd_load,
	.open = eventfd_open,
};
