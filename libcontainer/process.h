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
struct oci_pairs;
struct oci_process;

/* Descriptors of the caller's that the program gets, from 3 on. */
struct passed_fds {
	int count;
	int listening; /* the first of them are sockets by sd_listen_fds(3) */
};

struct process_setup {
	const struct oci_process *process;
	const struct oci_seccomp *seccomp; /* or NULL */
	const struct oci_pairs *annotations;
	bool user_namespace; /* where setgroups(2) may be off */
	bool is_trampoline;  /* the caller\'s own file is the trampoline: it need not be executed */
	struct passed_fds passed;
	int report_fd;	   /* a sync socket: says what kept the program from running */
	int trampoline_fd; /* made by process_prepare(); -1 if not needed, or in the way */
	struct seccomp_program filter; /* made by process_prepare() */
	char **env;		       /* what will be passed on; made by process_prepare() */
	char *program;		       /* the file to execute */
	bool entered;		       /* process_prepare() could enter the working directory */

	/*
	 * NULL, or what runs startContainer's hooks: programs out of the image, so they get what
	 * the process gets and no more, with its user, capabilities and seccomp filter.
	 */
	int (*run_hooks)(void *context, struct error **err);
	void *context;
};

/* What has to be written to the host's /proc: OOM score, rlimits, scheduling. Before the pivot. */
int process_limit(const struct oci_process *process, struct error **err);

/*
 * Whether there are capabilities with which the program is to be opened, but that executing
 * anything takes away from a user other than root: CAP_DAC_OVERRIDE for a program that the user
 * could not execute. Then there is no trampoline, which would use them up.
 */
bool process_opens_with_capabilities(const struct oci_process *process, bool user_namespace);

/*
 * A session keyring (keyctl(2)) named after the container: the caller's keys must not be seen
 * there. One that the container has already is joined. No error where the kernel has no keys.
 */
int process_join_keyring(const char *id, struct error **err);

/*
 * In the root of the container, still with all privileges: finds the program,
 * compiles seccomp, enters the working directory if it can.
 */
int process_prepare(struct process_setup *setup, struct error **err);

/* Drops privileges as wanted and executes the program: returns only on failure. */
int process_execute(struct process_setup *setup, struct error **err);

/* Sets close-on-exec on all descriptors but 0 to 2 and the next keep ones. */
int process_mark_fds(int keep, struct error **err);

#endif
