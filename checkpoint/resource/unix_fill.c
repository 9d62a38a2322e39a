// SPDX-License-Identifier: GPL-2.0-only
/* Messages sent anew: by whom, with which credentials and descriptors they were sent before. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "checkpoint/resource/unix.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

/* One message where it is in the record. */
struct message {
	struct ckpt_unix_message head;
	const uint32_t *ids;
	const char *from, *data;
};

const char *unix_queue_of(const struct file_object *o)
{
	const struct ckpt_unix *rec = o->rec;

	return o->tail + unix_padded(rec->address_len) + unix_padded(rec->file_len) +
	       unix_padded(rec->waiting * sizeof(uint32_t));
}

/* Where the next one begins; 0: malformed. */
static size_t next_message(const char *queue, size_t len, size_t at, struct message *m)
{
	uint64_t size;

	if (len - at < sizeof(m->head))
		return 0;
	memcpy(&m->head, queue + at, sizeof(m->head));
	if (m->head.flags & ~CKPT_MESSAGE_CREDS || m->head.fds > UNIX_FDS_MAX ||
	    m->head.from_len > UNIX_PATH_SIZE || m->head.len > UNIX_QUEUE_MAX)
		return 0;
	at += sizeof(m->head);
	size = unix_padded(m->head.fds * sizeof(uint32_t)) + unix_padded(m->head.from_len) +
	       unix_padded(m->head.len);
	if (size > len - at)
		return 0;
	m->ids = (const void *)(queue + at);
	m->from = queue + at + unix_padded(m->head.fds * sizeof(uint32_t));
	m->data = m->from + unix_padded(m->head.from_len);
	return at + size;
}

bool unix_queue_valid(const char *queue, size_t len)
{
	struct message m;

	for (size_t at = 0; at < len;) {
		at = next_message(queue, len, at, &m);
		if (!at)
			return false;
	}
	return true;
}

size_t unix_first_sender(const struct file_object *o, const char **from)
{
	const struct ckpt_unix *rec = o->rec;
	struct message m;

	if (!rec->queue_len || !next_message(unix_queue_of(o), rec->queue_len, 0, &m))
		return 0;
	*from = m.from;
	return m.head.from_len;
}

/* --- sending --- */

static int set_creds(struct restore *r, const struct message *m, struct cmsghdr *c,
		     struct error **err)
{
	const struct restore_task *t = m->head.pid ? restore_find(r, m->head.pid) : NULL;
	struct ucred creds = {.pid = getpid(), .uid = m->head.uid, .gid = m->head.gid};

	if (m->head.pid && !t)
		return error_set(err, EBADMSG, "a message of process %u, which is not there",
				 m->head.pid);
	if (t)
		creds.pid = t->pid;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	c->cmsg_len = CMSG_LEN(sizeof(creds));
	memcpy(CMSG_DATA(c), &creds, sizeof(creds));
	return ids_mapped(r->init, creds.uid, creds.gid, err);
}

static int set_rights(struct restore *r, const struct message *m, struct cmsghdr *c,
		      struct error **err)
{
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(m->head.fds * sizeof(int));
	for (unsigned i = 0; i < m->head.fds; i++) {
		const struct file_object *o = files_object(r, m->ids[i]);

		if (!o || o->fd < 0)
			return error_set(err, EBADMSG, "description %u in flight is not open",
					 m->ids[i]);
		memcpy(CMSG_DATA(c) + i * sizeof(int), &o->fd, sizeof(int));
	}
	return 0;
}

static int send_message(struct restore *r, const struct message *m, int sender,
			const struct sockaddr_un *to, socklen_t to_len, struct error **err)
{
	char control[CMSG_SPACE(UNIX_FDS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))]
		__attribute__((aligned(8))) = {0};
	struct iovec iov = {(void *)m->data, m->head.len};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_name = (void *)to,
			     .msg_namelen = to_len,
			     .msg_control = control};
	int ret = 0;
	ssize_t n;

	if (m->head.flags & CKPT_MESSAGE_CREDS) {
		ret = set_creds(r, m, (void *)control, err);
		msg.msg_controllen = CMSG_SPACE(sizeof(struct ucred));
	}
	if (!ret && m->head.fds) {
		ret = set_rights(r, m, (void *)(control + msg.msg_controllen), err);
		msg.msg_controllen += CMSG_SPACE(m->head.fds * sizeof(int));
	}
	if (ret)
		return ret;
	if (!msg.msg_controllen)
		msg.msg_control = NULL;
	do
		n = sendmsg(sender, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)m->head.len)
		return error_errno(err, n < 0 ? errno : EIO, "filling a unix socket's queue");
	return 0;
}

