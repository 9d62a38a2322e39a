/* SPDX-License-Identifier: GPL-2.0-only */
/* Cloning a process into namespaces and a cgroup, as a child of the caller in any case. */
#ifndef FIRN_LIBCONTAINER_CLONE_H
#define FIRN_LIBCONTAINER_CLONE_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct namespace_fds;

/*
 * Which of those that are joined the new process has joined when it begins: a pid namespace is for
 * children only. The others the new process joins itself.
 */
#define JOINED_BEFORE (CLONE_NEWUSER | CLONE_NEWPID)

/*
 * Whether a helper process joins them, and the new one is its sibling: from a user namespace there
 * is no way back, and from a pid namespace only for who has CAP_SYS_ADMIN where the runtime's own
 * one belongs.
 */
bool clone_wants_helper(const struct namespace_fds *joined);

struct clone_request {
	const struct namespace_fds *joined;
	uint64_t new_types;	     /* those that clone3 is not to make are ignored */
	pid_t pid;		     /* that it must get in its pid namespace; 0: any */
	int cgroup_fd;		     /* of a v2 cgroup, or -1 */
	int parent_fd, child_fd;     /* the sync socket's ends */
	void (*main)(void *context); /* runs in the new process, never returns */
	void *context;
};

/*
 * With a helper, the new process must wait for SYNC_GO before it sends
 * anything. On failure *pid is 0, or that of a process to be killed; -EEXIST if the
 * pid that was asked for is taken.
 */
int clone_process(const struct clone_request *request, pid_t *pid, int *pidfd, struct error **err);

#endif
