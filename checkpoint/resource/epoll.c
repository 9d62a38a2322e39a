// SPDX-License-Identifier: GPL-2.0-only
/*
 * Epoll sets. A member is a description together with the number it had when it
 * was added; the number may be another file's by now, so the kernel is asked
 * (KCMP_EPOLL_TFD) which description it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "util/cleanup.h"
#include "util/error.h"

#define MEMBER_FD_MAX (1u << 20)

typedef VEC(struct ckpt_epoll_target) target_vec;

static bool matches(const struct description *d)
{
	return !strcmp(d->link, "anon_inode:[eventpoll]");
}

static void targets_free(void *state)
{
	target_vec *targets = state;

	vec_free(targets);
	free(targets);
}

/* Is this description the member? Both are open here. slot names the member in the set. */
static bool is_member(const struct description *d, struct kcmp_epoll_slot *slot)
{
	return !syscall(SYS_kcmp, getpid(), getpid(), KCMP_EPOLL_TFD, d->fd, slot);
}

static const struct description *description_of(struct checkpoint *c, const struct fd_use *use)
{
	return c->files->descriptions.items[use->description - 1];
}

static int compare_uses(const void *pa, const void *pb)
{
	const struct fd_use *a = pa, *b = pb;

	if (a->task != b->task)
		return a->task < b->task ? -1 : 1;
	return a->fd < b->fd ? -1 : a->fd > b->fd;
}

static const struct fd_use *find_use(struct checkpoint *c, const struct dump_task *task,
				     uint32_t fd)
{
	struct fd_use key = {.task = task, .fd = fd};

	if (!c->files->uses.count)
		return NULL;
	/* gathered task by task and by number: sorted */
	return bsearch(&key, c->files->uses.items, c->files->uses.count, sizeof(key), compare_uses);
}

/* A task that has it under the number with which it was added, as long as there is one. */
static bool find_use_of(struct checkpoint *c, const struct dump_task *task,
			struct kcmp_epoll_slot *slot, struct ckpt_epoll_target *target)
{
	const struct fd_use *use = find_use(c, task, slot->tfd);

	if (!use || !is_member(description_of(c, use), slot))
		return false;
	target->task = task->rec.pid;
	target->description = use->description;
	return true;
}

/* Whoever has it; it may be in flight in a socket's queue, and nobody's descriptor. */
static bool find_member(struct checkpoint *c, const struct description *set,
			struct kcmp_epoll_slot *slot, uint64_t ino,
			struct ckpt_epoll_target *target)
{
	if (find_use_of(c, set->task, slot, target))
		return true;
	vec_for_each (t, &c->tasks)
		if (find_use_of(c, t, slot, target))
			return true;
	for (size_t i = 0; i < c->files->descriptions.count; i++) {
		const struct description *d = c->files->descriptions.items[i];

		if (d->st.st_ino != ino || !is_member(d, slot))
			continue;
		target->description = d->id;
		return true;
	}
	return false;
}

static int add_member(struct checkpoint *c, struct description *d, target_vec *targets,
		      const char *line, struct error **err)
{
	struct kcmp_epoll_slot slot = {.efd = d->fd};
	struct ckpt_epoll_target *target;
	unsigned events, fd;
	unsigned long long data;
	unsigned long ino = 0;
	const char *at;

	if (sscanf(line, "tfd: %u events: %x data: %llx", &fd, &events, &data) != 3)
		return error_set(err, EOPNOTSUPP, "an epoll set's members are not understood");
	at = strstr(line, "ino:");
	if (at)
		ino = strtoul(at + 4, NULL, 16);
	slot.tfd = fd;
	vec_for_each (before, targets)
		slot.toff += before->fd == fd;
	target = vec_add(targets);
	if (!target)
		return error_errno(err, ENOMEM, "looking at an epoll set");
	*target = (struct ckpt_epoll_target){.fd = fd, .events = events, .data = data};
	if (find_member(c, d, &slot, ino, target))
		return 0;
	return description_block(c, d, "let the program remove the member before it closes it",
				 "epoll set with a member (%u) that no process has open", fd);
}

static int epoll_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	target_vec *targets = calloc(1, sizeof(*targets));
	int r = 0;

	if (!targets)
		return error_errno(err, ENOMEM, "looking at an epoll set");
	d->state = targets;
	d->state_free = targets_free;
	for (const char *line = d->fdinfo; !r && line && *line;) {
		if (!strncmp(line, "tfd:", 4))
			r = add_member(c, d, targets, line, err);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return r;
}

