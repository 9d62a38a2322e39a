// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unix sockets made anew. A connection through a listener is made by connecting
 * to the new listener and accepting there, so that both ends have their names;
 * others are pairs. Paths are bound by a remote call of the init, whose root is
 * the container's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "checkpoint/resource/unix.h"
#include "checkpoint/user/fdpass.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define UNIX_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path)

static size_t padded(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

static const char *queue_of(const struct file_object *o)
{
	const struct ckpt_unix *rec = o->rec;

	return o->tail + padded(rec->address_len);
}

static bool queue_valid(const char *queue, size_t len)
{
	struct unix_message m;

	for (size_t at = 0; at < len; at += sizeof(m) + padded(m.len)) {
		if (len - at < sizeof(m))
			return false;
		memcpy(&m, queue + at, sizeof(m));
		if (m.reserved || padded(m.len) > len - at - sizeof(m))
			return false;
	}
	return true;
}

int unix_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	bool path = rec->address_len && *o->tail;

	if (rec->address_len > UNIX_PATH_MAX || rec->queue_len > o->tail_len ||
	    padded(rec->address_len) + rec->queue_len != o->tail_len ||
	    !queue_valid(queue_of(o), rec->queue_len))
		return error_set(err, EBADMSG, "unix socket %u is malformed", o->id);
	if ((rec->type != SOCK_STREAM && rec->type != SOCK_DGRAM && rec->type != SOCK_SEQPACKET) ||
	    rec->state > CKPT_SOCKET_CONNECTED || rec->shutdown > 3 || rec->peer == rec->id ||
	    rec->flags & ~CKPT_SOCKET_FILE || rec->mode & ~07777u)
		return error_set(err, EBADMSG, "unix socket %u is malformed", o->id);
	if (path && (*o->tail != '/' || rec->address_len >= UNIX_PATH_MAX ||
		     memchr(o->tail, '\0', rec->address_len)))
		return error_set(err, EBADMSG, "unix socket %u has a malformed address", o->id);
	return 0;
}

static socklen_t address_of(const struct file_object *o, struct sockaddr_un *un)
{
	const struct ckpt_unix *rec = o->rec;

	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, o->tail, rec->address_len);
	return offsetof(struct sockaddr_un, sun_path) + rec->address_len +
	       (rec->address_len && *o->tail);
}

/* The directory of the socket's path (O_PATH), and its last part. */
static int open_parent(struct restore *r, const struct file_object *o, char *name, int *dirfd,
		       struct error **err)
{
	struct sockaddr_un un;
	char *slash;

	address_of(o, &un);
	slash = strrchr(un.sun_path, '/');
	strcpy(name, slash + 1);
	*slash = '\0';
	*dirfd = open_in_root(r->rootfd, *un.sun_path ? un.sun_path : "/", O_PATH | O_DIRECTORY, 0);
	if (*dirfd < 0)
		return error_errno(err, -*dirfd, "opening the directory \"%s\" of a unix socket",
				   un.sun_path);
	return 0;
}

static int remote_bind(struct restore *r, const struct file_object *o, struct error **err)
{
	struct restore_task *init = &r->tasks.items[0];
	struct sockaddr_un un;
	socklen_t len = address_of(o, &un);
	int number, ret = fdpass_send(r, init, &o->fd, 1, &number, err);

	if (ret)
		return ret;
	memcpy(remote_data(&init->remote), &un, sizeof(un));
	ret = remote_syscall(&init->remote, err, "binding a unix socket", NULL, SYS_bind, number,
			     remote_data_address(&init->remote), len, 0, 0, 0);
	if (ret)
		return error_wrap(err, "\"%s\"", un.sun_path);
	return remote_syscall(&init->remote, err, "closing a unix socket", NULL, SYS_close, number,
			      0, 0, 0, 0, 0);
}

