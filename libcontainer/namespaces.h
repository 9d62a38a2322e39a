/* SPDX-License-Identifier: GPL-2.0-only */
/* Which namespaces a container gets, joins or shares, and user id maps. */
#ifndef FIRN_LIBCONTAINER_NAMESPACES_H
#define FIRN_LIBCONTAINER_NAMESPACES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/buf.h"

struct error;
struct oci_config;
struct oci_id_maps;
struct oci_time_offsets;

struct namespace_fd {
	int type; /* CLONE_NEW* */
	int fd;
};

struct namespace_fds {
	struct namespace_fd *items;
	size_t count, size;
};

/* The word for CLONE_NEW* in /proc/PID/ns ("net"), or "?". */
const char *namespace_name(int type);

/* The CLONE_NEW* of all namespaces that config wants new. */
uint64_t namespaces_new(const struct oci_config *config);

/*
 * Opens those that config names by path, the user namespace first. Checks that
 * each is of the wanted type. The caller closes with namespaces_close().
 */
int namespaces_open(const struct oci_config *config, struct namespace_fds *fds, struct error **err);

/*
 * Opens those of a process that differ from the caller's own, the user
 * namespace first: what exec joins.
 */
int namespaces_open_of(pid_t pid, struct namespace_fds *fds, struct error **err);

/* Joins those of the given types (all: ~0ull), in order. */
int namespaces_join(const struct namespace_fds *fds, uint64_t types, struct error **err);

/*
 * Whether the mount namespace in the list is the runtime's own, or that of process 1, by whatever
 * path it came. A container that joined it would make its root the host's.
 */
bool namespaces_join_host_mounts(const struct namespace_fds *fds);

/* The types in the list, together. */
uint64_t namespaces_types(const struct namespace_fds *fds);

void namespaces_close(struct namespace_fds *fds);
#define __cleanup_namespaces __attribute__((cleanup(namespaces_close)))

/*
 * Moves the calling process, which must have one thread, into a new time
 * namespace with these offsets in nanoseconds to the host's clocks. Offsets
 * are fixed once a process is in it (Linux kernel/time/namespace.c).
 */
int namespaces_enter_new_time(int64_t monotonic, int64_t boottime, struct error **err);

/* The configuration's offsets in nanoseconds; 0 where it has none. */
void namespaces_time_offsets(const struct oci_time_offsets *offsets, int64_t *monotonic,
			     int64_t *boottime);

/* Writes the maps of the new user namespace that a process is in. */
int namespaces_write_maps(pid_t pid, const struct oci_id_maps *uids, const struct oci_id_maps *gids,
			  struct error **err);

/*
 * Writes the id maps of a process in a new user namespace. newuidmap and
 * newgidmap are asked where the caller may not.
 */
int namespaces_map_ids(pid_t pid, const struct oci_config *config, struct error **err);

/*
 * Sets the loopback interface of the caller's network namespace up, as runc and
 * crun do for a new one: programs talk to themselves over it.
 */
int namespaces_loopback_up(struct error **err);

#endif