static int epoll_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	const target_vec *targets = d->state;
	struct ckpt_epoll rec = {
		.id = d->id, .open_flags = d->open_flags, .targets = targets->count};

	if (!record_add2(&c->records, CKPT_EPOLL, &rec, sizeof(rec), targets->items,
			 targets->count * sizeof(*targets->items)))
		return error_errno(err, ENOMEM, "recording an epoll set");
	return 0;
}

/* --- a restore --- */

static int epoll_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_epoll *rec = o->rec;
	const struct ckpt_epoll_target *targets = (const void *)o->tail;

	if (o->tail_len / sizeof(*targets) != rec->targets || o->tail_len % sizeof(*targets))
		return error_set(err, EBADMSG, "epoll set %u is malformed", o->id);
	for (uint32_t i = 0; i < rec->targets; i++)
		if (targets[i].fd >= MEMBER_FD_MAX || !targets[i].description)
			return error_set(err, EBADMSG, "member %u of epoll set %u is malformed", i,
					 o->id);
	return 0;
}

static int epoll_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_epoll *rec = o->rec;

	o->fd = epoll_create1(EPOLL_CLOEXEC);
	if (o->fd < 0)
		return error_errno(err, errno, "making an epoll set");
	return files_set_flags(o->fd, rec->open_flags, err);
}

/*
 * The number is part of the member: it must be added under it. What the runtime
 * itself has there steps aside meanwhile.
 */
