// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is queued in unix sockets, read with MSG_PEEK at growing offsets, so that
 * nothing is taken out. The socket gets SO_PASSCRED for that long: without it
 * nobody is told who sent a message, and the runs of bytes of different senders in a
 * stream cannot be told apart.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "checkpoint/resource/unix.h"
#include "util/cleanup.h"
#include "util/error.h"

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif
#define MEMINFO_SENT 2 /* SK_MEMINFO_WMEM_ALLOC */
#define PIECE	     (1 << 20)

/* What one recvmsg(2) has given. */
struct piece {
	char *data;
	size_t len;
	bool more;    /* the message goes on */
	bool message; /* even if it is empty */
	struct ucred creds;
	int fds[UNIX_FDS_MAX];
	unsigned fd_count;
	char from[UNIX_PATH_SIZE];
	size_t from_len;
};

static void close_fds(struct piece *p)
{
	while (p->fd_count)
		close(p->fds[--p->fd_count]);
}

static void read_control(struct msghdr *msg, struct piece *p)
{
	for (struct cmsghdr *m = CMSG_FIRSTHDR(msg); m; m = CMSG_NXTHDR(msg, m)) {
		size_t len = m->cmsg_len - CMSG_LEN(0);

		if (m->cmsg_level != SOL_SOCKET)
			continue;
		if (m->cmsg_type == SCM_CREDENTIALS && len >= sizeof(p->creds)) {
			memcpy(&p->creds, CMSG_DATA(m), sizeof(p->creds));
			p->message = true;
		} else if (m->cmsg_type == SCM_RIGHTS && len <= sizeof(p->fds)) {
			/* peeking has made copies in us */
			memcpy(p->fds, CMSG_DATA(m), len);
			p->fd_count = len / sizeof(int);
		} else if (m->cmsg_type == SCM_PIDFD && len >= sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(m), sizeof(fd));
			if (fd >= 0)
				close(fd);
		}
	}
}

static void read_sender(const struct sockaddr_un *un, socklen_t len, struct piece *p)
{
	p->from_len = 0;
	if (len <= offsetof(struct sockaddr_un, sun_path))
		return;
	len -= offsetof(struct sockaddr_un, sun_path);
	if (len > sizeof(un->sun_path))
		len = sizeof(un->sun_path);
	p->from_len = un->sun_path[0] ? strnlen(un->sun_path, len) : len;
	memcpy(p->from, un->sun_path, p->from_len);
}

/* 1: something was there; 0: nothing (more). */
static int peek(int fd, size_t max, struct piece *p, struct error **err)
{
	char control[CMSG_SPACE(UNIX_FDS_MAX * sizeof(int)) + 512];
	struct sockaddr_un from = {0};
	struct iovec iov = {p->data, max};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_name = &from,
			     .msg_namelen = sizeof(from),
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	ssize_t n;

	p->message = false;
	p->fd_count = 0;
	p->creds = (struct ucred){0};
	do
		n = recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EINVAL || errno == ENOTCONN))
		return 0;
	if (n < 0)
		return error_errno(err, errno, "reading what is queued in a unix socket");
	p->len = n;
	p->more = msg.msg_flags & MSG_TRUNC;
	read_control(&msg, p);
	read_sender(&from, msg.msg_namelen, p);
	return n || p->message;
}

pid_t unix_pid_inside(const struct checkpoint *c, pid_t pid)
{
	vec_for_each (t, &c->tasks)
		if (pid && t->pid == pid)
			return t->rec.pid;
	return 0;
}

static int block_queue(struct checkpoint *c, struct description *d, const char *what)
{
	return description_block(c, d, "let the program read its messages first",
				 "unix socket with queued %s", what);
}

static int find_creds(struct checkpoint *c, struct description *d, const struct piece *p,
		      struct ckpt_unix_message *m)
{
	/* who did not say who he is has no pid even here */
	if (!p->creds.pid)
		return 0;
	m->flags |= CKPT_MESSAGE_CREDS;
	m->pid = unix_pid_inside(c, p->creds.pid);
	m->uid = p->creds.uid;
	m->gid = p->creds.gid;
	if (!m->pid && kill(p->creds.pid, 0) && errno == ESRCH)
		return block_queue(c, d, "messages whose sender has ended (SCM_CREDENTIALS)");
	return 0;
}

static int add_message(struct checkpoint *c, struct description *d, struct unix_state *s,
		       struct piece *p, size_t skip, bool with_fds, struct error **err)
{
	struct ckpt_unix_message m = {.len = p->len - skip, .from_len = p->from_len};
	uint32_t ids[UNIX_FDS_MAX];
	int r = find_creds(c, d, p, &m);

