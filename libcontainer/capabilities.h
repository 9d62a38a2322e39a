/* SPDX-License-Identifier: GPL-2.0-only */
/* The five capability sets of the calling thread. */
#ifndef FIRN_LIBCONTAINER_CAPABILITIES_H
#define FIRN_LIBCONTAINER_CAPABILITIES_H

struct error;
struct oci_capabilities;

/* Drops what is not in the bounding set. Needs CAP_SETPCAP: before the user changes. */
int capabilities_bound(const struct oci_capabilities *caps, struct error **err);

/*
 * Sets the other four. What the kernel or the caller's own permitted set does
 * not have is left out with a warning in the log, as runc does.
 */
int capabilities_set(const struct oci_capabilities *caps, struct error **err);

#endif
