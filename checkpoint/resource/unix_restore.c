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
#include <unistd.h>

#include "checkpoint/resource/unix.h"
#include "checkpoint/user/fdpass.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

static bool path_valid(const char *path, size_t len)
{
	return !memchr(path, '\0', len);
}

static bool tail_valid(const struct file_object *o, const struct ckpt_unix *rec)
{
	uint64_t before = unix_padded(rec->address_len) + unix_padded(rec->file_len) +
			  unix_padded(rec->waiting * sizeof(uint32_t));

	return before <= o->tail_len && unix_padded(rec->queue_len) == o->tail_len - before &&
	       unix_queue_valid(unix_queue_of(o), rec->queue_len);
}

int unix_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	const char *file = o->tail + unix_padded(rec->address_len);
	bool path;

	if (rec->address_len > UNIX_PATH_SIZE || rec->file_len > UNIX_FILE_MAX ||
	    rec->waiting > 1u << 20 || rec->queue_len > 2ull * UNIX_QUEUE_MAX ||
	    !tail_valid(o, rec))
		return error_set(err, EBADMSG, "unix socket %u is malformed", o->id);
	if ((rec->type != SOCK_STREAM && rec->type != SOCK_DGRAM && rec->type != SOCK_SEQPACKET) ||
	    rec->state > CKPT_SOCKET_CONNECTED || rec->shutdown > 3 ||
	    (rec->peer == rec->id && rec->type != SOCK_DGRAM) ||
	    rec->flags & ~(CKPT_SOCKET_FILE | CKPT_SOCKET_ERROR | CKPT_SOCKET_WAITING) ||
	    rec->mode & ~07777u || (rec->waiting && rec->state != CKPT_SOCKET_LISTEN) ||
	    (rec->type == SOCK_DGRAM && rec->state == CKPT_SOCKET_LISTEN))
		return error_set(err, EBADMSG, "unix socket %u is malformed", o->id);
	path = rec->address_len && *o->tail;
	if ((path && !path_valid(o->tail, rec->address_len)) ||
	    (rec->file_len && (*file != '/' || !path_valid(file, rec->file_len))) ||
	    (!path && rec->flags & CKPT_SOCKET_FILE) ||
	    (path && *o->tail != '/' && rec->flags & CKPT_SOCKET_FILE &&
	     rec->file_len <= rec->address_len))
		return error_set(err, EBADMSG, "unix socket %u has a malformed address", o->id);
	return 0;
}

/* --- names --- */

static bool is_path(const struct file_object *o)
{
	const struct ckpt_unix *rec = o->rec;

	return rec->address_len && *o->tail;
}

static socklen_t address_of(const struct file_object *o, struct sockaddr_un *un)
{
	const struct ckpt_unix *rec = o->rec;

	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, o->tail, rec->address_len);
	return offsetof(struct sockaddr_un, sun_path) + rec->address_len +
	       (is_path(o) && rec->address_len < UNIX_PATH_SIZE);
}

/* A copy of the path of the socket's file, NUL-terminated, in path. */
static void file_of(const struct file_object *o, char path[UNIX_PATH_SIZE + 4097])
{
	const struct ckpt_unix *rec = o->rec;
	bool relative = rec->file_len;
	size_t len = relative ? rec->file_len : rec->address_len;

	memcpy(path, o->tail + (relative ? unix_padded(rec->address_len) : 0), len);
	path[len] = '\0';
}

static int open_directory(struct restore *r, const char *path, int *dirfd, struct error **err)
{
	*dirfd = open_in_root(r->rootfd, *path ? path : "/", O_PATH | O_DIRECTORY, 0);
	if (*dirfd < 0)
		return error_errno(err, -*dirfd, "opening the directory \"%s\" of a unix socket",
				   path);
	return 0;
}

