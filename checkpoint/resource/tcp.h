/* SPDX-License-Identifier: GPL-2.0-only */
/* States of TCP connections, as masks of 1 << state. */
#ifndef FIRN_RESOURCE_TCP_H
#define FIRN_RESOURCE_TCP_H

/* include/net/tcp_states.h of the kernel; netinet/tcp.h, which has them too, and linux/tcp.h
 * exclude each other */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_FIN_WAIT1 = 4,
	TCP_FIN_WAIT2 = 5,
	TCP_CLOSE = 7,
	TCP_CLOSE_WAIT = 8,
	TCP_LAST_ACK = 9,
	TCP_LISTEN = 10,
	TCP_CLOSING = 11,
};

/* option kinds, RFC 9293 and 7323 */
enum {
	TCP_OPTION_MSS = 2,
	TCP_OPTION_WINDOW = 3,
	TCP_OPTION_SACK = 4,
	TCP_OPTION_TIMESTAMP = 8,
};

/* A FIN of ours is in the queue, or was sent, or was acknowledged. */
#define TCP_SENT_FIN                                                                               \
	(1u << TCP_FIN_WAIT1 | 1u << TCP_FIN_WAIT2 | 1u << TCP_LAST_ACK | 1u << TCP_CLOSING)
/* The other end's FIN has come. */
#define TCP_GOT_FIN	(1u << TCP_CLOSE_WAIT | 1u << TCP_LAST_ACK | 1u << TCP_CLOSING)
#define TCP_KEPT_STATES (1u << TCP_ESTABLISHED | TCP_SENT_FIN | TCP_GOT_FIN)

#endif
