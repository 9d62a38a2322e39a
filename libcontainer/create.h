/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making a container's init: namespaces, root file system, credentials. One
 * clone, one socket between parent and init; the protocol is drawn in sync.h.
 */
#ifndef FIRN_LIBCONTAINER_CREATE_H
#define FIRN_LIBCONTAINER_CREATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "libcontainer/process.h"

struct cgroup;
struct container;
struct error;
struct net_devices;
struct oci_config;

struct create_options {
	const char *console_socket; /* NULL: none */
	int console_fd;		    /* a connected socket instead, borrowed; 0: none */
	const char *pid_file;	    /* NULL: none; written by the verb, once the state is saved */
	const char *pidfd_socket;   /* who gets a pidfd of the init, or NULL */
	struct passed_fds passed;
	bool no_pivot;
	bool no_new_keyring;
	bool is_trampoline; /* as self_image_seal() has told */

	/*
	 * A restore: the container is built as for create, but its init stops as
	 * a stub just before it would drop privileges, install seccomp and exec.
	 * It holds no descriptors but 0 to 2, its terminal's master (which does not
	 * control it) and the sync socket, whose number is in stub_fd, and sleeps in read(2) on
	 * that for ever (end of file: it exits). A time namespace is made with these offsets in
	 * nanoseconds added to the host's clocks. In a pid namespace that it shares
	 * the init gets this pid, or there is -EEXIST; 0: any.
	 */
	bool restore;
	pid_t pid;
	int64_t monotonic_offset, boottime_offset;
};

struct init_process {
	pid_t pid; /* in the caller's pid namespace; the caller's child */
	int pidfd;
	int sync_fd;   /* the parent's end of the sync socket */
	int stub_fd;   /* restore: the init's own number of its end */
	int master_fd; /* restore: its number of its terminal's master, or -1 */
	bool hooked;   /* hooks of the creation were reached, also if it failed: poststop follows */
	struct net_devices *devices; /* moved into it: for net_devices_return() if a later step
					fails; NULL: none */
};

/*
 * Builds the container up to the point where `start` would exec the process.
 * c is in CREATING and stays there; the init's identity, stdio and terminal
 * are filled in, not saved. On failure nothing is left behind.
 */
int container_create_init(struct container *c, const struct oci_config *config, struct cgroup *cg,
			  const struct create_options *options, struct init_process *init,
			  struct error **err);

/* Closes the descriptors and forgets the devices; the process lives on with them. */
void init_process_close(struct init_process *init);

#endif
