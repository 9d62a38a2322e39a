// SPDX-License-Identifier: GPL-2.0-only
/*
 * POSIX message queues, made by calls of the init's stub: it is in the container's IPC
 * and user namespaces, where queues are counted. One that had no name any more loses it
 * at once: our descriptor keeps it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/resource/mqueue.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define NAME_BYTES_MAX 255

static const char *queue_name(const struct ckpt_mqueue *q)
{
	return (const char *)(q + 1);
}

static size_t padded(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

/* --- load --- */

static bool name_is_sane(const char *name, size_t len)
{
	return len && len <= NAME_BYTES_MAX && !memchr(name, '/', len) && !memchr(name, 0, len) &&
	       !(len == 1 && *name == '.') && !(len == 2 && !memcmp(name, "..", 2));
}

static int check_messages(const struct ckpt_mqueue *q, size_t left, struct error **err)
{
	const char *at = queue_name(q) + padded(q->name_len);

	for (uint32_t i = 0; i < q->messages; i++) {
		const struct ckpt_mqueue_message *m = (const void *)at;

		if (left < sizeof(*m) || m->len > q->msgsize || m->priority >= MQ_PRIORITIES ||
		    left - sizeof(*m) < padded(m->len))
			return error_set(err, EBADMSG, "message %u of a queue is malformed", i);
		at += sizeof(*m) + padded(m->len);
		left -= sizeof(*m) + padded(m->len);
	}
	return left ? error_set(err, EBADMSG, "a queue has more than its messages") : 0;
}

static int check_queue(const struct record *rec, struct error **err)
{
	const struct ckpt_mqueue *q = record_head(rec, sizeof(*q), err);

	if (!q)
		return -EBADMSG;
	if (q->flags & ~CKPT_MQUEUE_UNLINKED || q->mode & ~07777u || !q->maxmsg ||
	    q->maxmsg > MQ_MSG_MAX || !q->msgsize || q->msgsize > MQ_SIZE_MAX ||
	    q->messages > q->maxmsg || q->name_len > NAME_BYTES_MAX ||
	    rec->len - sizeof(*q) < padded(q->name_len) ||
	    !name_is_sane(queue_name(q), q->name_len) ||
	    (q->notify_task &&
	     ((q->notify != SIGEV_SIGNAL && q->notify != SIGEV_NONE) || q->notify_signal >= _NSIG)))
		return error_set(err, EBADMSG, "a message queue that cannot be");
	return check_messages(q, rec->len - sizeof(*q) - padded(q->name_len), err);
}

int mqueue_load(struct restore *r, struct restore_task *t, const struct record *rec,
		struct error **err)
{
	struct mqueue_state *s;
	struct record *more;
	int ret;

	if (t)
		return error_set(err, EBADMSG, "message queues do not belong to a process");
	if (!r->files)
		r->files = calloc(1, sizeof(*r->files));
	if (r->files && !r->files->mqueues)
		r->files->mqueues = calloc(1, sizeof(*s));
	s = r->files ? r->files->mqueues : NULL;
	if (!s)
		return error_errno(err, ENOMEM, "loading message queues");
	if (rec->type == CKPT_MQUEUE_LIMITS) {
		s->limits = record_head(rec, sizeof(*s->limits), err);
		return s->limits ? 0 : -EBADMSG;
	}
	ret = check_queue(rec, err);
	if (ret)
		return ret;
	more = vec_add(&s->records);
	if (!more)
		return error_errno(err, ENOMEM, "loading message queues");
	*more = *rec;
	return 0;
}

/* --- queues --- */

static int write_limits(void *ctx, struct error **err)
{
	const uint64_t *values = ctx;

	for (unsigned i = 0; i < MQ_LIMITS; i++) {
		__cleanup_free char *text = NULL;
		char wanted[32];
		int r = read_file(AT_FDCWD, mqueue_limit_paths[i], 64, &text, NULL);

		snprintf(wanted, sizeof(wanted), "%llu", (unsigned long long)values[i]);
		if (!r && strtoull(text, NULL, 10) != values[i])
			r = write_file(AT_FDCWD, mqueue_limit_paths[i], wanted);
		if (r)
			return error_errno(err, -r, "setting %s to %s", mqueue_limit_paths[i],
					   wanted);
	}
	return 0;
}

struct open_data {
	struct mq_attr attr;
	struct rlimit all;
	char name[NAME_BYTES_MAX + 1];
};

/* The stub's number for it goes; *fd is ours. */
static int open_queue(struct restore *r, const struct ckpt_mqueue *q, int *fd, struct error **err)
{
	struct restore_task *init = &r->tasks.items[0];
	struct open_data *data = remote_data(&init->remote);
	uint64_t at = remote_data_address(&init->remote);
	long number;
	int ret;

	memset(data, 0, sizeof(*data));
	data->attr.mq_maxmsg = q->maxmsg;
	data->attr.mq_msgsize = q->msgsize;
	memcpy(data->name, queue_name(q), q->name_len);
	ret = remote_syscall(&init->remote, err, "mq_open", &number, SYS_mq_open,
			     at + offsetof(struct open_data, name),
			     O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK | O_CLOEXEC, 0600,
			     at + offsetof(struct open_data, attr), 0, 0);
	if (ret)
		return ret;
	if (number < 0) {
		error_errno(err, -number, "making message queue \"/%s\" (%llu messages of %llu)",
			    data->name, (unsigned long long)q->maxmsg,
			    (unsigned long long)q->msgsize);
		if (number == -EMFILE)
			error_hint(err, "the runtime's limit RLIMIT_MSGQUEUE is too low");
		return number;
	}
	*fd = syscall(SYS_pidfd_getfd, init->pidfd, (int)number, 0);
	if (*fd < 0)
		return error_errno(err, errno, "fetching a message queue");
	return remote_syscall(&init->remote, err, "close", NULL, SYS_close, number, 0, 0, 0, 0, 0);
}

