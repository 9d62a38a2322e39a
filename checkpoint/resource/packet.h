/* SPDX-License-Identifier: GPL-2.0-only */
/* Packet sockets: what packet.c (saving, making) and packet_diag.c (asking) share. */
#ifndef FIRN_RESOURCE_PACKET_H
#define FIRN_RESOURCE_PACKET_H

#include <linux/packet_diag.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/buf.h"

struct error;

/* What only sock_diag(7) tells of a packet socket. */
struct packet_diag {
	uint64_t cookie; /* of the socket */
	bool found;
	bool fanout; /* it is in a group */
	uint32_t protocol;
	struct packet_diag_info info;
	struct packet_diag_ring rx, tx; /* all 0: there is none */
	struct buf members;		/* struct packet_diag_mclist */
};

/* Asks in the network namespace of init. -EOPNOTSUPP: the kernel does not tell. */
int packet_diag_read(pid_t init, struct packet_diag *diag, struct error **err);

#endif
