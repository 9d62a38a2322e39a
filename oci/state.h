/* SPDX-License-Identifier: GPL-2.0-only */
/* The container's state as the OCI specification words it: for hooks and for `state`. */
#ifndef FIRN_OCI_STATE_H
#define FIRN_OCI_STATE_H

#include <stdbool.h>
#include <sys/types.h>

#include "oci/config.h"

struct json;

/* All strings are borrowed; those marked optional may be NULL. */
struct oci_state {
	const char *oci_version; /* of the configuration; optional: OCI_VERSION */
	const char *id;
	const char *status; /* creating, created, running, stopped; paused as runc says */
	pid_t pid;	    /* in the runtime's pid namespace; 0: no process */
	const char *bundle; /* absolute */
	const struct oci_pairs *annotations; /* optional */
	/* what runc prints besides, and callers read */
	const char *rootfs;  /* optional */
	const char *created; /* optional, RFC 3339 with nanoseconds */
	const char *owner;   /* optional; "" for root */
	/* Firn's own name of the state, a member "firn"; optional */
	const char *firn;
};

/* The state as an indented JSON object, malloc'ed, or NULL for want of memory. */
char *oci_state_json(const struct oci_state *state);

/* Adds it as a value to a document that is being written (a list of containers, a seccomp agent's).
 */
void oci_state_write(struct json *j, const struct oci_state *state);

#endif