/* The directory that a relative address is relative to: the init goes there to bind it. */
static int enter_base(struct restore *r, const struct file_object *o, const char *file,
		      struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	struct restore_task *init = &r->tasks.items[0];
	char base[UNIX_PATH_SIZE + 4097], name[UNIX_PATH_SIZE + 1] = "", *rest = name;
	__cleanup_fd int dirfd = -1;
	size_t len = strlen(file);
	int number, ret;

	memcpy(name, o->tail, rec->address_len);
	while (!strncmp(rest, "./", 2))
		rest += 2;
	if (len <= strlen(rest) || strcmp(file + len - strlen(rest), rest))
		return error_set(err, EBADMSG, "unix socket \"%s\" cannot be \"%s\"", name, file);
	memcpy(base, file, len - strlen(rest));
	base[len - strlen(rest)] = '\0';
	ret = open_directory(r, base, &dirfd, err);
	if (!ret)
		ret = fdpass_send(r, init, &dirfd, 1, &number, err);
	if (!ret)
		ret = remote_syscall(&init->remote, err, "entering a directory", NULL, SYS_fchdir,
				     number, 0, 0, 0, 0, 0);
	return ret ? ret
		   : remote_syscall(&init->remote, err, "closing a directory", NULL, SYS_close,
				    number, 0, 0, 0, 0, 0);
}

/* old: what has the name now is to go first, which is the container's to do like the binding. */
static int remote_bind(struct restore *r, const struct file_object *o, int fd, bool old,
		       struct error **err)
{
	struct restore_task *init = &r->tasks.items[0];
	uint64_t at = remote_data_address(&init->remote);
	struct sockaddr_un un;
	socklen_t len = address_of(o, &un);
	int number, ret = fdpass_send(r, init, &fd, 1, &number, err);
	long unlinked;

	if (ret)
		return ret;
	memcpy(remote_data(&init->remote), &un, sizeof(un));
	/* an address may fill the path, without a NUL */
	((char *)remote_data(&init->remote))[sizeof(un)] = '\0';
	if (old)
		ret = remote_syscall(&init->remote, err, "removing a unix socket", &unlinked,
				     SYS_unlink, at + offsetof(struct sockaddr_un, sun_path), 0, 0,
				     0, 0, 0);
	if (ret)
		return ret;
	ret = remote_syscall(&init->remote, err, "binding a unix socket", NULL, SYS_bind, number,
			     at, len, 0, 0, 0);
	if (ret)
		return error_wrap(err, "\"%.*s\"", (int)sizeof(un.sun_path), un.sun_path);
	return remote_syscall(&init->remote, err, "closing a unix socket", NULL, SYS_close, number,
			      0, 0, 0, 0, 0);
}

/*
 * The socket was in the directory at the checkpoint: to that nothing has happened since. Should
 * somebody outside make a file there in this very moment, its time is lost.
 */
static int bind_quietly(struct restore *r, const struct file_object *o, int fd, int dirfd, bool old,
			struct error **err)
{
	struct stat st = {0};
	int known = fstat(dirfd, &st), ret = remote_bind(r, o, fd, old, err);
	const struct timespec times[2] = {st.st_atim, st.st_mtim};

	if (!ret && !known)
		utimensat(dirfd, "", times, AT_EMPTY_PATH);
	return ret;
}

/* Binding makes the file: an old one gives way, if a socket is what it is. */
static int bind_path(struct restore *r, const struct file_object *o, int fd, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	__cleanup_fd int dirfd = -1, file = -1;
	char path[UNIX_PATH_SIZE + 4097], self[64], *name;
	struct stat st;
	bool old;
	int ret;

	file_of(o, path);
	if (*o->tail != '/') {
		ret = enter_base(r, o, path, err);
		if (ret)
			return ret;
	}
	name = strrchr(path, '/');
	*name++ = '\0';
	ret = open_directory(r, path, &dirfd, err);
	if (!ret)
		ret = ids_mapped(r->init, rec->uid, rec->gid, err);
	if (ret)
		return ret;
	old = !fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISSOCK(st.st_mode);
	ret = bind_quietly(r, o, fd, dirfd, old, err);
	if (ret)
		return ret;
	file = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0 || fstat(file, &st))
		return error_errno(err, errno, "opening the socket \"%s\"", name);
	if (!S_ISSOCK(st.st_mode) || st.st_nlink != 1)
		return error_set(err, EBUSY, "the socket \"%s\" was replaced while it was made",
				 name);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", file);
	if (fchownat(file, "", rec->uid, rec->gid, AT_EMPTY_PATH) || chmod(self, rec->mode))
		return error_errno(err, errno, "setting owner and mode of the socket \"%s\"", name);
	return 0;
}

/* Gives a socket the name that o has. */
static int bind_name(struct restore *r, const struct file_object *o, int fd, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;

	if (!rec->address_len)
		return 0;
	if (rec->flags & CKPT_SOCKET_FILE)
		return bind_path(r, o, fd, err);
	return unix_bind_nowhere(r, fd, o->tail, rec->address_len, err);
}

