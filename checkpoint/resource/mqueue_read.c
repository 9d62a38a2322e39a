// SPDX-License-Identifier: GPL-2.0-only
/*
 * The messages of a queue: taken out, the highest priority and the oldest first, and put
 * back in this order, by a helper that a kill of the runtime does not reach. The first one put
 * back would tell who wants to be told, so that is brought about before, with the queue empty: the
 * value that its signal carries is readable nowhere, so the signal comes to the stopped process, is
 * taken off its queue again, and the process asks anew.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/resource/mqueue.h"
#include "util/apart.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/fault.h"
#include "util/log.h"

/* --- messages --- */

static int take_out(const struct mqueue *q, struct buf *messages, uint32_t *count,
		    struct error **err)
{
	__cleanup_free char *text = malloc(q->attr.mq_msgsize + 1);
	struct ckpt_mqueue_message head;
	ssize_t n;

	if (!text)
		return error_errno(err, ENOMEM, "taking messages");
	while ((n = mq_receive(q->fd, text, q->attr.mq_msgsize, &head.priority)) >= 0) {
		head.len = n;
		++*count;
		if (!buf_add(messages, &head, sizeof(head)) || (n && !buf_add(messages, text, n)) ||
		    buf_align(messages, 8)) {
			mq_send(q->fd, text, n, head.priority);
			return error_errno(err, ENOMEM, "taking messages");
		}
	}
	return errno == EAGAIN ? 0 : error_errno(err, errno, "taking messages");
}

static int put_back(const struct mqueue *q, const struct buf *messages, size_t at, uint32_t count,
		    struct error **err)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct ckpt_mqueue_message *m = (const void *)(messages->data + at);

		at += sizeof(*m) + ((m->len + 7ull) & ~7ull);
		if (mq_send(q->fd, (const char *)(m + 1), m->len, m->priority))
			return error_errno(err, errno, "putting a message back");
	}
	return 0;
}

/* --- who is told --- */

/* The owner's descriptor of the queue: closing its last one ends the registration. */
static int owners_fd(const struct checkpoint *c, const struct mqueue *q)
{
	/* a table that tasks share is listed with the first of them */
	const struct dump_task *holder = q->owner->files_of ? q->owner->files_of : q->owner;

	vec_for_each (use, &c->files->uses) {
		const struct description *d = c->files->descriptions.items[use->description - 1];

		if (use->task == holder && d->st.st_ino == q->st.st_ino &&
		    d->st.st_dev == q->st.st_dev)
			return use->fd;
	}
	return -1;
}

#define PEEKED 64

/* The value of the signal that the queue has sent; -ENODATA: none has come. */
static int find_signal(pid_t pid, int signo, uint64_t *value)
{
	struct __ptrace_peeksiginfo_args args = {.flags = PTRACE_PEEKSIGINFO_SHARED, .nr = PEEKED};
	siginfo_t info[PEEKED];
	long n;

	while ((n = ptrace(PTRACE_PEEKSIGINFO, pid, &args, info)) > 0) {
		for (long i = 0; i < n; i++) {
			if (info[i].si_signo != signo || info[i].si_code != SI_MESGQ)
				continue;
			*value = (uintptr_t)info[i].si_value.sival_ptr;
			return 0;
		}
		args.off += n;
	}
	return -ENODATA;
}

struct wait_data {
	uint64_t set;
	struct timespec now;
	siginfo_t info;
};

/* That number was not pending before, so the first one is it. */
static int take_signal(struct dump_task *t, int signo, struct error **err)
{
	struct wait_data *data = remote_data(&t->remote);
	uint64_t at = remote_data_address(&t->remote);
	long ret;
	int r;

	*data = (struct wait_data){.set = 1ull << (signo - 1)};
	r = remote_syscall(&t->remote, err, "rt_sigtimedwait", &ret, SYS_rt_sigtimedwait, at,
			   at + offsetof(struct wait_data, info),
			   at + offsetof(struct wait_data, now), sizeof(data->set), 0, 0);
	if (!r && ret != signo)
		r = error_errno(err, ret < 0 ? -ret : EPROTO, "taking a signal back");
	return r;
}