	if (with_fds)
		m.fds = p->fd_count;
	/* from the last on, so that those not taken yet are the first ones */
	while (!r && with_fds && p->fd_count) {
		p->fd_count--;
		r = files_in_flight(c, d, p->fds[p->fd_count], &ids[p->fd_count], err);
	}
	if (r)
		return r;
	if (s->messages && (s->from_len != p->from_len || memcmp(s->from, p->from, p->from_len)))
		s->several_senders = true;
	if (!s->messages) {
		memcpy(s->from, p->from, p->from_len);
		s->from_len = p->from_len;
	}
	s->messages++;
	if (!buf_add(&s->queue, &m, sizeof(m)) ||
	    (m.fds && !buf_add(&s->queue, ids, m.fds * sizeof(*ids))) || buf_align(&s->queue, 8) ||
	    (m.from_len && !buf_add(&s->queue, p->from, m.from_len)) || buf_align(&s->queue, 8) ||
	    (m.len && !buf_add(&s->queue, p->data + skip, m.len)) || buf_align(&s->queue, 8))
		return error_errno(err, ENOMEM, "reading from a unix socket");
	return 0;
}

/* --- messages with borders --- */

static int seek(int fd, int offset, struct error **err)
{
	if (setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)))
		return error_errno(err, errno, "reading from a unix socket");
	return 0;
}

/* A long one comes in pieces; all of them carry what belongs to it. */
static int read_rest(int fd, struct piece *p, size_t *size, struct error **err)
{
	while (p->more) {
		struct piece next = {.data = NULL};
		char *larger =
			p->len + PIECE > UNIX_QUEUE_MAX ? NULL : realloc(p->data, p->len + PIECE);
		int r;

		if (!larger)
			return error_errno(err, ENOMEM, "reading a long message of a unix socket");
		p->data = larger;
		*size = p->len + PIECE;
		next.data = larger + p->len;
		r = peek(fd, PIECE, &next, err);
		close_fds(&next);
		if (r < 0)
			return r;
		p->more = r && next.more;
		p->len += r ? next.len : 0;
	}
	return 0;
}

static int read_packets(struct checkpoint *c, struct description *d, struct unix_state *s,
			struct piece *p, struct error **err)
{
	struct pollfd error = {.fd = d->fd};
	size_t size = PIECE;
	int r;

	/* looking would take the error */
	if (poll(&error, 1, 0) == 1 && error.revents & POLLERR)
		return description_block(c, d, "let the program see the error first",
					 "unix socket with an error that was not read");
	r = seek(d->fd, -1, err);

	/* without an offset the first message is shown even if it is empty and was looked at */
	if (!r)
		r = peek(d->fd, size, p, err);
	if (r > 0 && !p->len)
		r = add_message(c, d, s, p, 0, true, err);
	close_fds(p);
	if (r >= 0)
		r = seek(d->fd, 0, err);
	if (r < 0)
		return r;
	while ((r = peek(d->fd, size, p, err)) > 0) {
		r = read_rest(d->fd, p, &size, err);
		if (!r)
			r = add_message(c, d, s, p, 0, true, err);
		close_fds(p);
		if (r)
			return r;
		if (s->queue.len > UNIX_QUEUE_MAX)
			return block_queue(c, d, "messages of more than 256 MiB");
	}
	return r;
}

/* --- streams --- */

/*
 * Descriptors come with the first byte of what they were sent with, and that ends
 * a run; bytes before it may be other messages'. Where it begins is found by a buffer
 * whose last byte cannot be written: the kernel copies a message as a whole or not at all.
 */
