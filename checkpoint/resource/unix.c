// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unix sockets. Queues are read with MSG_PEEK at growing offsets, so nothing is
 * taken out. The peer of a socket is known by its inode, from sock_diag.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "checkpoint/resource/unix.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#ifndef SIOCUNIXFILE
#define SIOCUNIXFILE (0x89e0 + 0)
#endif

#define MESSAGE_MAX   (1 << 20)
#define UNIX_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path)

struct unix_state {
	struct ckpt_unix rec;
	char address[UNIX_PATH_MAX];
	struct buf queue;
};

static bool matches(const struct description *d)
{
	return description_is_socket(d, AF_UNIX);
}

static void state_free(void *state)
{
	struct unix_state *s = state;

	buf_free(&s->queue);
	free(s);
}

static int get_int(int fd, int name)
{
	socklen_t len = sizeof(int);
	int value = 0;

	getsockopt(fd, SOL_SOCKET, name, &value, &len);
	return value;
}

static int by_ino(const void *pa, const void *pb)
{
	const struct unix_socket *a = pa, *b = pb;

	return a->ino < b->ino ? -1 : a->ino > b->ino;
}

static const struct unix_socket *find_socket(struct checkpoint *c, uint64_t ino, struct error **err)
{
	struct unix_socket key = {.ino = ino}, *found;
	unix_socket_vec *all = c->files->unix_sockets;

	if (!all) {
		all = calloc(1, sizeof(*all));
		if (!all) {
			error_errno(err, ENOMEM, "looking at unix sockets");
			return NULL;
		}
		c->files->unix_sockets = all;
		if (unix_diag(c->request->init, all, err))
			return NULL;
	}
	found = all->count ? bsearch(&key, all->items, all->count, sizeof(key), by_ino) : NULL;
	if (!found)
		error_set(err, ENOENT, "the kernel does not list unix socket %llu",
			  (unsigned long long)ino);
	return found;
}

static struct description *find_by_ino(struct checkpoint *c, uint64_t ino)
{
	for (size_t i = 0; ino && i < c->files->descriptions.count; i++) {
		struct description *d = c->files->descriptions.items[i];

		if (d->kind == &file_kind_unix && d->st.st_ino == ino)
			return d;
	}
	return NULL;
}

static void find_address(const struct description *d, struct unix_state *s)
{
	struct sockaddr_un un = {0};
	socklen_t len = sizeof(un);

	if (getsockname(d->fd, (struct sockaddr *)&un, &len) ||
	    len <= offsetof(struct sockaddr_un, sun_path))
		return;
	len -= offsetof(struct sockaddr_un, sun_path);
	if (len > sizeof(un.sun_path))
		len = sizeof(un.sun_path);
	/* the NUL behind a path is not of the name */
	if (un.sun_path[0])
		len = strnlen(un.sun_path, len);
	memcpy(s->address, un.sun_path, len);
	s->rec.address_len = len;
}

/* Is the socket's file still where the address says? */
static int find_file(struct checkpoint *c, struct description *d, struct unix_state *s)
{
	__cleanup_fd int file = -1, there = -1;
	char path[UNIX_PATH_MAX + 1] = "";
	struct stat a, b;

	if (!s->rec.address_len || !s->address[0])
		return 0;
	memcpy(path, s->address, s->rec.address_len);
	if (*path != '/')
		return description_block(c, d, "let the program bind to an absolute path",
					 "unix socket bound to the relative path \"%s\"", path);
	file = ioctl(d->fd, SIOCUNIXFILE);
	there = open_in_root(c->rootfd, path, O_PATH | O_NOFOLLOW, 0);
	if (file < 0 || there < 0 || fstat(file, &a) || fstat(there, &b) || a.st_dev != b.st_dev ||
	    a.st_ino != b.st_ino)
		return 0;
	s->rec.flags |= CKPT_SOCKET_FILE;
	s->rec.mode = a.st_mode & 07777;
	s->rec.uid = a.st_uid;
	s->rec.gid = a.st_gid;
	return 0;
}

/* --- queued data --- */

static bool carries_fds(struct msghdr *msg)
{
	bool found = false;

	for (struct cmsghdr *m = CMSG_FIRSTHDR(msg); m; m = CMSG_NXTHDR(msg, m)) {
		size_t n = (m->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
			continue;
		found = true;
		/* peeking has installed copies in us */
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(m) + i * sizeof(fd), sizeof(fd));
			close(fd);
		}
	}
	return found;
}

