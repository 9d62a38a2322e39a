/* SPDX-License-Identifier: GPL-2.0-only */
/* How `start` reaches an init that `create` has left behind: a socket in the state directory. */
#ifndef FIRN_LIBCONTAINER_START_H
#define FIRN_LIBCONTAINER_START_H

struct container;
struct error;
struct oci_config;

/* Makes the socket and returns its listening descriptor; the init accepts on it. */
int start_listen(const struct container *c, struct error **err);

/*
 * Lets the init of a created container run its startContainer hooks and its
 * program. Returns when the program runs, or with what kept it from running.
 */
int container_start(const struct container *c, const struct oci_config *config, struct error **err);

#endif
