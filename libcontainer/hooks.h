/* SPDX-License-Identifier: GPL-2.0-only */
/* Hooks: programs of config.json, run at given moments with the state on standard input. */
#ifndef FIRN_LIBCONTAINER_HOOKS_H
#define FIRN_LIBCONTAINER_HOOKS_H

#include <sys/types.h>

struct container;
struct error;
struct oci_config;
struct oci_hook_list;

/*
 * Runs them in order in the calling process's namespaces, each until it ends
 * or its timeout is over. name is theirs in config.json ("prestart"), status
 * and pid go into the state. Stops at the first that fails, is killed or takes
 * too long: its name and how it ended are the error.
 */
int hooks_run(const struct oci_hook_list *hooks, const char *name, const struct container *c,
	      const struct oci_config *config, const char *status, pid_t pid, struct error **err);

/*
 * For poststop, as the spec wants it, and for poststart of a restore, which it does not know: what
 * is restored may have gone on. Failures go to the log and the next one runs.
 */
void hooks_run_all(const struct oci_hook_list *hooks, const char *name, const struct container *c,
		   const struct oci_config *config, const char *status, pid_t pid);

#endif
