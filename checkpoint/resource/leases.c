// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases. One that is being broken says only what it has to become; whether it is one
 * for writing follows from how the file is open, or from an open for reading that is
 * refused. After a restore it is broken again in the same way, without a signal: that was
 * sent already.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/kernel/restart.h"
#include "checkpoint/resource/locks.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/* Changes nothing: the break that this open would begin has begun already. */
static bool conflicts_with_readers(int fd)
{
	__cleanup_fd int probe = reopen_fd(fd, O_RDONLY | O_NONBLOCK);

	return probe == -EWOULDBLOCK;
}

int lease_dump(struct checkpoint *c, const struct file_lock_use *use, const struct lock_line *line,
	       struct error **err)
{
	const struct description *d = c->files->descriptions.items[use->description - 1];
	struct ckpt_lease rec = {
		.description = use->description,
		.task = use->task->rec.pid,
		.fd = use->fd,
		.write = !strcmp(line->access, "WRITE"),
	};

	if (!strcmp(line->mode, "BREAKING")) {
		rec.becomes = !strcmp(line->access, "READ") ? CKPT_LEASE_READ : CKPT_LEASE_NONE;
		/* one for reading has nothing that it could be but none */
		rec.write = rec.becomes == CKPT_LEASE_READ ||
			    (d->open_flags & O_ACCMODE) != O_RDONLY ||
			    conflicts_with_readers(d->fd);
	}
	if (!record_add(&c->records, CKPT_LEASE, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording leases");
	return 0;
}

static bool is_any(const void *rec, const void *unused)
{
	return true;
}

/* A description has at most one. */
int lease_adopt(struct checkpoint *c, const struct file_lock_use *use, struct error **err)
{
	const struct ckpt_lease *found =
		locks_find_recorded(c, use, CKPT_LEASE, sizeof(*found), is_any, NULL);
	struct ckpt_lease rec;

	if (!found)
		return error_set(err, EPROTO,
				 "the kernel and /proc differ about a lease of process %u, fd %d",
				 use->task->rec.pid, use->fd);
	rec = *found;
	rec.description = use->description;
	rec.task = use->task->rec.pid;
	rec.fd = use->fd;
	if (!record_add(&c->records, CKPT_LEASE, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording leases");
	return 0;
}

int lease_load(struct restore *r, const struct record *rec, struct error **err)
{
	const struct ckpt_lease *lease = record_head(rec, sizeof(*lease), err);

	if (!lease)
		return -EBADMSG;
	if (!files_object(r, lease->description) || lease->write > 1 ||
	    lease->becomes > CKPT_LEASE_READ ||
	    (lease->becomes == CKPT_LEASE_READ && !lease->write))
		return error_set(err, EBADMSG, "a lease that cannot be");
	return 0;
}

/* As an open by somebody else does that does not wait. */
static int break_again(const struct ckpt_lease *lease, int fd, struct error **err)
{
	int flags = lease->becomes == CKPT_LEASE_READ ? O_RDONLY : O_WRONLY;
	__cleanup_fd int opened = -1;

	opened = reopen_fd(fd, flags | O_NONBLOCK);
	if (opened != -EWOULDBLOCK)
		return error_errno(err, opened < 0 ? -opened : EPROTO,
				   "process %u, fd %u: breaking the lease again", lease->task,
				   lease->fd);
	return 0;
}

/* With the time that is left of its break; the description's number means nothing to it. */
static int restart_lease(struct restore *r, struct restore_task *t, const struct ckpt_lease *lease,
			 struct error **err)
{
	__cleanup_buf struct buf stream = {0};

	if (!record_add(&stream, CKPT_LEASE, lease, sizeof(*lease)))
		return error_errno(err, ENOMEM, "preparing restart(2)");
	return kernel_restart(r, t, NULL, KERNEL_CLASS(LEASES), &stream, err);
}

int lease_restore(struct restore *r, const struct ckpt_lease *lease, struct error **err)
{
	struct restore_task *t = lock_task(r, lease->task, lease->fd, lease->description, err);
	struct f_owner_ex nobody = {.type = F_OWNER_PID};
	const struct file_object *o = files_object(r, lease->description);
	long result;
	int ret;

	if (!t || o->fd < 0)
		return t ? error_set(err, EBADMSG, "a lease of what is not open") : -EBADMSG;
	if (kernel_restores(r, KERNEL_CLASS(LEASES)))
		return restart_lease(r, t, lease, err);
	ret = remote_syscall(&t->remote, err, "fcntl", &result, SYS_fcntl, lease->fd, F_SETLEASE,
			     lease->write ? F_WRLCK : F_RDLCK, 0, 0, 0);
	if (ret)
		return ret;
	if (result < 0) {
		error_errno(err, -result, "process %u, fd %u: taking its lease again", lease->task,
			    lease->fd);
		if (result == -EAGAIN)
			error_hint(err, "somebody outside of the container has the file open");
		return result;
	}
	/* whoever takes a lease is the one who is told; owners.c sets who that is */
	if (fcntl(o->fd, F_SETOWN_EX, &nobody))
		return error_errno(err, errno, "taking the owner off a lease");
	return lease->becomes == CKPT_LEASE_STAYS ? 0 : break_again(lease, o->fd, err);
}
