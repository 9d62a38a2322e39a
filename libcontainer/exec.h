/* SPDX-License-Identifier: GPL-2.0-only */
/* Another process in a running container. Nothing of it is recorded. */
#ifndef FIRN_LIBCONTAINER_EXEC_H
#define FIRN_LIBCONTAINER_EXEC_H

#include <sys/types.h>

#include "libcontainer/process.h"

struct container;
struct error;
struct oci_config;
struct oci_process;

struct exec_options {
	const struct oci_process *process;
	const struct oci_config *config; /* the container's: seccomp, memory policy */
	const char *console_socket;	 /* for process->terminal; NULL: console_fd */
	int console_fd;			 /* a connected socket, borrowed */
	struct passed_fds passed;
	const char *pidfd_socket; /* who gets a pidfd of the process, or NULL */
	bool is_trampoline;	  /* as self_image_seal() has told */

	/*
	 * Cgroups below the container's own to enter instead, as "PATH" or "CONTROLLERS:PATH";
	 * they must be there.
	 */
	const char *const *cgroups;
	size_t cgroup_count;
};

/*
 * Starts the process in all namespaces and cgroups of the container. Returns
 * when it has executed its program; *pid is a child of the caller. The
 * container should be locked, so that nobody freezes it in between, and is
 * unlocked before anything in it is looked at: that may take for ever.
 */
int container_exec(struct container *c, const struct exec_options *options, pid_t *pid,
		   struct error **err);

#endif
