// SPDX-License-Identifier: GPL-2.0-only
/* What a checkpoint finds out about unix sockets; the peer of one is known by its inode. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checkpoint/resource/unix.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#ifndef SIOCUNIXFILE
#define SIOCUNIXFILE (0x89e0 + 0)
#endif

static bool matches(const struct description *d)
{
	return description_is_socket(d, AF_UNIX);
}

static void state_free(void *state)
{
	struct unix_state *s = state;

	buf_free(&s->queue);
	vec_free(&s->waiting);
	free(s->file);
	free(s);
}

static int by_ino(const void *pa, const void *pb)
{
	const struct unix_socket *a = pa, *b = pb;

	return a->ino < b->ino ? -1 : a->ino > b->ino;
}

struct unix_socket *unix_find(const struct unix_table *table, uint64_t ino)
{
	struct unix_socket key = {.ino = ino};

	if (!ino || !table->sockets.count)
		return NULL;
	return bsearch(&key, table->sockets.items, table->sockets.count, sizeof(key), by_ino);
}

void unix_table_free(struct unix_table *table)
{
	if (!table)
		return;
	vec_free(&table->sockets);
	vec_free(&table->waiting);
	free(table);
}

/* --- all of them, and what is queued in them --- */

static int gather_one(struct checkpoint *c, struct description *d, struct error **err)
{
	struct unix_socket *known = unix_find(c->files->unix_sockets, d->st.st_ino);
	struct unix_state *s = calloc(1, sizeof(*s));

	if (!s)
		return error_errno(err, ENOMEM, "looking at a socket");
	d->state = s;
	d->state_free = state_free;
	s->rec.type = socket_get_int(d->fd, SOL_SOCKET, SO_TYPE);
	if (known)
		known->d = d;
	return socket_get_int(d->fd, SOL_SOCKET, SO_ACCEPTCONN) ? 0 : unix_read_queue(c, d, s, err);
}

int unix_gather(struct checkpoint *c, struct error **err)
{
	struct unix_table *table = c->files->unix_sockets;
	int r = 0;

	/* queues may hold descriptions that are new, and have queues of their own */
	for (size_t i = 0; !r && i < c->files->descriptions.count; i++) {
		struct description *d = c->files->descriptions.items[i];

		if (d->kind != &file_kind_unix || d->state)
			continue;
		if (!table) {
			table = c->files->unix_sockets = calloc(1, sizeof(*table));
			if (!table)
				return error_errno(err, ENOMEM, "looking at unix sockets");
			r = unix_diag(c->init, table, err);
		}
		if (!r)
			r = gather_one(c, d, err);
	}
	return r;
}

/* --- names --- */

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

/* Does the file with the path in the container lead to st? */
static bool leads_to(const struct checkpoint *c, const char *path, const struct stat *st)
{
	__cleanup_fd int fd = open_in_root(c->rootfd, path, O_PATH | O_NOFOLLOW, 0);
	struct stat there;

	return fd >= 0 && !fstat(fd, &there) && there.st_dev == st->st_dev &&
	       there.st_ino == st->st_ino;
}

/* A relative address is bound again in the directory that it is relative to. Takes the path if so.
 */
static bool find_relative(struct unix_state *s, char **path)
{
	const char *name = s->address;
	size_t len = strlen(*path), name_len;

	while (!strncmp(name, "./", 2))
		name += 2;
	name_len = strlen(name);
	if (len <= name_len + 1 || len >= UNIX_FILE_MAX || (*path)[len - name_len - 1] != '/' ||
	    strcmp(*path + len - name_len, name))
		return false;
	s->file = *path;
	s->rec.file_len = len;
	*path = NULL;
	return true;
}

/* Is the socket's file still there, and where the address says? */
static int find_file(struct checkpoint *c, struct description *d, struct unix_state *s,
		     struct error **err)
{
	__cleanup_free char *path = NULL;
	__cleanup_fd int file = -1;
	char self[64];
	struct stat st;

	if (!s->rec.address_len || !s->address[0])
		return 0;
	file = ioctl(d->fd, SIOCUNIXFILE);
	if (file < 0 || fstat(file, &st))
		return 0;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", file);
	path = read_link(AT_FDCWD, self);
	if (!path)
		return error_errno(err, errno, "naming the file of a unix socket");
	if (!st.st_nlink || (!leads_to(c, path, &st) && !leads_to(c, s->address, &st)))
		return 0;
	s->rec.flags |= CKPT_SOCKET_FILE;
	s->rec.mode = st.st_mode & 07777;
	s->rec.uid = st.st_uid;
	s->rec.gid = st.st_gid;
	s->file_dev = st.st_dev;
	s->file_ino = st.st_ino;
	if (*s->address == '/' ? leads_to(c, s->address, &st) : find_relative(s, &path))
		return 0;
	return description_block(c, d, "let the program bind it again where it is now",
				 "unix socket bound to \"%s\" whose file is now \"%s\"", s->address,
				 path);
}

