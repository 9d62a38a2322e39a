/* SPDX-License-Identifier: GPL-2.0-only */
/* Work inside namespaces of a container. */
#ifndef FIRN_CHECKPOINT_USER_NS_H
#define FIRN_CHECKPOINT_USER_NS_H

#include <sys/types.h>

struct error;

/*
 * Runs fn(ctx) in the namespaces nsflags (CLONE_NEWIPC, CLONE_NEWUTS) of a
 * process (its speaker), and returns what it returns. It runs in a thread of this process that
 * is gone afterwards: memory and descriptors are ours, and the caller waits. So only
 * namespaces that a single thread may change are possible, see setns(2). With CLONE_NEWNS
 * root and working directory are the thread's own, and /proc is none of ours.
 */
int in_namespaces(pid_t pid, int nsflags, int (*fn)(void *ctx, struct error **err), void *ctx,
		  struct error **err);

/*
 * Runs fn(ctx) in a thread of this process that is gone afterwards. What it changes
 * of its own credentials by raw system calls ends with it.
 */
int in_thread(int (*fn)(void *ctx, struct error **err), void *ctx, struct error **err);

/*
 * What the calling thread makes in file systems belongs to these ids from here on; its capabilities
 * stay. In a file system that was mounted in a user namespace only ids of that can make anything.
 */
int take_fs_ids(uid_t uid, gid_t gid, struct error **err);

/* 1: the process has the same namespace ("ipc", "uts") as we; 0: another one. */
int same_namespace(pid_t pid, const char *name, struct error **err);

struct id_pair {
	uid_t uid;
	gid_t gid;
};

/* From our ids to what such a process itself calls them, and back; -EBADMSG if its maps lack them.
 */
int ids_inside(pid_t pid, struct id_pair *ids, struct error **err);
int ids_outside(pid_t pid, struct id_pair *ids, struct error **err);
int gid_inside(pid_t pid, gid_t *gid, struct error **err);

/*
 * 0 if a process in the process's user namespace can have these ids (ours, as
 * chown(2) takes them); -EBADMSG if its uid_map or gid_map lacks them. All are
 * there if the user namespace is our own.
 */
int ids_mapped(pid_t pid, uid_t uid, gid_t gid, struct error **err);
int uid_mapped(pid_t pid, uid_t uid, struct error **err);

#endif
