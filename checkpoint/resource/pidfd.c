// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pidfds of the container's processes: alive, zombies, or ended and reaped. Of the
 * last kind nothing is left but the exit status, with which a helper ends when they
 * have been opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/engine/tasks.h"
#include "checkpoint/resource/files.h"
#include "util/cleanup.h"
#include "util/error.h"

#define PIDFD_FLAGS (O_NONBLOCK | O_EXCL) /* PIDFD_NONBLOCK, PIDFD_THREAD */

/* <linux/pidfd.h> of 6.15: earlier ones do not tell how a process has ended */
struct exit_info {
	uint64_t mask;
	uint64_t unused[6];
	uint32_t unused_id;
	int32_t exit_code;
};
#define INFO_EXIT     (1ull << 3)
#define GET_EXIT_INFO _IOWR(0xff, 11, struct exit_info)

static bool matches(const struct description *d)
{
	return !strcmp(d->link, "anon_inode:[pidfd]") || !strncmp(d->link, "pidfd:[", 7);
}

/* --- a checkpoint --- */

static pid_t pid_of(const struct description *d)
{
	const char *pid = fdinfo_find(d->fdinfo, "Pid");

	return pid ? atoi(pid) : 0;
}

static const struct dump_task *task_of(struct checkpoint *c, pid_t pid)
{
	vec_for_each (t, &c->tasks)
		if (t->pid == pid)
			return t;
	return NULL;
}

static bool is_thread(struct checkpoint *c, pid_t pid)
{
	vec_for_each (t, &c->tasks)
		vec_for_each (th, &t->threads)
			if (th->tid == pid)
				return true;
	return false;
}

static int pidfd_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	pid_t pid = pid_of(d);

	if (pid < 0 || task_of(c, pid))
		return 0;
	if (is_thread(c, pid))
		return description_block(c, d, "let the program close it",
					 "a pidfd of a thread that is not its process's first");
	return description_block(c, d, "let the program close it",
				 "a pidfd of a process outside of the container");
}

static uint32_t exit_status(const struct description *d)
{
	struct exit_info info = {.mask = INFO_EXIT};

	if (ioctl(d->fd, GET_EXIT_INFO, &info) || !(info.mask & INFO_EXIT))
		return 0;
	return info.exit_code;
}

/* Which are of the same ended process: since 6.9 they have an inode in common. */
static uint32_t group_of(struct checkpoint *c, struct description *d)
{
	for (size_t i = 0; i < c->files->descriptions.count; i++) {
		const struct description *other = c->files->descriptions.items[i];

		if (other->kind == &file_kind_pidfd && other->group &&
		    other->st.st_dev == d->st.st_dev && other->st.st_ino == d->st.st_ino)
			return other->group;
	}
	return ++c->files->groups;
}

static int pidfd_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	const struct dump_task *t = task_of(c, pid_of(d));
	struct ckpt_pidfd rec = {.id = d->id, .open_flags = d->open_flags};

	if (t) {
		rec.pid = t->rec.pid;
	} else {
		d->group = group_of(c, d);
		rec.ended = d->group;
		rec.exit_code = exit_status(d);
	}
	if (!record_add(&c->records, CKPT_PIDFD, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording a pidfd");
	return 0;
}

/* --- a restore --- */

static int pidfd_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_pidfd *rec = o->rec;

	if (o->tail_len || !rec->pid == !rec->ended || rec->reserved ||
	    !stub_can_end_with(rec->exit_code) || (rec->pid && !restore_find(r, rec->pid)))
		return error_set(err, EBADMSG, "pidfd %u is malformed", o->id);
	return 0;
}

static int open_pidfd(struct file_object *o, pid_t pid, struct error **err)
{
	const struct ckpt_pidfd *rec = o->rec;

	o->fd = syscall(SYS_pidfd_open, pid, rec->open_flags & PIDFD_FLAGS);
	return o->fd < 0 ? error_errno(err, errno, "opening a pidfd") : 0;
}

struct ended {
	struct restore *r;
	uint32_t number;
};

/* All those of one process at once: none can be opened when it has ended. */
static int open_ended(void *ctx, const struct restore_task *t, struct error **err)
{
	const struct ended *ended = ctx;
	int ret = 0;

	vec_for_each (o, &ended->r->files->objects) {
		const struct ckpt_pidfd *rec = o->rec;

		if (!ret && o->kind == &file_kind_pidfd && rec->ended == ended->number)
			ret = open_pidfd(o, t->pid, err);
	}
	return ret;
}

static int pidfd_open_object(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_pidfd *rec = o->rec;
	const struct restore_task *t = rec->pid ? restore_find(r, rec->pid) : NULL;
	struct ended ended = {r, rec->ended};

	if (t)
		return open_pidfd(o, t->pid, err);
	return stubs_make_ended(r, &r->tasks.items[0], 0, rec->exit_code, open_ended, &ended, err);
}

const struct file_kind file_kind_pidfd = {
	.type = CKPT_PIDFD,
	.size = sizeof(struct ckpt_pidfd),
	.late = true,
	.matches = matches,
	.admit = pidfd_admit,
	.dump = pidfd_dump,
	.load = pidfd_load,
	.open = pidfd_open_object,
};
