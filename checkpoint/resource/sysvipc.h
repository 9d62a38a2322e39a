/* SPDX-License-Identifier: GPL-2.0-only */
/* System V IPC: what sysvipc.c (saving), sysvipc_restore.c and the others share. */
#ifndef FIRN_CHECKPOINT_RESOURCE_SYSVIPC_H
#define FIRN_CHECKPOINT_RESOURCE_SYSVIPC_H

#include "checkpoint/engine/engine.h"

struct error;

/* Limits in the order of the fields of struct ckpt_ipc_limits; sem has four numbers. */
#define IPC_LIMITS 8
extern const char *const ipc_limit_paths[IPC_LIMITS];
#define IPC_RMID_FORCED "/proc/sys/kernel/shm_rmid_forced"

#define SYSVIPC_SEMS_MAX 32000 /* of a set: SEMMSL's highest value */

struct ipc_state {
	VEC(struct record) records; /* a restore: as validated, in the image's order */
};

/* The message before it is in the image: what msgrcv(2) and msgsnd(2) take. */
struct ipc_msgbuf {
	long type;
	char text[];
};

int sysvipc_load(struct restore *r, struct restore_task *t, const struct record *rec,
		 struct error **err);
int sysvipc_restore_contents(struct restore *r, struct restore_task *t, struct error **err);
int sysvipc_restore_cross(struct restore *r, struct restore_task *t, struct error **err);

/*
 * sysvipc_attach.c: the attachment that v, a mapping of t, is a piece of; once for all its
 * pieces. The stub has nothing but its window and what else it was given of the layout.
 */
int sysvipc_attach(struct restore *r, struct restore_task *t, const struct ckpt_vma *v,
		   struct error **err);

/* sysvipc_undo.c: of a process, or of a thread that shares it with no other. */
int sysvipc_load_undo(struct restore_task *t, const struct record *rec, struct error **err);
bool sysvipc_has_undo(const struct restore_thread *th);
int sysvipc_restore_undo(struct restore *r, struct error **err);

/* sysvipc_exact.c: creators, times and pids of the objects, if the kernel can set them. */
int sysvipc_restore_exact(struct restore *r, struct error **err);

/* sysvipc_admit.c: names attachments of what is not the container's, and such as are too long. */
int sysvipc_admit(struct checkpoint *c, struct dump_task *t, struct error **err);

/* The file behind a segment of the namespace that the calling thread is in; size in bytes. */
int sysvipc_open_segment(int id, uint64_t size, int flags, int *fd, struct error **err);

/* What sysvipc_load() validates, for one record. */
int sysvipc_check(const struct record *rec, struct error **err);

/* Saves the objects of the namespace that the calling thread is in. */
int sysvipc_dump_namespace(struct checkpoint *c, struct error **err);

/* Makes the objects of r->ipc in the namespace that the calling thread is in. */
int sysvipc_make_namespace(struct restore *r, struct error **err);

#endif
