/* SPDX-License-Identifier: GPL-2.0-only */
/* POSIX message queues of the container's IPC namespace. */
#ifndef FIRN_RESOURCE_MQUEUE_H
#define FIRN_RESOURCE_MQUEUE_H

#include <mqueue.h>

#include "checkpoint/resource/files.h"

#define MQ_PRIORITIES 32768
#define MQ_SIZE_MAX   (16 << 20) /* HARD_MSGSIZEMAX of the kernel */
#define MQ_MSG_MAX    65536	 /* HARD_MSGMAX */

/* fs.mqueue.*, in the order of struct ckpt_mqueue_limits */
#define MQ_LIMITS 5
extern const char *const mqueue_limit_paths[MQ_LIMITS];

struct mqueue {
	char *name; /* as mq_open(3) has it, but without the slash */
	int fd;	    /* ours, read-write, not blocking */
	struct stat st;
	struct mq_attr attr;
	bool unlinked;
	/* who is told when it is no longer empty */
	struct dump_task *owner; /* NULL: nobody */
	int notify, signo;
};

struct mqueue_state {
	VEC(struct mqueue) queues;
	VEC(struct record) records; /* of a restore: the queues, in order of their numbers */
	VEC(int) fds;
	const struct ckpt_mqueue_limits *limits;
};

/*
 * Who is told, and how: sets notify and signo; *pid is 0 if nobody is. From what reading a queue
 * gives (ipc/mqueue.c, mqueue_read_file()).
 */
int mqueue_status(struct mqueue *q, int *pid, struct error **err);

/* Takes the messages of a queue out and puts them back; who is to be told stays the same. */
int mqueue_read(struct checkpoint *c, const struct mqueue *q, struct buf *messages,
		struct ckpt_mqueue *rec, struct error **err);

/* mqueue_restore.c */
int mqueue_load(struct restore *r, struct restore_task *t, const struct record *rec,
		struct error **err);
int mqueue_make(struct restore *r, struct restore_task *none, struct error **err);
int mqueue_cross(struct restore *r, struct restore_task *none, struct error **err);

#endif