static int add_under(int set, int fd, const struct ckpt_epoll_target *target, struct error **err)
{
	struct epoll_event event = {.events = target->events, .data.u64 = target->data};
	int aside = -1, flags = 0, use = set, ret = 0;

	if ((uint32_t)fd == target->fd) {
		ret = epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
		return ret ? error_errno(err, errno, "adding to an epoll set") : 0;
	}
	flags = fcntl(target->fd, F_GETFD);
	if (flags >= 0) {
		aside = fcntl(target->fd, F_DUPFD_CLOEXEC, 0);
		if (aside < 0)
			return error_errno(err, errno, "making room for an epoll member");
		if ((uint32_t)set == target->fd)
			use = aside;
	}
	if (dup3(fd, target->fd, O_CLOEXEC) < 0 ||
	    epoll_ctl(use, EPOLL_CTL_ADD, target->fd, &event))
		ret = error_errno(err, errno, "adding descriptor %u to an epoll set", target->fd);
	if (aside < 0) {
		close(target->fd);
	} else {
		if (dup3(aside, target->fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0 && !ret)
			ret = error_errno(err, errno, "making room for an epoll member");
		close(aside);
	}
	return ret;
}

/* Additions by a task that has both the set and the member, as many as go in one run. */
struct batch {
	struct restore_task *task;
	const struct file_object *object;
	unsigned set; /* its number in the task */
	unsigned count;
};

static int batch_run(struct batch *b, struct error **err)
{
	unsigned count = b->count;
	const struct remote_call *call;
	int ret;

	b->count = 0;
	if (!count)
		return 0;
	call = remote_calls(&b->task->remote);
	ret = remote_run(&b->task->remote, 0, count, err);
	for (unsigned i = 0; !ret && i < count; i++)
		if (call[i].ret)
			ret = error_errno(err, -call[i].ret,
					  "process %u: adding descriptor %lu to an epoll set",
					  b->task->rec->pid, call[i].args[2]);
	return ret;
}

static int compare_fds(const void *pa, const void *pb)
{
	const struct ckpt_fd *a = pa, *b = pb;

	return a->fd < b->fd ? -1 : a->fd > b->fd;
}

static bool has_member(const struct restore_task *t, const struct ckpt_epoll_target *target)
{
	struct ckpt_fd key = {.fd = target->fd};
	const struct ckpt_fd *found =
		t->fd_count ? bsearch(&key, t->fds, t->fd_count, sizeof(key), compare_fds) : NULL;

	return found && found->description == target->description;
}

/* The number under which a task has an object, or -1. */
static int number_in(const struct restore_task *t, uint32_t id)
{
	for (size_t i = 0; i < t->fd_count; i++)
		if (t->fds[i].description == id)
			return t->fds[i].fd;
	return -1;
}

/* 1: the batch is that of the target's task now; 0: that task cannot add it. */
static int batch_select(struct restore *r, struct batch *b, const struct ckpt_epoll_target *target,
			struct error **err)
{
	struct restore_task *t = restore_find(r, target->task);
	int set, ret;

	if (!t || !t->remote.address || !has_member(t, target))
		return 0;
	set = b->task == t ? (int)b->set : number_in(t, b->object->id);
	if (set < 0)
		return 0;
	if (b->task != t || b->count == REMOTE_CALLS_MAX) {
		ret = batch_run(b, err);
		if (ret)
			return ret;
	}
	b->task = t;
	b->set = set;
	return 1;
}

/*
 * The task itself adds what it has under the right number, because a signalfd
 * wakes only sets that it was added to by the task whose signals it reads. What
 * is left to us is what has another number by now; there, a signalfd does not wake.
 */
static int add_target(struct restore *r, struct batch *b, const struct ckpt_epoll_target *target,
		      uint32_t events, struct error **err)
{
	const struct file_object *member = files_object(r, target->description);
	struct ckpt_epoll_target changed = *target;
	struct epoll_event *event;
	int ret;

	changed.events = events;
	/* a standard stream that is closed or a file now cannot be waited for */
	if (member->lent) {
		ret = member->fd < 0 ? 0 : add_under(b->object->fd, member->fd, &changed, err);
		if (ret == -EPERM) {
			error_free(*err);
			*err = NULL;
			ret = 0;
		}
		return ret;
	}
	ret = batch_select(r, b, target, err);
	if (ret < 0)
		return ret;
	if (!ret)
		return add_under(b->object->fd, member->fd, &changed, err);
	event = (struct epoll_event *)remote_data(&b->task->remote) + b->count;
	*event = (struct epoll_event){.events = events, .data.u64 = target->data};
	remote_set(&remote_calls(&b->task->remote)[b->count], SYS_epoll_ctl, b->set, EPOLL_CTL_ADD,
		   target->fd, remote_data_address(&b->task->remote) + b->count * sizeof(*event));
	b->count++;
	return 0;
}

#define HOW_BITS (EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE)
#define ANY_BITS (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP)

/* A one-shot member that has had its shot is left with no event to wait for. */
static bool is_spent(const struct ckpt_epoll_target *target)
{
	return target->events & EPOLLONESHOT && !(target->events & ~HOW_BITS);
}

/*
 * Adding waits for errors and hang-ups whatever is asked for. So a spent member
 * is added for anything that it is ready for, and that is fetched. One that is
 * ready for nothing stays armed for those two: the kernel offers no other way.
 */
static int add_spent(struct restore *r, struct batch *b, const struct ckpt_epoll *rec,
		     const struct ckpt_epoll_target *targets, struct error **err)
{
	struct epoll_event ready[64];
	int n, ret = 0;

	for (uint32_t i = 0; !ret && i < rec->targets; i++) {
		struct pollfd p = {.fd = files_object(r, targets[i].description)->fd,
				   .events = ANY_BITS};

		if (!is_spent(&targets[i]))
			continue;
		ret = add_target(r, b, &targets[i],
				 targets[i].events | (poll(&p, 1, 0) > 0 ? ANY_BITS : 0), err);
	}
	if (!ret)
		ret = batch_run(b, err);
	if (ret)
		return ret;
	/* each comes once */
	do
		n = epoll_wait(b->object->fd, ready, 64, 0);
	while (n > 0);
	return n ? error_errno(err, errno, "emptying an epoll set") : 0;
}

/* Last, when pipes and sockets have their contents: spent members are told from others by it. */
static int epoll_arm(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_epoll *rec = o->rec;
	const struct ckpt_epoll_target *targets = (const void *)o->tail;
	struct batch b = {.object = o};
	int ret;

	for (uint32_t i = 0; i < rec->targets; i++) {
		const struct file_object *member = files_object(r, targets[i].description);

		if (!member || (member->fd < 0 && !member->lent))
			return error_set(err, EBADMSG, "epoll set %u has a member %u that is not",
					 o->id, targets[i].description);
	}
	/* while there are no others whose events would be fetched */
	ret = add_spent(r, &b, rec, targets, err);
	for (uint32_t i = 0; !ret && i < rec->targets; i++)
		if (!is_spent(&targets[i]))
			ret = add_target(r, &b, &targets[i], targets[i].events, err);
	return ret ? ret : batch_run(&b, err);
}

const struct file_kind file_kind_epoll = {
	.type = CKPT_EPOLL,
	.size = sizeof(struct ckpt_epoll),
	.matches = matches,
	.admit = epoll_admit,
	.dump = epoll_dump,
	.load = epoll_load,
	.open = epoll_open,
	.arm = epoll_arm,
};