static int add_message(struct unix_state *s, const void *data, size_t len)
{
	struct unix_message m = {.len = len};

	if (!buf_add(&s->queue, &m, sizeof(m)) || (len && !buf_add(&s->queue, data, len)) ||
	    buf_align(&s->queue, 8))
		return -ENOMEM;
	return 0;
}

static int block_queue(struct checkpoint *c, struct description *d, const char *what)
{
	return description_block(c, d, "let the program read its messages first",
				 "unix socket with queued %s", what);
}

static int peek(struct checkpoint *c, struct description *d, struct unix_state *s, char *data,
		struct error **err)
{
	char control[CMSG_SPACE(253 * sizeof(int)) + 256];
	bool packets = s->rec.type != SOCK_STREAM;

	for (;;) {
		struct sockaddr_un from;
		struct iovec iov = {data, MESSAGE_MAX};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_name = &from,
				     .msg_namelen = sizeof(from),
				     .msg_control = control,
				     .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(d->fd, &msg, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EINVAL || errno == ENOTCONN))
			return 0;
		if (n < 0)
			return error_errno(err, errno, "reading what is queued in a unix socket");
		if (carries_fds(&msg))
			return block_queue(c, d, "descriptors (SCM_RIGHTS)");
		if (!n && packets && !(s->rec.shutdown & 1))
			return block_queue(c, d, "empty messages");
		if (!n)
			return 0;
		if (msg.msg_flags & MSG_TRUNC)
			return block_queue(c, d, "messages of more than 1 MiB");
		if (packets && msg.msg_namelen > sizeof(sa_family_t))
			return block_queue(c, d, "messages from a named socket");
		if (get_int(d->fd, SO_PASSCRED))
			return block_queue(c, d,
					   "messages whose sender it wants to know (SO_PASSCRED)");
		if (add_message(s, data, n))
			return error_errno(err, ENOMEM, "reading from a unix socket");
	}
}

static int read_queue(struct checkpoint *c, struct description *d, struct unix_state *s,
		      struct error **err)
{
	__cleanup_free char *data = malloc(MESSAGE_MAX);
	int before = get_int(d->fd, SO_PEEK_OFF), zero = 0, r;

	if (!data)
		return error_errno(err, ENOMEM, "reading from a unix socket");
	if (before >= 0)
		return description_block(c, d, "let the program do without SO_PEEK_OFF",
					 "unix socket with SO_PEEK_OFF");
	if (setsockopt(d->fd, SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof(zero)))
		return error_errno(err, errno, "reading from a unix socket");
	r = peek(c, d, s, data, err);
	setsockopt(d->fd, SOL_SOCKET, SO_PEEK_OFF, &before, sizeof(before));
	return r;
}

/* --- who it talks to --- */

/* The accepted end has the address of its listener: which must be there to make it again. */
static int admit_name(struct checkpoint *c, struct description *d, struct unix_state *s)
{
	if (!s->rec.address_len)
		return 0;
	for (size_t i = 0; i < c->files->descriptions.count; i++) {
		const struct description *other = c->files->descriptions.items[i];
		struct sockaddr_un un;
		socklen_t len = sizeof(un), head = offsetof(struct sockaddr_un, sun_path);

		if (other == d || other->kind != &file_kind_unix ||
		    !get_int(other->fd, SO_ACCEPTCONN) ||
		    getsockname(other->fd, (struct sockaddr *)&un, &len) ||
		    len < head + s->rec.address_len)
			continue;
		if (!memcmp(un.sun_path, s->address, s->rec.address_len))
			return 0;
	}
	return description_block(c, d, "keep the listening socket open",
				 "connected unix socket whose listener is gone");
}

static int admit_outside_peer(struct checkpoint *c, const struct description *d,
			      struct unix_state *s)
{
	if (c->request->allow & ALLOW_EXT_UNIX) {
		s->rec.address_len = 0;
		return 0;
	}
	return description_block(c, d, "checkpoint with --allow ext-unix to have it closed",
				 "unix socket connected to a process outside of the container");
}