static struct unix_actor peer_of(const struct ckpt_unix *rec)
{
	return (struct unix_actor){rec->peer_pid, rec->peer_uid, rec->peer_gid};
}

static int finish(struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	int ret = socket_load_options(o->fd, &rec->options, err);

	return ret ? ret : files_set_flags(o->fd, rec->open_flags, err);
}

static int open_alone(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	int ret = socket_make(r->init, AF_UNIX, rec->type, 0, &o->fd, err);

	if (!ret)
		ret = bind_name(r, o, o->fd, err);
	if (!ret && rec->state == CKPT_SOCKET_LISTEN)
		ret = unix_listen_as(r, peer_of(rec), o->fd, rec->backlog, err);
	return ret ? ret : finish(o, err);
}

/* --- connections of streams and packets --- */

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

/* The accepted end has the name of its listener, the other one a name of its own or none. */
struct ends {
	struct file_object *accepted, *client; /* NULL: closed */
	struct file_object *listener;	       /* NULL: closed */
};

/* No accepted end and no client: a pair without names. */
static void find_ends(struct restore *r, struct file_object *o, struct file_object *peer,
		      struct ends *ends)
{
	const struct ckpt_unix *rec = o->rec, *peer_rec = peer ? peer->rec : NULL;
	struct file_object *of_own = find_listener(r, o);
	struct file_object *of_peer = peer ? find_listener(r, peer) : NULL;
	bool own;

	*ends = (struct ends){0};
	if (!rec->address_len && (!peer || !peer_rec->address_len))
		return;
	/* a name whose file is there was bound by the very socket that has it, or by a listener */
	if (of_own || of_peer)
		own = of_own;
	else
		own = rec->address_len &&
		      !(rec->flags & CKPT_SOCKET_FILE && peer && peer_rec->address_len);
	ends->accepted = own ? o : peer;
	ends->client = own ? peer : o;
	ends->listener = own ? of_own : of_peer;
}

/* Stands for a listener that was closed, with the name of what it had accepted. */
static int substitute_listener(struct restore *r, const struct ends *ends, int *fd,
			       struct error **err)
{
	const struct ckpt_unix *rec = ends->accepted->rec;
	struct unix_actor as = {0};
	int ret = socket_make(r->init, AF_UNIX, rec->type, 0, fd, err);

	if (ends->client)
		as = peer_of(ends->client->rec);
	if (!ret)
		ret = unix_bind_nowhere(r, *fd, ends->accepted->tail, rec->address_len, err);
	return ret ? ret : unix_listen_as(r, as, *fd, 1, err);
}

static int name_client(struct restore *r, const struct ends *ends, int fd, struct error **err)
{
	const char *from;
	size_t len;

	if (ends->client)
		return bind_name(r, ends->client, fd, err);
	len = unix_first_sender(ends->accepted, &from);
	return len ? unix_bind_nowhere(r, fd, from, len, err) : 0;
}

/* Makes both ends by way of a listener: fds[0] is the accepted one. */
static int connect_through(struct restore *r, const struct ends *ends, int fds[2],
			   struct error **err)
{
	const struct ckpt_unix *rec = ends->accepted->rec;
	__cleanup_fd int substitute = -1, client = -1;
	int listener, ret = 0;

	if (!ends->listener)
		ret = substitute_listener(r, ends, &substitute, err);
	else if (ends->listener->fd < 0)
		ret = unix_open(r, ends->listener, err);
	listener = ends->listener ? ends->listener->fd : substitute;
	if (!ret)
		ret = socket_make(r->init, AF_UNIX, rec->type, 0, &client, err);
	if (!ret)
		ret = name_client(r, ends, client, err);
	if (!ret)
		ret = unix_connect_as(r, peer_of(rec), client, listener, err);
	if (ret)
		return ret;
	fds[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fds[0] < 0)
		return error_errno(err, errno, "accepting a unix connection");
	fds[1] = take_fd(&client);
	return 0;
}

static int check_pair(const struct file_object *o, const struct file_object *peer,
		      struct error **err)
{
	const struct ckpt_unix *rec = o->rec, *peer_rec = peer ? peer->rec : NULL;

