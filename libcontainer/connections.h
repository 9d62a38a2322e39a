/* SPDX-License-Identifier: GPL-2.0-only */
/* TCP connections that a checkpoint which was killed has left out of order. */
#ifndef FIRN_LIBCONTAINER_CONNECTIONS_H
#define FIRN_LIBCONTAINER_CONNECTIONS_H

struct container;
struct oci_config;

/*
 * For the container that goes on: its packets are not held back any more, and its
 * sockets not in repair mode. What does not work is logged: it is no reason to leave it frozen.
 */
void connections_recover(const struct container *c);

/* For one that is deleted: removes the table of a checkpoint from a namespace that it had joined.
 */
void connections_forget(const struct oci_config *config, const char *id);

#endif
