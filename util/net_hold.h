/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP connections held back: a table of nf_tables in their network namespace drops
 * what comes and goes, so that neither end learns that the other one is away. See
 * nft(8) and linux/netfilter/nf_tables.h; the messages are ours, by libmnl.
 */
#ifndef FIRN_UTIL_NET_HOLD_H
#define FIRN_UTIL_NET_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/* One connection; ports in network byte order, IPv4 addresses are the first four bytes. */
struct net_tuple {
	int family; /* AF_INET, AF_INET6 */
	uint8_t local[16], remote[16];
	uint16_t local_port, remote_port;
};

struct net_hold;

/* Packets with this mark (SO_MARK) get through. */
#define NET_HOLD_MARK 0x6e726966

/*
 * Makes the table in the network namespace of the descriptor netns. With hold it
 * is the caller's alone and goes with *hold or with this process, however that
 * ends (NFT_TABLE_F_OWNER, Linux 5.12); without it stays until it is removed. A table of that name
 * that is there already is replaced. ports: of listeners; new connections to them wait too.
 */
int net_hold_create(int netns, const char *name, const struct net_tuple *tuples, size_t count,
		    const uint16_t *ports, size_t port_count, struct net_hold **hold,
		    struct error **err);

/* Lets everything through again. hold may be NULL. */
void net_hold_drop(struct net_hold *hold);

/* Removes a table that stayed; none of that name is success. */
int net_hold_remove(int netns, const char *name, struct error **err);

/* The name of the table that outlives a container with this id. name: of NET_HOLD_NAME bytes. */
#define NET_HOLD_NAME 240
void net_hold_name(const char *id, char *name);
bool net_hold_name_valid(const char *name);

#endif
