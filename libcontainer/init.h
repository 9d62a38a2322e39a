/* SPDX-License-Identifier: GPL-2.0-only */
/* A container's init before it becomes the container's program: the child's side of create.c. */
#ifndef FIRN_LIBCONTAINER_INIT_H
#define FIRN_LIBCONTAINER_INIT_H

#include <stdbool.h>
#include <stdint.h>

#include "libcontainer/idmap.h"
#include "libcontainer/namespaces.h"
#include "libcontainer/process.h"
#include "libcontainer/rootfs.h"

struct cgroup;
struct container;
struct create_options;
struct oci_config;

/* The numbers of the sync socket and of the terminal's master in a stub. */
#define STUB_FD	       3
#define STUB_MASTER_FD 4

/* What the child gets from its parent's memory. */
struct init {
	const struct container *c;
	const struct oci_config *config;
	const struct create_options *options;
	const struct cgroup *cgroup; /* the container's */
	struct cgroup *cg;	     /* to be entered by itself, or NULL: the parent does it */
	struct namespace_fds joined; /* given by path */
	struct idmapped_mounts idmapped;
	int devices_fd;	     /* of devices_make_outside(), or -1 */
	int root_fd;	     /* of rootfs_share(), or -1: it makes its root in its own mounts */
	uint64_t new_types;  /* CLONE_NEW* that config wants new */
	bool wait_for_go;    /* the parent has to do something first */
	bool user_namespace; /* new or joined */
	int sync_fd;
	int start_fd;	/* listening: who connects starts the program; -1 in a restore */
	int console_fd; /* where the terminal's master goes, or -1 */

	/* the child's own */
	struct rootfs rootfs;
	struct process_setup setup;
	int slave_fd;
	int master_fd; /* a restore's, or -1 */
	int proc_fd;   /* the host's, if a restore has to write a label */
};

/* Runs in the cloned process with a struct init and never returns. */
_Noreturn void init_main(void *context);

#endif