static int find_border(int fd, int at, const struct piece *p, size_t *border, struct error **err)
{
	char *wall = mmap(NULL, PIECE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec iov[2] = {{p->data, p->len - 1}, {wall, PIECE}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n;
	int r;

	if (wall == MAP_FAILED)
		return error_errno(err, errno, "reading from a unix socket");
	r = seek(fd, at, err);
	do
		n = r ? 0 : recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EFAULT)
		r = error_errno(err, errno, "reading what is queued in a unix socket");
	*border = n < 0 ? 0 : n;
	munmap(wall, PIECE);
	return r;
}

static int add_run(struct checkpoint *c, struct description *d, struct unix_state *s,
		   struct piece *p, int at, struct error **err)
{
	size_t len = p->len, border = 0;
	int r;

	if (!p->fd_count)
		return add_message(c, d, s, p, 0, false, err);
	r = find_border(d->fd, at, p, &border, err);
	if (r)
		return r;
	if (border) {
		p->len = border;
		r = add_message(c, d, s, p, 0, false, err);
		p->len = len;
	}
	/* cut off by the buffer, it is read again as a whole */
	if (!r && len == PIECE && border) {
		p->len = border;
		return 0;
	}
	if (!r && len == PIECE)
		return block_queue(c, d, "descriptors with more than 1 MiB of data");
	return r ? r : add_message(c, d, s, p, border, true, err);
}

static int read_stream(struct checkpoint *c, struct description *d, struct unix_state *s,
		       struct piece *p, struct error **err)
{
	struct pollfd urgent = {.fd = d->fd, .events = POLLPRI};
	size_t at = 0, blocked = c->result->blockers.count;
	int r = 0, waiting = 0;

	if (poll(&urgent, 1, 0) == 1 && urgent.revents & POLLPRI)
		return block_queue(c, d, "urgent data (MSG_OOB)");
	/* reading at the end would take an error that is meant for the program */
	if (ioctl(d->fd, SIOCINQ, &waiting))
		return error_errno(err, errno, "asking what is queued in a unix socket");
	while (at < (size_t)waiting && !(r = seek(d->fd, at, err)) &&
	       (r = peek(d->fd, PIECE, p, err)) > 0 && p->len) {
		r = add_run(c, d, s, p, at, err);
		at += p->len;
		close_fds(p);
		if (r)
			return r;
		if (c->result->blockers.count != blocked)
			return 0;
		if (at > UNIX_QUEUE_MAX)
			return block_queue(c, d, "data of more than 256 MiB");
	}
	return r < 0 ? r : 0;
}

/* --- empty messages --- */

static uint32_t sent_memory(int fd)
{
	uint32_t memory[9] = {0};
	socklen_t len = sizeof(memory);

	return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &len) ? 0 : memory[MEMINFO_SENT];
}

/*
 * The kernel shows an empty message that is not the first one only once to those who peek. What the
 * messages that were seen take is measured with a pair of our own, so that the sender's
 * account tells whether there are others.
 */
static uint32_t memory_of(const struct unix_state *s)
{
	int size = 1 << 29, pair[2];
	uint32_t memory = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return 0;
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	for (size_t at = 0; at < s->queue.len;) {
		struct ckpt_unix_message m;

		memcpy(&m, s->queue.data + at, sizeof(m));
		at += sizeof(m) + unix_padded(m.fds * sizeof(uint32_t)) + unix_padded(m.from_len);
		if (send(pair[0], s->queue.data + at, m.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		at += unix_padded(m.len);
	}
	memory = sent_memory(pair[0]);
	close(pair[0]);
	close(pair[1]);
	return memory;
}

static int check_unseen(struct checkpoint *c, struct description *d, const struct unix_state *s,
			const struct description *peer)
{
	struct unix_state empty = {0};
	struct ckpt_unix_message none = {0};
	uint32_t memory = peer ? sent_memory(peer->fd) : 0, seen, one;

	if (!memory)
		return 0;
	seen = s->messages ? memory_of(s) : 0;
	if (memory <= seen || !buf_add(&empty.queue, &none, sizeof(none)))
		return 0;
	one = memory_of(&empty);
	buf_free(&empty.queue);
	if (!one || memory - seen < one)
		return 0;
	return block_queue(c, d, "empty messages that were looked at before");
}

static const struct description *peer_of(const struct checkpoint *c, const struct description *d)
{
	const struct unix_socket *own = unix_find(c->files->unix_sockets, d->st.st_ino);
	const struct unix_socket *peer = own ? unix_find(c->files->unix_sockets, own->peer) : NULL;

	return peer ? peer->d : NULL;
}

int unix_read_queue(struct checkpoint *c, struct description *d, struct unix_state *s,
		    struct error **err)
{
	int offset = socket_get_int(d->fd, SOL_SOCKET, SO_PEEK_OFF),
	    creds = socket_get_int(d->fd, SOL_SOCKET, SO_PASSCRED);
	int r, zero = 0, on = 1, type = socket_get_int(d->fd, SOL_SOCKET, SO_TYPE);
	struct piece p = {.data = malloc(PIECE)};

	if (!p.data)
		return error_errno(err, ENOMEM, "reading from a unix socket");
	if (setsockopt(d->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) ||
	    setsockopt(d->fd, SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof(zero)))
		r = error_errno(err, errno, "reading from a unix socket");
	else
		r = type == SOCK_STREAM ? read_stream(c, d, s, &p, err)
					: read_packets(c, d, s, &p, err);
	setsockopt(d->fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset));
	setsockopt(d->fd, SOL_SOCKET, SO_PASSCRED, &creds, sizeof(creds));
	free(p.data);
	if (!r && type == SOCK_SEQPACKET)
		r = check_unseen(c, d, s, peer_of(c, d));
	return r;
}
