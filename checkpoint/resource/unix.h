/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unix sockets. A checkpoint: unix.c, with unix_diag.c for what the kernel tells
 * and unix_queue.c for queued messages. A restore: unix_restore.c, with
 * unix_make.c for who makes them and unix_fill.c for queues.
 */
#ifndef FIRN_RESOURCE_UNIX_H
#define FIRN_RESOURCE_UNIX_H

#include <sys/un.h>

#include "checkpoint/resource/files.h"

#define UNIX_PATH_SIZE sizeof(((struct sockaddr_un *)0)->sun_path)
#define UNIX_FILE_MAX  (UNIX_PATH_SIZE + 4096) /* of the path of a file with a relative name */
#define UNIX_QUEUE_MAX (256u << 20)	       /* bytes queued in one socket */
#define UNIX_FDS_MAX   253		       /* in one message: SCM_MAX_FD of the kernel */

static inline size_t unix_padded(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

/* --- a checkpoint --- */

/* What the kernel knows of a unix socket. */
struct unix_socket {
	uint32_t ino, peer; /* peer 0: none, closed, or not accepted yet */
	uint8_t state;
	uint8_t shutdown;	   /* 1 read, 2 write */
	uint32_t waiting, backlog; /* of a listener */
	struct description *d;	   /* NULL: outside of the container */
};

/* A connection that waits to be accepted. client 0: its client has closed it. */
struct unix_waiting {
	uint32_t listener, client;
};

struct unix_table {
	VEC(struct unix_socket) sockets; /* by ino */
	VEC(struct unix_waiting) waiting;
};

/* All those of a network namespace. */
int unix_diag(pid_t init, struct unix_table *table, struct error **err);

/* NULL: the kernel does not list it. */
struct unix_socket *unix_find(const struct unix_table *table, uint64_t ino);

struct unix_state {
	struct ckpt_unix rec;
	char address[UNIX_PATH_SIZE + 1];
	char *file;	/* rec.file_len bytes, or NULL */
	dev_t file_dev; /* of the file that a restore makes again (CKPT_SOCKET_FILE) */
	ino_t file_ino;
	VEC(uint32_t) waiting;
	struct buf queue;
	/* of the queue: */
	unsigned messages;
	uint32_t memory;	   /* the kernel's, in which its messages are accounted */
	char from[UNIX_PATH_SIZE]; /* who sent the first message */
	size_t from_len;
	bool several_senders;
};

/* Reads the queue of d; what it cannot save is blocked. */
int unix_read_queue(struct checkpoint *c, struct description *d, struct unix_state *s,
		    struct error **err);

/* Whether this is the file of a socket that a restore binds again. */
bool unix_has_file(const struct checkpoint *c, dev_t dev, ino_t ino);

/* The container's number for a process, as the kernel shows it to us; 0: nobody inside. */
pid_t unix_pid_inside(const struct checkpoint *c, pid_t pid);

/* --- a restore --- */

/* Who does something that the other end sees in SO_PEERCRED. */
struct unix_actor {
	uint32_t pid; /* the container's; 0: nobody inside */
	uint32_t uid, gid;
};

int unix_pair_as(struct restore *r, struct unix_actor as, int type, int pair[2],
		 struct error **err);
int unix_listen_as(struct restore *r, struct unix_actor as, int fd, int backlog,
		   struct error **err);
/* Connects fd to the named socket `to`, wherever its file is. */
int unix_connect_as(struct restore *r, struct unix_actor as, int fd, int to, struct error **err);

/*
 * The address of a named socket for connect(2) and sendto(2) in this process: an
 * abstract name, or a path of /proc by way of *file (O_PATH, the caller's).
 */
int unix_reach(int fd, struct sockaddr_un *un, socklen_t *len, int *file, struct error **err);

/*
 * Binds fd to a name; one that is a path exists nowhere: its file is in a file system of its own
 * that goes with the socket.
 */
int unix_bind_nowhere(struct restore *r, int fd, const char *address, size_t len,
		      struct error **err);

int unix_load(struct restore *r, struct file_object *o, struct error **err);
int unix_open(struct restore *r, struct file_object *o, struct error **err);

const char *unix_queue_of(const struct file_object *o);
bool unix_queue_valid(const char *queue, size_t len);

/* The first message's sender: who is the other end of a connection, if that is closed. */
size_t unix_first_sender(const struct file_object *o, const char **from);

/*
 * A datagram socket without a name can only be the target of the other end of
 * its pair: who that is, as seen from either of them. NULL: none, or no datagram socket.
 */
struct file_object *unix_find_partner(struct restore *r, const struct file_object *o);

/* Writes the messages of o's queue anew. */
int unix_fill(struct restore *r, struct file_object *o, struct error **err);

#endif