static int unlink_queue(struct restore *r, const struct ckpt_mqueue *q, struct error **err)
{
	struct restore_task *init = &r->tasks.items[0];
	char *name = remote_data(&init->remote);

	memcpy(name, queue_name(q), q->name_len);
	name[q->name_len] = '\0';
	return remote_syscall(&init->remote, err, "mq_unlink", NULL, SYS_mq_unlink,
			      remote_data_address(&init->remote), 0, 0, 0, 0, 0);
}

static int fill(const struct ckpt_mqueue *q, int fd, struct error **err)
{
	const char *at = queue_name(q) + padded(q->name_len);

	for (uint32_t i = 0; i < q->messages; i++) {
		const struct ckpt_mqueue_message *m = (const void *)at;

		if (mq_send(fd, (const char *)(m + 1), m->len, m->priority))
			return error_errno(err, errno, "filling message queue \"/%.*s\"",
					   (int)q->name_len, queue_name(q));
		at += sizeof(*m) + padded(m->len);
	}
	return 0;
}

static int make_queue(struct restore *r, const struct ckpt_mqueue *q, int *fd, struct error **err)
{
	int ret = ids_mapped(r->init, q->uid, q->gid, err);

	if (!ret)
		ret = open_queue(r, q, fd, err);
	if (ret)
		return ret;
	if (fchown(*fd, q->uid, q->gid) || fchmod(*fd, q->mode))
		return error_errno(err, errno, "setting the owner of a message queue");
	ret = fill(q, *fd, err);
	/* it is open; another one may have its name */
	return ret || !(q->flags & CKPT_MQUEUE_UNLINKED) ? ret : unlink_queue(r, q, err);
}

static int make_queues(struct restore *r, struct mqueue_state *s, uint32_t flags,
		       struct error **err)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < s->records.count; i++) {
		const struct ckpt_mqueue *q = s->records.items[i].data;

		if (q->flags == flags)
			ret = make_queue(r, q, &s->fds.items[i], err);
	}
	return ret;
}

static int raise_limit(struct restore_task *init, struct error **err)
{
	struct open_data *data = remote_data(&init->remote);
	uint64_t at = remote_data_address(&init->remote) + offsetof(struct open_data, all);
	int ret = remote_syscall(&init->remote, err, "prlimit", NULL, SYS_prlimit64, 0,
				 RLIMIT_MSGQUEUE, 0, at, 0, 0);

	data->all.rlim_cur = data->all.rlim_max;
	return ret ? ret
		   : remote_syscall(&init->remote, err, "prlimit", NULL, SYS_prlimit64, 0,
				    RLIMIT_MSGQUEUE, at, 0, 0, 0);
}

int mqueue_make(struct restore *r, struct restore_task *none, struct error **err)
{
	struct mqueue_state *s = r->files ? r->files->mqueues : NULL;
	int ret;

	if (!s || (!s->limits && !s->records.count))
		return 0;
	ret = same_namespace(r->init, "ipc", err);
	if (ret > 0)
		return error_set(err, EXDEV, "message queues, but no IPC namespace of its own");
	if (!ret && s->limits)
		ret = in_namespaces(r->init, CLONE_NEWIPC, write_limits, (void *)s->limits, err);
	if (!ret && s->records.count)
		ret = raise_limit(&r->tasks.items[0], err);
	vec_for_each (rec, &s->records) {
		int *slot = vec_add(&s->fds);

		if (!slot)
			return error_errno(err, ENOMEM, "making message queues");
		*slot = -1;
	}
	/* others may have the names of those that have none */
	if (!ret)
		ret = make_queues(r, s, CKPT_MQUEUE_UNLINKED, err);
	return ret ? ret : make_queues(r, s, 0, err);
}

/* --- who is told --- */

static int register_owner(struct restore *r, const struct mqueue_state *s, size_t i,
			  struct error **err)
{
	const struct ckpt_mqueue *q = s->records.items[i].data;
	struct restore_task *t = restore_find(r, q->notify_task);
	const struct ckpt_mqueue_fd *found = NULL;
	struct sigevent *event;

	for (size_t k = 0; t && k < t->fd_count; k++) {
		const struct file_object *o = files_object(r, t->fds[k].description);

		if (t->fds[k].fd == q->notify_fd && o->kind == &file_kind_mqueue)
			found = o->rec;
	}
	if (!found || found->queue != i + 1)
		return error_set(err, EBADMSG,
				 "process %u, to be told of a message queue, has it "
				 "not open",
				 q->notify_task);
	event = remote_data(&t->remote);
	memset(event, 0, sizeof(*event));
	event->sigev_notify = q->notify;
	event->sigev_signo = q->notify_signal;
	event->sigev_value.sival_ptr = (void *)(uintptr_t)q->notify_value;
	return remote_syscall(&t->remote, err, "mq_notify", NULL, SYS_mq_notify, q->notify_fd,
			      remote_data_address(&t->remote), 0, 0, 0, 0);
}

int mqueue_cross(struct restore *r, struct restore_task *none, struct error **err)
{
	const struct mqueue_state *s = r->files ? r->files->mqueues : NULL;
	int ret = 0;

	for (size_t i = 0; s && !ret && i < s->records.count; i++)
		if (((const struct ckpt_mqueue *)s->records.items[i].data)->notify_task)
			ret = register_owner(r, s, i, err);
	return ret;
}