/* Binding makes the file: an old one gives way, if a socket is what it is. */
static int bind_path(struct restore *r, const struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	__cleanup_fd int dirfd = -1;
	__cleanup_fd int file = -1;
	char name[UNIX_PATH_MAX], self[64];
	struct stat st;
	int ret = open_parent(r, o, name, &dirfd, err);

	if (!ret && rec->flags & CKPT_SOCKET_FILE)
		ret = ids_mapped(r->request->init, rec->uid, rec->gid, err);
	if (ret)
		return ret;
	if (!fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISSOCK(st.st_mode))
		unlinkat(dirfd, name, 0);
	ret = remote_bind(r, o, err);
	if (ret)
		return ret;
	if (!(rec->flags & CKPT_SOCKET_FILE)) {
		unlinkat(dirfd, name, 0);
		return 0;
	}
	file = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", file);
	if (file < 0 || fchownat(file, "", rec->uid, rec->gid, AT_EMPTY_PATH) ||
	    chmod(self, rec->mode))
		return error_errno(err, errno, "setting owner and mode of the socket \"%s\"", name);
	return 0;
}

static int open_alone(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	struct sockaddr_un un;
	socklen_t len = address_of(o, &un);
	int ret = socket_make(r->request->init, AF_UNIX, rec->type, 0, &o->fd, err);

	if (ret)
		return ret;
	if (rec->address_len && *o->tail)
		ret = bind_path(r, o, err);
	else if (rec->address_len && bind(o->fd, (struct sockaddr *)&un, len))
		ret = error_errno(err, errno, "binding a unix socket to \"@%.*s\"",
				  (int)rec->address_len - 1, o->tail + 1);
	if (!ret && rec->state == CKPT_SOCKET_LISTEN && listen(o->fd, rec->backlog))
		ret = error_errno(err, errno, "listening at a unix socket");
	return ret;
}

/* --- connections --- */

static struct file_object *find_listener(struct restore *r, const struct file_object *accepted)
{
	const struct ckpt_unix *rec = accepted->rec;

	if (!rec->address_len)
		return NULL;
	vec_for_each (o, &r->files->objects) {
		const struct ckpt_unix *other = o->rec;

		if (o->kind == &file_kind_unix && other->state == CKPT_SOCKET_LISTEN &&
		    other->type == rec->type && other->address_len == rec->address_len &&
		    !memcmp(o->tail, accepted->tail, rec->address_len))
			return o;
	}
	return NULL;
}

static int connect_to(struct restore *r, const struct file_object *listener, int fd,
		      struct error **err)
{
	const struct ckpt_unix *rec = listener->rec;
	__cleanup_fd int dirfd = -1;
	char name[UNIX_PATH_MAX];
	struct sockaddr_un un;
	socklen_t len = address_of(listener, &un);

	/* a path would be looked up from our root */
	if (rec->address_len && *listener->tail) {
		int ret = open_parent(r, listener, name, &dirfd, err);

		if (ret)
			return ret;
		if ((size_t)snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/%s", dirfd,
				     name) >= sizeof(un.sun_path))
			return error_set(err, ENAMETOOLONG, "the socket's name \"%s\" is too long",
					 name);
		len = sizeof(un);
	}
	if (connect(fd, (struct sockaddr *)&un, len))
		return error_errno(err, errno, "connecting unix sockets");
	return 0;
}

/* Makes both ends by way of the listener; ends[0] is the accepted one. */
static int connect_through(struct restore *r, struct file_object *listener, int type, int ends[2],
			   struct error **err)
{
	const struct ckpt_unix *rec = listener->rec;
	__cleanup_fd int client = -1;
	int ret = 0;

	if (listener->fd < 0)
		ret = unix_open(r, listener, err);
	/* it may have been made with no room at all */
	if (!ret && !rec->backlog)
		listen(listener->fd, 1);
	if (!ret)
		ret = socket_make(r->request->init, AF_UNIX, type, 0, &client, err);
	if (!ret)
		ret = connect_to(r, listener, client, err);
	if (ret)
		return ret;
	ends[0] = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	if (ends[0] < 0)
		return error_errno(err, errno, "accepting a unix connection");
	if (!rec->backlog)
		listen(listener->fd, 0);
	ends[1] = take_fd(&client);
	return 0;
}