bool unix_has_file(const struct checkpoint *c, dev_t dev, ino_t ino)
{
	for (size_t i = 0; i < c->files->descriptions.count; i++) {
		const struct description *d = c->files->descriptions.items[i];
		const struct unix_state *s = d->kind == &file_kind_unix ? d->state : NULL;

		if (s && s->rec.flags & CKPT_SOCKET_FILE && s->file_dev == dev &&
		    s->file_ino == ino)
			return true;
	}
	return false;
}

/* --- who it talks to --- */

static void find_peer_credentials(const struct checkpoint *c, const struct description *d,
				  struct unix_state *s)
{
	struct ucred creds = {0};
	socklen_t len = sizeof(creds);

	if (getsockopt(d->fd, SOL_SOCKET, SO_PEERCRED, &creds, &len) || !creds.pid)
		return;
	s->rec.peer_pid = unix_pid_inside(c, creds.pid);
	s->rec.peer_uid = creds.uid;
	s->rec.peer_gid = creds.gid;
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

/* Messages come from the other end when they are sent anew. */
static int admit_senders(struct checkpoint *c, struct description *d, const struct unix_state *s,
			 const struct description *peer)
{
	struct unix_state of_peer = {0};

	if (!s->messages)
		return 0;
	if (peer)
		find_address(peer, &of_peer);
	if (!s->several_senders && (!peer || (of_peer.rec.address_len == s->from_len &&
					      !memcmp(of_peer.address, s->from, s->from_len))))
		return 0;
	return description_block(c, d, "let the program read its messages first",
				 "connected datagram socket with queued messages of others than "
				 "its other end");
}

static bool has_name(const struct description *d)
{
	struct unix_state s = {0};

	find_address(d, &s);
	return s.rec.address_len;
}

static int admit_datagram_peer(struct checkpoint *c, struct description *d, struct unix_state *s,
			       const struct unix_socket *known)
{
	const struct unix_socket *peer = unix_find(c->files->unix_sockets, known->peer);

	s->rec.state = CKPT_SOCKET_CONNECTED;
	if (known->peer && (!peer || !peer->d))
		return admit_outside_peer(c, d, s);
	if (peer)
		s->rec.peer = peer->d->id;
	/* a socket without a name can only be reached by the other end of its pair */
	if (s->rec.address_len && (!peer || has_name(peer->d)))
		return 0;
	return admit_senders(c, d, s, peer ? peer->d : NULL);
}

/* Who has the client's end will have connected it: the effective ids, as the host sees them. */
static int find_client(const struct description *d, struct unix_state *s, struct error **err)
{
	__cleanup_free char *status = NULL;
	int r = proc_read(&status, NULL, "%d/status", d->task->speaker);
	const char *uid = r ? NULL : strstr(status, "\nUid:");
	const char *gid = r ? NULL : strstr(status, "\nGid:");

	if (!uid || !gid || sscanf(uid, "\nUid: %*u %u", &s->rec.peer_uid) != 1 ||
	    sscanf(gid, "\nGid: %*u %u", &s->rec.peer_gid) != 1)
		return error_errno(err, r ? -r : EIO, "reading the ids of process %u",
				   d->task->rec.pid);
	s->rec.peer_pid = d->task->rec.pid;
	return 0;
}

/* The other end has not been accepted: to be saved, nothing may have been sent to it. */
static int admit_waiting(struct checkpoint *c, struct description *d, struct unix_state *s,
			 struct error **err)
{
	int unread = 0, r = find_client(d, s, err);