	if (!rec->peer ||
	    (peer && peer->kind == &file_kind_unix && peer_rec->type == rec->type &&
	     peer_rec->state == CKPT_SOCKET_CONNECTED && peer_rec->peer == o->id && peer->fd < 0))
		return 0;
	return error_set(err, EBADMSG, "unix sockets %u and %u are no pair", o->id, rec->peer);
}

static int open_connected(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	struct file_object *peer = files_object(r, rec->peer);
	int fds[2] = {-1, -1}, ret = check_pair(o, peer, err);
	struct ends ends;
	bool swapped;

	if (ret)
		return ret;
	find_ends(r, o, peer, &ends);
	swapped = ends.accepted && ends.accepted != o;
	ret = ends.accepted ? connect_through(r, &ends, fds, err)
			    : unix_pair_as(r, peer_of(rec), rec->type, fds, err);
	if (ret)
		return ret;
	o->fd = fds[swapped];
	/* a closed end is closed again when what it had sent is in the queue */
	*(peer ? &peer->fd : &o->other) = fds[!swapped];
	ret = finish(o, err);
	return ret || !peer ? ret : finish(peer, err);
}

/* --- datagrams --- */

static bool is_named(const struct file_object *o)
{
	return ((const struct ckpt_unix *)o->rec)->address_len;
}

struct file_object *unix_find_partner(struct restore *r, const struct file_object *o)
{
	const struct ckpt_unix *rec = o->rec;
	struct file_object *peer = files_object(r, rec->peer);

	/* no socket at all: connect_datagram() says so */
	if (rec->type != SOCK_DGRAM || (peer && peer->kind != &file_kind_unix))
		return NULL;
	if (peer && (!is_named(peer) || !is_named(o)) &&
	    ((const struct ckpt_unix *)peer->rec)->peer == o->id)
		return peer;
	if (peer && !is_named(peer))
		return peer;
	if (is_named(o))
		return NULL;
	vec_for_each (other, &r->files->objects)
		if (other->kind == &file_kind_unix && other != o &&
		    ((const struct ckpt_unix *)other->rec)->peer == o->id)
			return other;
	return NULL;
}

static int open_datagram_pair(struct restore *r, struct file_object *o, struct file_object *partner,
			      struct error **err)
{
	const struct ckpt_unix *rec = o->rec, *other = partner->rec;
	int fds[2], ret;

	if (partner->kind != &file_kind_unix || other->type != SOCK_DGRAM || partner->fd >= 0)
		return error_set(err, EBADMSG, "unix sockets %u and %u are no pair", o->id,
				 partner->id);
	ret = unix_pair_as(r, peer_of(rec), SOCK_DGRAM, fds, err);
	if (ret)
		return ret;
	o->fd = fds[0];
	partner->fd = fds[1];
	ret = bind_name(r, o, o->fd, err);
	if (!ret)
		ret = bind_name(r, partner, partner->fd, err);
	if (!ret)
		ret = finish(o, err);
	return ret ? ret : finish(partner, err);
}

/* Connected to one that was closed, or reachable only by one that was. */
static int open_widowed(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	const char *from;
	size_t len = unix_first_sender(o, &from);
	int fds[2], ret = unix_pair_as(r, peer_of(rec), SOCK_DGRAM, fds, err);

	if (ret)
		return ret;
	o->fd = fds[0];
	o->other = fds[1];
	ret = bind_name(r, o, o->fd, err);
	if (!ret && len)
		ret = unix_bind_nowhere(r, o->other, from, len, err);
	return ret ? ret : finish(o, err);
}

static int open_datagram(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	struct file_object *partner = unix_find_partner(r, o);
	bool connected = rec->state == CKPT_SOCKET_CONNECTED;

	if (partner)
		return open_datagram_pair(r, o, partner, err);
	if ((connected && !rec->peer) || (!is_named(o) && rec->queue_len))
		return open_widowed(r, o, err);
	return open_alone(r, o, err);
}

int unix_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;

	if (rec->type == SOCK_DGRAM)
		return open_datagram(r, o, err);
	if (rec->state == CKPT_SOCKET_CONNECTED && !(rec->flags & CKPT_SOCKET_WAITING))
		return open_connected(r, o, err);
	return open_alone(r, o, err);
}

/* --- when all are open --- */

static int connect_waiting(struct restore *r, struct file_object *listener, uint32_t id,
			   struct error **err)
{
	struct file_object *o = files_object(r, id);
	const struct ckpt_unix *rec = o ? o->rec : NULL;
	int ret;