/* What was queued here was sent by the other end. */
static int fill_queue(const struct file_object *o, int sender, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	const char *queue = queue_of(o);
	int size = rec->queue_len + (1 << 20);
	int before;
	socklen_t len = sizeof(before);
	struct unix_message m;

	if (!rec->queue_len)
		return 0;
	if (getsockopt(sender, SOL_SOCKET, SO_SNDBUF, &before, &len))
		return error_errno(err, errno, "filling a socket's queue");
	setsockopt(sender, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	for (size_t at = 0; at < rec->queue_len; at += sizeof(m) + padded(m.len)) {
		ssize_t n;

		memcpy(&m, queue + at, sizeof(m));
		n = send(sender, queue + at + sizeof(m), m.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n != (ssize_t)m.len)
			return error_errno(err, n < 0 ? errno : EIO, "filling a socket's queue");
	}
	before /= 2;
	setsockopt(sender, SOL_SOCKET, SO_SNDBUFFORCE, &before, sizeof(before));
	return 0;
}

static int finish(struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	int ret = socket_load_options(o->fd, &rec->options, err);

	return ret ? ret : files_set_flags(o->fd, rec->open_flags, err);
}

static int open_connected(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	struct file_object *peer = files_object(r, rec->peer);
	const struct ckpt_unix *peer_rec = peer ? peer->rec : NULL;
	struct file_object *listener = find_listener(r, o);
	int ends[2] = {-1, -1}, ret;
	bool swapped = false;

	if (rec->peer && (!peer || peer->kind != &file_kind_unix || peer_rec->peer != o->id ||
			  peer_rec->state != CKPT_SOCKET_CONNECTED || peer_rec->type != rec->type ||
			  peer->fd >= 0))
		return error_set(err, EBADMSG, "unix sockets %u and %u are no pair", o->id,
				 rec->peer);
	if (!listener && peer) {
		listener = find_listener(r, peer);
		swapped = listener;
	}
	ret = listener ? connect_through(r, listener, rec->type, ends, err)
		       : socket_make_pair(r->request->init, rec->type, ends, err);
	if (ret)
		return ret;
	o->fd = ends[swapped];
	if (peer) {
		peer->fd = ends[!swapped];
		ret = finish(peer, err);
		return ret ? ret : finish(o, err);
	}
	/* the other end is closed: what it had sent is still there to be read */
	ret = fill_queue(o, ends[!swapped], err);
	close(ends[!swapped]);
	return ret ? ret : finish(o, err);
}

int unix_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	int ret;

	/* a datagram socket without its peer is only not connected any more */
	if (rec->state == CKPT_SOCKET_CONNECTED && (rec->peer || rec->type != SOCK_DGRAM))
		return open_connected(r, o, err);
	ret = open_alone(r, o, err);
	return ret ? ret : finish(o, err);
}

/* Queues first: shutting down ends sending. */
int unix_cross(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	struct file_object *peer = files_object(r, rec->peer);
	int ret;

	if (!peer || rec->peer < o->id)
		return 0;
	ret = fill_queue(o, peer->fd, err);
	if (!ret)
		ret = fill_queue(peer, o->fd, err);
	for (int i = 0; !ret && i < 2; i++) {
		struct file_object *end = i ? peer : o;
		const struct ckpt_unix *end_rec = end->rec;
		int how = end_rec->shutdown == 3   ? SHUT_RDWR
			  : end_rec->shutdown == 1 ? SHUT_RD
						   : SHUT_WR;

		if (end_rec->shutdown && shutdown(end->fd, how) && errno != ENOTCONN)
			ret = error_errno(err, errno, "shutting down a unix socket");
	}
	return ret;
}