	if (r)
		return r;
	s->rec.flags |= CKPT_SOCKET_WAITING;
	if (ioctl(d->fd, SIOCOUTQ, &unread) || !unread)
		return 0;
	if (c->request->allow & ALLOW_EXT_UNIX) {
		s->rec.flags &= ~CKPT_SOCKET_WAITING;
		return 0;
	}
	return description_block(c, d,
				 "let the program accept it first, or close it by --allow ext-unix",
				 "unix connection waiting to be accepted with data in it");
}

static bool is_waiting(const struct unix_table *table, uint32_t ino)
{
	vec_for_each (w, &table->waiting)
		if (w->client == ino)
			return true;
	return false;
}

static int admit_stream_peer(struct checkpoint *c, struct description *d, struct unix_state *s,
			     const struct unix_socket *known, struct error **err)
{
	const struct unix_table *table = c->files->unix_sockets;
	const struct unix_socket *peer = unix_find(table, known->peer);
	struct pollfd p = {.fd = d->fd};

	s->rec.state = CKPT_SOCKET_CONNECTED;
	if (poll(&p, 1, 0) == 1 && p.revents & POLLERR)
		s->rec.flags |= CKPT_SOCKET_ERROR;
	if (known->peer && (!peer || !peer->d))
		return admit_outside_peer(c, d, s);
	if (peer)
		s->rec.peer = peer->d->id;
	else if (is_waiting(table, known->ino))
		return admit_waiting(c, d, s, err);
	return 0;
}

static int block_waiting(struct checkpoint *c, struct description *d, const char *whose)
{
	/* nobody has heard of it: to its client it ends like those that were accepted */
	if (c->request->allow & ALLOW_EXT_UNIX)
		return 0;
	return description_block(
		c, d, "let the program accept it first, or close it by --allow ext-unix",
		"connection waiting to be accepted at a unix socket, from %s", whose);
}

static int admit_listener(struct checkpoint *c, struct description *d, struct unix_state *s,
			  const struct unix_socket *known)
{
	const struct unix_table *table = c->files->unix_sockets;
	int r = 0;

	s->rec.state = CKPT_SOCKET_LISTEN;
	s->rec.backlog = known->backlog;
	vec_for_each (w, &table->waiting) {
		const struct unix_socket *client =
			w->listener == known->ino ? unix_find(table, w->client) : NULL;
		uint32_t *slot;
		int unread = 0;

		if (r || w->listener != known->ino)
			continue;
		if (!client || !client->d) {
			r = block_waiting(c, d,
					  w->client ? "a process outside of the container"
						    : "a client that has closed it");
			continue;
		}
		/* with --allow ext-unix its client is closed, see admit_waiting() */
		if (!ioctl(client->d->fd, SIOCOUTQ, &unread) && unread)
			continue;
		slot = vec_add(&s->waiting);
		if (!slot)
			return -ENOMEM;
		*slot = client->d->id;
	}
	s->rec.waiting = s->waiting.count;
	return r;
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
	const struct unix_socket *known = unix_find(c->files->unix_sockets, d->st.st_ino);
	bool connected = is_connected(d);
	int r;

	if (!known)
		return error_set(err, ENOENT, "the kernel does not list unix socket %llu",
				 (unsigned long long)d->st.st_ino);
	s->rec.shutdown = known->shutdown;
	find_peer_credentials(c, d, s);
	r = find_file(c, d, s, err);
	if (r)
		return r;
	if (socket_get_int(d->fd, SOL_SOCKET, SO_ACCEPTCONN))
		return admit_listener(c, d, s, known);
	if (s->rec.type == SOCK_DGRAM && (connected || known->peer))
		return admit_datagram_peer(c, d, s, known);
	/* of a datagram socket the state says only that somebody has connected to it */
	if (s->rec.type != SOCK_DGRAM && (connected || known->peer || known->state == 1))
		return admit_stream_peer(c, d, s, known, err);
	s->rec.state = s->rec.address_len ? CKPT_SOCKET_BOUND : CKPT_SOCKET_NEW;
	return s->rec.address_len ? 0 : admit_senders(c, d, s, NULL);
}

/*
 * The accepted end of a connection is made by its client, in the client's network
 * namespace (unix_stream_connect() in net/unix/af_unix.c): one from another comes from outside.
 */
static int admit_accepted(struct checkpoint *c, struct description *d, struct unix_state *s)
{
	s->rec.state = CKPT_SOCKET_CONNECTED;
	return admit_outside_peer(c, d, s);
}

static int unix_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	struct unix_state *s = d->state;
	int r;

	if (is_connected(d) && s->rec.type != SOCK_DGRAM) {
		r = socket_is_inside(c, d, err);
		if (r <= 0)
			return r < 0 ? r : admit_accepted(c, d, s);
	}
	r = socket_admit(c, d, false, err);
	if (r)
		return r < 0 ? r : 0;
	find_address(d, s);
	return admit_state(c, d, s, err);
}

static int add_padded(struct buf *b, const void *data, size_t len)
{
	if (len && !buf_add(b, data, len))
		return -ENOMEM;
	return buf_align(b, 8);
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
	if (add_padded(&tail, s->address, s->rec.address_len) ||
	    add_padded(&tail, s->file, s->rec.file_len) ||
	    add_padded(&tail, s->waiting.items, s->waiting.count * sizeof(uint32_t)) ||
	    add_padded(&tail, s->queue.data, s->queue.len) ||
	    !record_add2(&c->records, CKPT_UNIX, &s->rec, sizeof(s->rec), tail.data, tail.len))
		return error_errno(err, ENOMEM, "recording a socket");
	return 0;
}

const struct file_kind file_kind_unix = {
	.type = CKPT_UNIX,
	.size = sizeof(struct ckpt_unix),
	.late = true,
	.matches = matches,
	.admit = unix_admit,
	.dump = unix_dump,
	.load = unix_load,
	.open = unix_open,
};
