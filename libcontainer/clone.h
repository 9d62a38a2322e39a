/* SPDX-License-Identifier: GPL-2.0-only */
/* Cloning a process into namespaces and a cgroup, as a child of the caller in any case. */
#ifndef FIRN_LIBCONTAINER_CLONE_H
#define FIRN_LIBCONTAINER_CLONE_H

#include <sched.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct namespace_fds;

/*
 * Joining these acts on children only, or leaves no way back: a helper process
 * does it, and the new process is its sibling. The others it joins itself.
 */
#define CLONE_BY_HELPER (CLONE_NEWUSER | CLONE_NEWPID)

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
