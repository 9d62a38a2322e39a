/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * linux.netDevices: interfaces of the host that become the container's, with their permanent
 * addresses of global scope, and up.
 */
#ifndef FIRN_LIBCONTAINER_NETDEVICES_H
#define FIRN_LIBCONTAINER_NETDEVICES_H

struct error;
struct oci_linux;
struct net_devices; /* what was moved, and how it was before */

/*
 * Moves all into the network namespace of that descriptor, or none: what was moved already goes
 * back. *moved stays NULL if there is nothing to move, and is for net_devices_free().
 */
int net_devices_move(const struct oci_linux *lx, int ns_fd, struct net_devices **moved,
		     struct error **err);

/*
 * Takes them back, as they were: for a create that fails later. A virtual device would else die
 * with the namespace. NULL is fine.
 */
void net_devices_return(struct net_devices *moved);

void net_devices_free(struct net_devices *moved);

#endif