static int admit_peer(struct checkpoint *c, struct description *d, struct unix_state *s,
		      const struct unix_socket *known, struct error **err)
{
	struct description *peer = find_by_ino(c, known->peer);
	const struct unix_socket *back = peer ? find_socket(c, known->peer, err) : NULL;

	if (peer && !back)
		return -ENOENT;
	s->rec.state = CKPT_SOCKET_CONNECTED;
	if (peer && back->peer == known->ino) {
		s->rec.peer = peer->id;
		return s->rec.type == SOCK_DGRAM && s->rec.address_len
			       ? description_block(c, d, "close it for the checkpoint",
						   "connected datagram socket with a name")
			       : admit_name(c, d, s);
	}
	if (peer)
		return description_block(c, d, "close it for the checkpoint",
					 "datagram socket connected one way");
	/* no peer inode: the other end is closed */
	if (!known->peer && s->rec.type != SOCK_DGRAM)
		return admit_name(c, d, s);
	return admit_outside_peer(c, d, s);
}

static bool is_connected(const struct description *d)
{
	struct sockaddr_un un;
	socklen_t len = sizeof(un);

	return !getpeername(d->fd, (struct sockaddr *)&un, &len);
}

static int admit_state(struct checkpoint *c, struct description *d, struct unix_state *s,
		       struct error **err)
{
	const struct unix_socket *known = find_socket(c, d->st.st_ino, err);
	int r;

	if (!known)
		return -ENOENT;
	s->rec.shutdown = known->shutdown;
	r = find_file(c, d, s);
	if (r)
		return r;
	if (get_int(d->fd, SO_ACCEPTCONN)) {
		s->rec.state = CKPT_SOCKET_LISTEN;
		s->rec.backlog = known->backlog;
		/* nobody has heard of them: to their clients they end like those that were accepted
		 */
		if (known->waiting && !(c->request->allow & ALLOW_EXT_UNIX))
			return description_block(c, d,
						 "let the program accept them first, or close them "
						 "by --allow ext-unix",
						 "%u connections waiting to be accepted at a unix "
						 "socket",
						 known->waiting);
		return 0;
	}
	if (is_connected(d) || known->peer || known->state == 1) {
		r = admit_peer(c, d, s, known, err);
	} else {
		s->rec.state = s->rec.address_len ? CKPT_SOCKET_BOUND : CKPT_SOCKET_NEW;
	}
	if (!r)
		r = read_queue(c, d, s, err);
	if (!r && s->queue.len && s->rec.state != CKPT_SOCKET_CONNECTED)
		r = block_queue(c, d, "datagrams of unconnected senders");
	return r;
}

/*
 * The accepted end of a connection is made by its client, in the client's network
 * namespace (unix_stream_connect() in net/unix/af_unix.c): one from another comes from outside.
 */
static int admit_accepted(struct checkpoint *c, struct description *d, struct unix_state *s,
			  struct error **err)
{
	int r;

	s->rec.state = CKPT_SOCKET_CONNECTED;
	s->rec.type = get_int(d->fd, SO_TYPE);
	r = admit_outside_peer(c, d, s);
	return r ? r : read_queue(c, d, s, err);
}

static int unix_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	struct unix_state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_errno(err, ENOMEM, "looking at a socket");
	d->state = s;
	d->state_free = state_free;
	if (is_connected(d) && get_int(d->fd, SO_TYPE) != SOCK_DGRAM) {
		r = socket_is_inside(c, d, err);
		if (r <= 0)
			return r < 0 ? r : admit_accepted(c, d, s, err);
	}
	r = socket_admit(c, d, err);
	if (r)
		return r < 0 ? r : 0;
	s->rec.type = get_int(d->fd, SO_TYPE);
	find_address(d, s);
	return admit_state(c, d, s, err);
}

static int unix_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	struct unix_state *s = d->state;
	struct buf tail __cleanup_buf = {0};
	int r = socket_save_options(d->fd, &s->rec.options, err);

	if (r)
		return r;
	s->rec.id = d->id;
	s->rec.open_flags = d->open_flags;
	s->rec.queue_len = s->queue.len;
	if ((s->rec.address_len && !buf_add(&tail, s->address, s->rec.address_len)) ||
	    buf_align(&tail, 8) || (s->queue.len && !buf_add(&tail, s->queue.data, s->queue.len)) ||
	    !record_add2(&c->records, CKPT_UNIX, &s->rec, sizeof(s->rec), tail.data, tail.len))
		return error_errno(err, ENOMEM, "recording a socket");
	return 0;
}

const struct file_kind file_kind_unix = {
	.type = CKPT_UNIX,
	.size = sizeof(struct ckpt_unix),
	.matches = matches,
	.admit = unix_admit,
	.dump = unix_dump,
	.load = unix_load,
	.open = unix_open,
	.cross = unix_cross,
};
