// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who gets which signal for a descriptor: F_SETOWN, F_SETSIG, O_ASYNC. The signals are sent
 * with the user ids of who has called F_SETOWN, so these are kept as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/resource/locks.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/user/ns.h"
#include "util/error.h"

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif

/* --- a checkpoint --- */

/* The container's number for ours; 0 if it is none of the container's. */
static uint32_t owner_inside(const struct checkpoint *c, const struct f_owner_ex *owner)
{
	vec_for_each (t, &c->tasks) {
		if (owner->type == F_OWNER_PID && t->pid == owner->pid)
			return t->rec.pid;
		if (owner->type == F_OWNER_PGRP && getpgid(t->pid) == owner->pid)
			return t->rec.pgid;
		vec_for_each (th, &t->threads)
			if (owner->type == F_OWNER_TID && th->tid == owner->pid)
				return th->rec.tid;
		if (owner->type == F_OWNER_TID && t->exited.tid && t->pid == owner->pid)
			return t->rec.pid;
	}
	return 0;
}

static bool uses_description(const struct fd_use *use, uint32_t id, pid_t owner)
{
	if (use->description != id)
		return false;
	if (!owner || use->task->pid == owner)
		return true;
	vec_for_each (th, &use->task->threads)
		if (th->tid == owner)
			return true;
	return false;
}

/* si_fd is the number with which O_ASYNC was set: that of the owner most likely. */
static void find_setter(const struct checkpoint *c, struct ckpt_owner *rec, pid_t owner)
{
	const struct fd_use *best = NULL;

	vec_for_each (use, &c->files->uses) {
		if (!uses_description(use, rec->id, 0))
			continue;
		if (!best || (uses_description(use, rec->id, owner) &&
			      !uses_description(best, rec->id, owner)))
			best = use;
	}
	if (!best)
		return;
	rec->task = best->task->rec.pid;
	rec->fd = best->fd;
}

static int add_owner(struct checkpoint *c, const struct description *d,
		     const struct f_owner_ex *owner, int signal, struct error **err)
{
	uid_t uids[2] = {0};
	struct ckpt_owner rec = {
		.id = d->id,
		.type = owner->type,
		.signal = signal,
		.async = !!(d->open_flags & O_ASYNC),
	};
	struct ckpt_owner *slot;

	if (owner->pid) {
		rec.pid = owner_inside(c, owner);
		if (!rec.pid)
			return description_block(
				c, d, "let the program take back F_SETOWN",
				"signals for \"%s\" to a process outside of the container",
				d->link);
		if (fcntl(d->fd, F_GETOWNER_UIDS, uids))
			return error_errno(err, errno, "asking who has set the owner of \"%s\"",
					   d->link);
		rec.uid = uids[0];
		rec.euid = uids[1];
	}
	find_setter(c, &rec, owner->pid);
	slot = vec_add(&c->files->owners);
	if (!slot)
		return error_errno(err, ENOMEM, "looking at who gets signals");
	*slot = rec;
	return 0;
}

static int admit_owner(struct checkpoint *c, const struct description *d, struct error **err)
{
	struct f_owner_ex owner = {0};
	int signal;

	if (fcntl(d->fd, F_GETOWN_EX, &owner))
		return error_errno(err, errno, "asking who gets signals for \"%s\"", d->link);
	signal = fcntl(d->fd, F_GETSIG);
	if (!owner.pid && signal <= 0 && !(d->open_flags & O_ASYNC))
		return 0;
	/* what F_NOTIFY has asked for is readable nowhere, but it sets an owner */
	if (S_ISDIR(d->st.st_mode) && owner.pid)
		return description_block(c, d, "let the program close it, or use inotify",
					 "signals for changes in directory \"%s\" (dnotify)",
					 d->link);
	return add_owner(c, d, &owner, signal, err);
}

static int owners_admit(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r = 0;

	if (t)
		return 0;
	for (size_t i = 0; !r && i < c->files->descriptions.count; i++) {
		const struct description *d = c->files->descriptions.items[i];

		if (d->number >= 0 && d->kind && d->kind != &file_kind_external &&
		    !(d->open_flags & O_PATH))
			r = admit_owner(c, d, err);
	}
	return r;
}

static int owners_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	if (t)
		return 0;
	vec_for_each (rec, &c->files->owners)
		if (!record_add(&c->records, CKPT_OWNER, rec, sizeof(*rec)))
			return error_errno(err, ENOMEM, "recording who gets signals");
	return 0;
}