/* Of an empty queue: who is to be told, is. */
static int tell(const struct mqueue *q, struct error **err)
{
	__cleanup_free char *text = malloc(q->attr.mq_msgsize);
	unsigned priority;

	if (!text)
		return error_errno(err, ENOMEM, "taking a message");
	if (mq_send(q->fd, "", 1, 0))
		return error_errno(err, errno, "sending a message");
	if (mq_receive(q->fd, text, q->attr.mq_msgsize, &priority) < 0)
		return error_errno(err, errno, "taking a message");
	return 0;
}

/* Messages that go back after a failure tell, too, if the queue was empty by then. */
static bool was_told(const struct mqueue *q)
{
	struct mqueue now = {.name = q->name, .fd = q->fd};
	int pid;

	return q->owner && !mqueue_status(&now, &pid, NULL) && !pid;
}

static int find_value(const struct mqueue *q, uint64_t *value, struct error **err)
{
	if (q->notify != SIGEV_SIGNAL || !q->signo)
		return 0;
	if (find_signal(q->owner->pid, q->signo, value))
		return error_set(err, ENODATA, "its signal has not come");
	return take_signal(q->owner, q->signo, err);
}

static int register_again(const struct checkpoint *c, const struct mqueue *q, uint64_t value,
			  struct error **err)
{
	struct sigevent *event = remote_data(&q->owner->remote);
	int fd = owners_fd(c, q);

	if (fd < 0)
		return error_set(err, EPROTO, "process %u, which is told, has it not open",
				 q->owner->rec.pid);
	memset(event, 0, sizeof(*event));
	event->sigev_notify = q->notify;
	event->sigev_signo = q->signo;
	event->sigev_value.sival_ptr = (void *)(uintptr_t)value;
	return remote_syscall(&q->owner->remote, err, "mq_notify", NULL, SYS_mq_notify, fd,
			      remote_data_address(&q->owner->remote), 0, 0, 0, 0);
}

/* The result is their number, and they. */
static int read_apart(void *ctx, struct buf *result, struct error **err)
{
	const struct mqueue *q = ctx;
	__cleanup_buf struct buf messages = {0};
	struct error *later = NULL;
	uint32_t count = 0;
	int r = take_out(q, &messages, &count, err);

	if (!r)
		r = fault_point("mqueue-taken", err);
	if (!r && q->owner && count)
		r = fault_point("mqueue-tell", err);
	if (!r && q->owner)
		r = tell(q, err);
	/* whatever has happened */
	if (put_back(q, &messages, 0, count, r ? &later : err) && !r)
		r = -error_code(*err);
	error_free(later);
	if (!r && (!buf_add(result, &count, sizeof(count)) ||
		   (messages.len && !buf_add(result, messages.data, messages.len))))
		r = error_errno(err, ENOMEM, "taking messages");
	return r;
}

int mqueue_read(struct checkpoint *c, const struct mqueue *q, struct buf *messages,
		struct ckpt_mqueue *rec, struct error **err)
{
	__cleanup_buf struct buf read = {0};
	struct error *later = NULL;
	uint64_t value = 0;
	int r = apart_run(read_apart, (void *)q, &read, err);

	if (was_told(q)) {
		int told = find_value(q, &value, r ? &later : err);

		if (!told)
			told = register_again(c, q, value, r ? &later : err);
		r = r ? r : told;
	}
	if (later)
		log_warning("message queue \"/%s\": %s", q->name, error_message(later));
	error_free(later);
	if (r)
		return r;
	memcpy(&rec->messages, read.data, sizeof(rec->messages));
	if (read.len > sizeof(rec->messages) &&
	    !buf_add(messages, read.data + sizeof(rec->messages), read.len - sizeof(rec->messages)))
		return error_errno(err, ENOMEM, "recording message queues");
	if (!q->owner)
		return 0;
	rec->notify_task = q->owner->rec.pid;
	rec->notify_fd = owners_fd(c, q);
	rec->notify = q->notify;
	rec->notify_signal = q->signo;
	rec->notify_value = value;
	return 0;
}
