/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Turning the calling process, already in the container, into the one that
 * config.json describes. For init and exec alike; in the order of the functions.
 */
#ifndef FIRN_LIBCONTAINER_PROCESS_H
#define FIRN_LIBCONTAINER_PROCESS_H

#include <stdbool.h>

#include "libcontainer/seccomp.h"

struct error;
struct oci_config;
struct oci_process;

struct process_setup {
	const struct oci_process *process;
	const struct oci_seccomp *seccomp; /* or NULL */
	const char *id;			   /* names the session keyring; NULL: no new one */
	bool user_namespace;		   /* where setgroups(2) may be off */
	int preserve_fds;
	int report_fd;	   /* a sync socket: says what kept the program from running */
	int trampoline_fd; /* made by process_prepare(); -1 if the program has a label */
	struct seccomp_program filter; /* made by process_prepare() */
	char **env;		       /* what will be passed on; made by process_prepare() */
	char *program;		       /* the file to execute */
};

/* What has to be written to the host's /proc: OOM score, rlimits, scheduling. Before the pivot. */
int process_limit(const struct oci_process *process, struct error **err);

/*
 * In the root of the container, still with all privileges: finds the program,
 * compiles seccomp, gets a keyring, enters the working directory if it can.
 */
int process_prepare(struct process_setup *setup, struct error **err);

/* Drops privileges as wanted and executes the program: returns only on failure. */
int process_execute(struct process_setup *setup, struct error **err);

/* Sets close-on-exec on all descriptors but 0 to 2 and the next keep ones. */
int process_mark_fds(int keep, struct error **err);

#endif