/* --- who sends --- */

/* A datagram socket of the container's with this name. */
static int find_named(struct restore *r, const struct message *m)
{
	vec_for_each (o, &r->files->objects) {
		const struct ckpt_unix *rec = o->rec;

		if (o->kind == &file_kind_unix && rec->type == SOCK_DGRAM && o->fd >= 0 &&
		    rec->address_len == m->head.from_len &&
		    !memcmp(o->tail, m->from, m->head.from_len))
			return o->fd;
	}
	return -1;
}

/* To a socket that anybody may send to. *own is to be closed. */
static int find_sender(struct restore *r, const struct message *m, int *own, struct error **err)
{
	int fd = m->head.from_len ? find_named(r, m) : -1, ret;

	*own = -1;
	if (fd >= 0)
		return fd;
	ret = socket_make(r->init, AF_UNIX, SOCK_DGRAM, 0, own, err);
	if (!ret && m->head.from_len)
		ret = unix_bind_nowhere(r, *own, m->from, m->head.from_len, err);
	return ret ? ret : *own;
}

/* Room for all of it, and no credentials but those that the messages bring; undone by give_back().
 */
struct borrowed {
	int fd, room, creds, lock;
};

static struct borrowed borrow(int fd)
{
	struct borrowed b = {fd, socket_get_int(fd, SOL_SOCKET, SO_SNDBUF),
			     socket_get_int(fd, SOL_SOCKET, SO_PASSCRED),
			     socket_get_int(fd, SOL_SOCKET, SO_BUF_LOCK)};
	int room = 1 << 29, off = 0;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
	return b;
}

static void give_back(struct borrowed *b)
{
	int room = b->room / 2;

	setsockopt(b->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	setsockopt(b->fd, SOL_SOCKET, SO_BUF_LOCK, &b->lock, sizeof(b->lock));
	setsockopt(b->fd, SOL_SOCKET, SO_PASSCRED, &b->creds, sizeof(b->creds));
}

/* By the other end of a connection, which sends to nobody else. */
static int fill_connected(struct restore *r, struct file_object *o, int sender, struct error **err)
{
	struct borrowed to = borrow(o->fd), by = borrow(sender);
	const struct ckpt_unix *rec = o->rec;
	struct message m;
	int ret = 0;

	for (size_t at = 0; !ret && at < rec->queue_len;) {
		at = next_message(unix_queue_of(o), rec->queue_len, at, &m);
		ret = send_message(r, &m, sender, NULL, 0, err);
	}
	give_back(&by);
	give_back(&to);
	return ret;
}

static int fill_named(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	__cleanup_fd int file = -1;
	struct sockaddr_un un;
	struct message m;
	socklen_t len;
	int ret = unix_reach(o->fd, &un, &len, &file, err);
	struct borrowed to = borrow(o->fd);

	for (size_t at = 0; !ret && at < rec->queue_len;) {
		__cleanup_fd int own = -1;
		int sender;

		at = next_message(unix_queue_of(o), rec->queue_len, at, &m);
		sender = find_sender(r, &m, &own, err);
		if (sender >= 0) {
			struct borrowed by = borrow(sender);

			ret = send_message(r, &m, sender, &un, len, err);
			give_back(&by);
		} else {
			ret = sender;
		}
	}
	give_back(&to);
	return ret;
}

int unix_fill(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	const struct file_object *by;

	if (!rec->queue_len)
		return 0;
	if (o->other >= 0)
		return fill_connected(r, o, o->other, err);
	by = rec->type == SOCK_DGRAM ? unix_find_partner(r, o) : files_object(r, rec->peer);
	if (by && by->kind == &file_kind_unix && by->fd >= 0)
		return fill_connected(r, o, by->fd, err);
	if (rec->type != SOCK_DGRAM || !rec->address_len)
		return error_set(err, EBADMSG, "unix socket %u has messages of nobody", o->id);
	return fill_named(r, o, err);
}
