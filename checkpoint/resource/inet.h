/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sockets of the Internet families: inet.c has what all have, tcp.c and
 * tcp_restore.c the connections, inet_hold.c what keeps their packets back.
 */
#ifndef FIRN_RESOURCE_INET_H
#define FIRN_RESOURCE_INET_H

#include <netinet/in.h>

#include "checkpoint/resource/files.h"
#include "util/net_hold.h"

union inet_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* "10.0.0.1:80", "[::1]:80" */
#define INET_TEXT 80
void inet_print(const union inet_address *a, char text[INET_TEXT]);
bool inet_has_port(const union inet_address *a);
bool inet_has_host(const union inet_address *a);
socklen_t inet_size(const union inet_address *a);

/* --- a checkpoint --- */

struct inet_state {
	struct buf items; /* first */
	struct ckpt_inet rec;
	union inet_address local, remote;
	bool repaired; /* the original is in repair mode */
	int reuse;     /* its SO_REUSEADDR, which leaving that mode takes away */
};

/* CKPT_INET_SHUT_* of a datagram socket. */
int inet_diag_shutdown(pid_t init, const struct inet_state *s, int fd, uint32_t *halves,
		       struct error **err);

int tcp_admit(struct checkpoint *c, struct description *d, struct inet_state *s,
	      struct error **err);

/* Adds the items of a connection; packets are held back, so that it stays true. */
int tcp_dump(struct description *d, struct inet_state *s, struct error **err);

/* Repair mode: what is closed then says nothing to the other end. */
int tcp_repair(int fd, int mode, struct error **err);

/* --- a restore --- */

/* 0 if what belongs to a connection is there and can be. */
int tcp_load(const struct file_object *o, struct error **err);
int tcp_open(struct restore *r, struct file_object *o, struct error **err);
/* A connection that has ended: reads see the end, writes EPIPE, and it knows with whom it was. */
void tcp_open_closed(struct restore *r, struct file_object *o);
int inet_bind(const struct file_object *o, struct error **err);

/* Out of repair mode: the connection goes on. */
int tcp_go_on(const struct file_object *o, struct error **err);

/*
 * A segment of TCP or UDP to a socket of the container as if from `sender`; its checksum is filled
 * in. What holds packets back lets it through.
 */
int inet_inject(struct restore *r, const union inet_address *sender,
		const union inet_address *receiver, int protocol, void *segment, size_t len,
		size_t checksum_at, struct error **err);

/* --- datagrams, multicast groups: udp.c, multicast.c --- */

int udp_admit(struct checkpoint *c, struct description *d, struct inet_state *s,
	      struct error **err);
int udp_load(const struct file_object *o, struct error **err);
int udp_fill(struct restore *r, struct file_object *o, struct error **err);

int multicast_save(struct checkpoint *c, int fd, struct inet_state *s, struct error **err);
int multicast_load(const struct file_object *o, struct error **err);

/* --- packets held back --- */

int inet_hold_save(struct checkpoint *c, struct error **err);
int inet_hold_load(struct restore *r, struct error **err);

#endif
