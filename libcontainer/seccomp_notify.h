/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * linux.seccomp.listenerPath: the listener of a filter, taken out of the process that installed
 * it and sent to the socket with the container's state.
 */
#ifndef FIRN_LIBCONTAINER_SECCOMP_NOTIFY_H
#define FIRN_LIBCONTAINER_SECCOMP_NOTIFY_H

#include <stdint.h>
#include <sys/types.h>

struct container;
struct error;
struct oci_config;

struct seccomp_notify {
	const struct container *c;
	const struct oci_config *config;
	const char *status; /* the container's OCI status */
	pid_t pid;	    /* of the process, as the caller knows it */
};

/*
 * For struct sync_listener, with a struct seccomp_notify as ctx. On failure the process, which
 * waits for us, is killed.
 */
int seccomp_notify_take(void *ctx, int number, uint64_t flag, struct error **err);

#endif
