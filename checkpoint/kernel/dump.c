// SPDX-License-Identifier: GPL-2.0-only
/* checkpoint(2): hold and dump. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "checkpoint/image/linux_checkpoint.h"
#include "checkpoint/kernel/kernel.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

int kernel_hold(const struct kernel *k, int pidfd, struct error **err)
{
	struct checkpoint_error why = {0};
	struct checkpoint_args args = {
		.op = CHECKPOINT_HOLD,
		.error = (uintptr_t)&why,
		.error_size = sizeof(why),
	};
	long fd = syscall(k->checkpoint_nr, pidfd, -1, &args, sizeof(args));

	return fd < 0 ? kernel_error(&why, errno, "holding the container by checkpoint(2)", err)
		      : (int)fd;
}

int kernel_snapshot(const struct kernel *k, int pidfd, int hold, struct error **err)
{
	struct checkpoint_error why = {0};
	struct checkpoint_args args = {
		.op = CHECKPOINT_SNAPSHOT,
		.source = hold,
		.pages = -1,
		.error = (uintptr_t)&why,
		.error_size = sizeof(why),
	};
	long fd = syscall(k->checkpoint_nr, pidfd, -1, &args, sizeof(args));

	return fd < 0 ? kernel_error(&why, errno, "taking a snapshot by checkpoint(2)", err)
		      : (int)fd;
}

int kernel_set_clocks(const struct kernel *k, int pidfd, int hold, uint64_t monotonic,
		      uint64_t boottime, struct error **err)
{
	struct checkpoint_error why = {0};
	struct checkpoint_args args = {
		.op = CHECKPOINT_SET_CLOCKS,
		.monotonic = monotonic,
		.boottime = boottime,
		.source = hold,
		.pages = -1,
		.error = (uintptr_t)&why,
		.error_size = sizeof(why),
	};

	if (syscall(k->checkpoint_nr, pidfd, -1, &args, sizeof(args)))
		return kernel_error(&why, errno, "setting the clocks by checkpoint(2)", err);
	return 0;
}

/* All that a file has. */
static int take_records(int fd, struct buf *records, struct error **err)
{
	off_t len = lseek(fd, 0, SEEK_END);
	void *to = len < 0 ? NULL : buf_add(records, NULL, len);
	int r = to ? pread_full(fd, to, len, 0) : -ENOMEM;

	return r ? error_errno(err, -r, "taking records of checkpoint(2)") : 0;
}

static bool cancelled(const struct kernel_dump *d)
{
	return d->cancel && *d->cancel;
}

int kernel_dump(const struct kernel *k, struct kernel_dump *d, struct buf *records,
		struct error **err)
{
	__cleanup_fd int fd = memfd_create("records", MFD_CLOEXEC);
	struct checkpoint_error why = {0};
	struct checkpoint_args args = {
		.op = CHECKPOINT_DUMP,
		.flags = d->from_snapshot ? CHECKPOINT_FROM_SNAPSHOT : 0,
		.classes = d->classes,
		.realtime = d->realtime,
		.monotonic = d->monotonic,
		.boottime = d->boottime,
		.source = d->hold,
		.pages = d->pages,
		.pages_offset = d->pages_offset,
		.error = (uintptr_t)&why,
		.error_size = sizeof(why),
	};
	long ret;

	if (fd < 0)
		return error_errno(err, errno, "making room for records");
	while ((ret = syscall(k->checkpoint_nr, d->pidfd, fd, &args, sizeof(args)))) {
		if (cancelled(d))
			return error_set(err, ECANCELED, "cancelled by a signal");
		if (errno != EINTR)
			return kernel_error(&why, errno, "saving by checkpoint(2)", err);
		/* it goes on among the pages, where the cursor is; else it begins again */
		if (args.cursor)
			continue;
		args.pages_offset = d->pages_offset;
		if (ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET))
			return error_errno(err, errno, "making room for records");
	}
	d->pages_offset = args.pages_offset;
	return take_records(fd, records, err);
}