/* --- a restore --- */

static int owners_load(struct restore *r, struct restore_task *t, const struct record *rec,
		       struct error **err)
{
	const struct ckpt_owner *owner = record_head(rec, sizeof(*owner), err);
	struct record *more;

	if (!owner)
		return -EBADMSG;
	if (t || !files_object(r, owner->id) || owner->type > F_OWNER_PGRP ||
	    owner->signal >= _NSIG || owner->async > 1)
		return error_set(err, EBADMSG, "an owner of a descriptor that cannot be");
	more = vec_add(&r->files->owners_wanted);
	if (!more)
		return error_errno(err, ENOMEM, "loading who gets signals");
	*more = *rec;
	return 0;
}

/* Our number for the container's. */
static pid_t owner_outside(const struct restore *r, const struct ckpt_owner *rec)
{
	vec_for_each (t, &r->tasks) {
		if (!t->pid || t->rec->state == CKPT_TASK_ZOMBIE)
			continue;
		if (rec->type == F_OWNER_PID && t->rec->pid == rec->pid)
			return t->pid;
		if (rec->type == F_OWNER_PGRP && t->rec->pgid == rec->pid)
			return getpgid(t->pid);
		vec_for_each (th, &t->threads)
			if (rec->type == F_OWNER_TID && th->rec->tid == rec->pid)
				return th->tid;
		if (rec->type == F_OWNER_TID && t->exited && t->rec->pid == rec->pid)
			return t->pid;
	}
	return 0;
}

struct set_owner {
	const struct ckpt_owner *rec;
	struct f_owner_ex owner;
	int fd;
};

/* In a thread that ends behind this: raw calls, which change its credentials alone. */
static int set_owner(void *ctx, struct error **err)
{
	struct set_owner *s = ctx;

	if (syscall(SYS_setresuid, s->rec->uid, s->rec->euid, -1))
		return error_errno(err, errno, "becoming user %u for an owner", s->rec->uid);
	if (fcntl(s->fd, F_SETOWN_EX, &s->owner))
		return error_errno(err, errno, "setting who gets signals");
	return 0;
}

static int set_async(struct restore *r, const struct ckpt_owner *rec, int fd, struct error **err)
{
	struct restore_task *t = lock_task(r, rec->task, rec->fd, rec->id, err);
	int flags = fcntl(fd, F_GETFL);

	if (!t)
		return -EBADMSG;
	return remote_syscall(&t->remote, err, "fcntl(F_SETFL, O_ASYNC)", NULL, SYS_fcntl, rec->fd,
			      F_SETFL, flags | O_ASYNC, 0, 0, 0);
}

static int restore_owner(struct restore *r, const struct ckpt_owner *rec, struct error **err)
{
	const struct file_object *o = files_object(r, rec->id);
	struct set_owner s = {.rec = rec, .owner = {.type = rec->type}, .fd = o->fd};
	int ret = 0;

	if (o->lent)
		return 0;
	if (o->fd < 0)
		return error_set(err, EBADMSG, "an owner of what is not open");
	if (rec->pid) {
		s.owner.pid = owner_outside(r, rec);
		if (!s.owner.pid)
			return error_set(err, EBADMSG, "no process or group %u", rec->pid);
		ret = uid_mapped(r->init, rec->uid, err);
		if (!ret)
			ret = uid_mapped(r->init, rec->euid, err);
	}
	/* a lease has made somebody the owner: even no owner must be set */
	if (!ret)
		ret = in_thread(set_owner, &s, err);
	if (!ret && fcntl(o->fd, F_SETSIG, rec->signal))
		ret = error_errno(err, errno, "setting the signal of a descriptor");
	return ret || !rec->async ? ret : set_async(r, rec, o->fd, err);
}

/* When nothing is written to descriptions any more that would make signals. */
static int owners_restore(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret = 0;

	if (!r->files)
		return 0;
	vec_for_each (rec, &r->files->owners_wanted)
		if (!ret)
			ret = restore_owner(r, rec->data, err);
	return ret;
}

static const enum ckpt_type types[] = {CKPT_OWNER, 0};

static const char *const not_captured[] = {
	"by which of several numbers of one description signals name it (si_fd)",
	NULL,
};

const struct resource_class resource_owners = {
	.name = "signals for descriptors",
	.version = 1,
	.types = types,
	.admit = owners_admit,
	.dump = owners_dump,
	.load = owners_load,
	.restore = {[STAGE_ARM] = owners_restore},
	.not_captured = not_captured,
};