	if (!o || o->kind != &file_kind_unix || !(rec->flags & CKPT_SOCKET_WAITING) || o->fd < 0)
		return error_set(err, EBADMSG, "unix socket %u does not wait to be accepted", id);
	/* if there is no room, the connection must not wait for it */
	ret = fcntl(o->fd, F_SETFL, O_NONBLOCK);
	if (ret)
		return error_errno(err, errno, "connecting a unix socket");
	ret = unix_connect_as(r, peer_of(rec), o->fd, listener->fd, err);
	return ret ? ret : files_set_flags(o->fd, rec->open_flags, err);
}

int unix_opened(struct restore *r, struct error **err)
{
	int ret = 0;

	vec_for_each (o, &r->files->objects) {
		const struct ckpt_unix *rec = o->rec;
		const uint32_t *ids;

		if (o->kind != &file_kind_unix || !rec->waiting)
			continue;
		ids = (const void *)(o->tail + unix_padded(rec->address_len) +
				     unix_padded(rec->file_len));
		for (uint32_t i = 0; !ret && i < rec->waiting; i++)
			ret = connect_waiting(r, o, ids[i], err);
	}
	return ret;
}

/* The other end was closed: with data unread, if that is what is to be seen of it. */
static void close_other(struct file_object *o)
{
	const struct ckpt_unix *rec = o->rec;

	if (o->other < 0)
		return;
	if (rec->flags & CKPT_SOCKET_ERROR)
		send(o->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(o->other);
	o->other = -1;
}

static int connect_datagram(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;
	const struct file_object *peer = files_object(r, rec->peer);
	struct sockaddr_un un;
	socklen_t len = sizeof(un);
	int ret;

	if (rec->type != SOCK_DGRAM || !peer || !getpeername(o->fd, (struct sockaddr *)&un, &len))
		return 0;
	if (peer->kind != &file_kind_unix || peer->fd < 0)
		return error_set(err, EBADMSG, "unix sockets %u and %u are no pair", o->id,
				 rec->peer);
	ret = unix_connect_as(r, (struct unix_actor){0}, o->fd, peer->fd, err);
	return ret;
}

static int shut_down(const struct file_object *o, struct error **err)
{
	const struct ckpt_unix *rec = o->rec;

	/* SHUT_RD and so on are one less than what the kernel keeps */
	if (rec->shutdown && shutdown(o->fd, rec->shutdown - 1) && errno != ENOTCONN)
		return error_errno(err, errno, "shutting down a unix socket");
	return 0;
}

/*
 * One end of a pair that is not connected to the other one (any more). That loses
 * what is queued in it, and is told to the other end by an error.
 */
static int disconnect(struct restore *r, const struct file_object *o, struct error **err)
{
	const struct file_object *partner = unix_find_partner(r, o);
	struct sockaddr none = {.sa_family = AF_UNSPEC};

	if (connect(o->fd, &none, sizeof(none)))
		return error_errno(err, errno, "disconnecting a unix socket");
	socket_get_int(partner ? partner->fd : o->other, SOL_SOCKET, SO_ERROR);
	return 0;
}

static bool is_disconnected(struct restore *r, const struct file_object *o)
{
	const struct ckpt_unix *rec = o->rec;
	const struct file_object *partner = unix_find_partner(r, o);

	if (rec->type != SOCK_DGRAM)
		return false;
	return partner ? partner->id != rec->peer
		       : o->other >= 0 && rec->state != CKPT_SOCKET_CONNECTED;
}

static int fill_all(struct restore *r, bool disconnected, struct error **err)
{
	int ret = 0;

	vec_for_each (o, &r->files->objects) {
		if (ret || o->kind != &file_kind_unix || is_disconnected(r, o) != disconnected)
			continue;
		if (disconnected)
			ret = disconnect(r, o, err);
		if (!ret)
			ret = unix_fill(r, o, err);
	}
	return ret;
}

/* Queues first: who is connected takes no messages of others, and shutting down ends sending. */
int unix_cross(struct restore *r, struct error **err)
{
	int ret = fill_all(r, false, err);

	if (!ret)
		ret = fill_all(r, true, err);
	vec_for_each (o, &r->files->objects) {
		if (ret || o->kind != &file_kind_unix)
			continue;
		close_other(o);
		ret = connect_datagram(r, o, err);
		if (!ret)
			ret = shut_down(o, err);
	}
	return ret;
}
