// SPDX-License-Identifier: GPL-2.0-only
/*
 * Datagrams that were not read, looked at with MSG_PEEK at growing offsets. They
 * come again as packets from who had sent them.
 */
#include <errno.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint/resource/inet.h"
#include "util/cleanup.h"
#include "util/error.h"

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
#define DATAGRAM_MAX 65535

struct peeked {
	struct ckpt_datagram head;
	char data[DATAGRAM_MAX];
};

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static uint32_t queued_memory(int fd)
{
	uint32_t memory[9] = {0};
	socklen_t len = sizeof(memory);

	return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &len) ? 0 : memory[0];
}

/* A broadcast address takes a connection only with SO_BROADCAST. */
static bool is_broadcast(pid_t init, const union inet_address *to)
{
	struct error *err = NULL;
	__cleanup_fd int fd = -1;
	bool refused;

	if (socket_make(init, AF_INET, SOCK_DGRAM, 0, &fd, &err)) {
		error_free(err);
		return true;
	}
	refused = connect(fd, &to->any, inet_size(to)) && errno == EACCES;
	return refused;
}

/* Where it was sent to; false: not to this host alone. */
static bool find_receiver(pid_t init, struct msghdr *msg, const struct inet_state *s,
			  union inet_address *to)
{
	for (struct cmsghdr *m = CMSG_FIRSTHDR(msg); m; m = CMSG_NXTHDR(msg, m)) {
		if (m->cmsg_level == IPPROTO_IP && m->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(m), sizeof(info));
			to->in = (struct sockaddr_in){.sin_family = AF_INET,
						      .sin_addr = info.ipi_addr,
						      .sin_port = s->local.in.sin_port};
			if (s->rec.family == AF_INET)
				return !IN_MULTICAST(ntohl(info.ipi_addr.s_addr)) &&
				       (info.ipi_addr.s_addr == s->local.in.sin_addr.s_addr ||
					!is_broadcast(init, to));
		} else if (m->cmsg_level == IPPROTO_IPV6 && m->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(m), sizeof(info));
			to->in6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
							.sin6_addr = info.ipi6_addr,
							.sin6_port = s->local.in6.sin6_port};
			return !IN6_IS_ADDR_MULTICAST(&info.ipi6_addr) &&
			       !IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr);
		}
	}
	return false;
}

/* 1: something was there; 0: nothing (more); -ENOTSUP: it cannot be sent again. */
static int peek(pid_t init, int fd, const struct inet_state *s, struct peeked *p, size_t *len,
		struct error **err)
{
	char control[512] __attribute__((aligned(8)));
	union inet_address from = {0}, to = {0};
	struct iovec iov = {p->data, sizeof(p->data)};
	struct msghdr msg = {.msg_name = &from,
			     .msg_namelen = sizeof(from),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	ssize_t n;

	do
		n = recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0
				       : error_errno(err, errno, "reading a UDP socket's queue");
	*len = n;
	if (!find_receiver(init, &msg, s, &to))
		return -ENOTSUP;
	memcpy(p->head.from, &from, sizeof(p->head.from));
	memcpy(p->head.to, &to, sizeof(p->head.to));
	return 1;
}

static int save_queue(pid_t init, int fd, struct inet_state *s, struct peeked *p,
		      struct error **err)
{
	size_t len = 0;
	/* without an offset the first one is shown even if it is empty and was looked at */
	int r = peek(init, fd, s, p, &len, err);

	if (r == 1 && !len)
		r = items_add(&s->items, CKPT_ITEM_DATAGRAM, p, sizeof(p->head));
	if (r >= 0 && set_int(fd, SOL_SOCKET, SO_PEEK_OFF, 0))
		return error_errno(err, errno, "reading a UDP socket's queue");
	while (r >= 0 && (r = peek(init, fd, s, p, &len, err)) > 0)
		r = items_add(&s->items, CKPT_ITEM_DATAGRAM, p, sizeof(p->head) + len);
	return r;
}

/* A packet could reach another socket than it did. */
static bool shares_port(const struct checkpoint *c, const struct description *d,
			const struct inet_state *s)
{
	for (size_t i = 0; i < c->files->descriptions.count; i++) {
		const struct description *other = c->files->descriptions.items[i];
		union inet_address a = {0};
		socklen_t len = sizeof(a);

		if (other != d && other->kind == &file_kind_inet &&
		    socket_get_int(other->fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM &&
		    !getsockname(other->fd, &a.any, &len) && a.in.sin_port == s->local.in.sin_port)
			return true;
	}
	return false;
}

static int block(struct checkpoint *c, struct description *d, const struct inet_state *s,
		 const char *what)
{
	char address[INET_TEXT];

	inet_print(&s->local, address);
	return description_block(c, d, "let the program read them first", "UDP socket %s %s",
				 address, what);
}

static int read_queue(struct checkpoint *c, struct description *d, struct inet_state *s,
		      struct error **err)
{
	bool v6 = s->rec.family == AF_INET6;
	int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP, name = v6 ? IPV6_RECVPKTINFO : IP_PKTINFO;
	int info = socket_get_int(d->fd, level, name);
	int offset = socket_get_int(d->fd, SOL_SOCKET, SO_PEEK_OFF);
	__cleanup_free struct peeked *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return error_errno(err, ENOMEM, "reading a UDP socket's queue");
	set_int(d->fd, level, name, 1);
	set_int(d->fd, SOL_SOCKET, SO_PEEK_OFF, -1);
	r = save_queue(c->init, d->fd, s, p, err);
	set_int(d->fd, SOL_SOCKET, SO_PEEK_OFF, offset);
	set_int(d->fd, level, name, info);
	if (r == -ENOMEM && !*err)
		return error_errno(err, ENOMEM, "reading a UDP socket's queue");
	if (r == -ENOTSUP)
		return block(c, d, s, "with unread datagrams that were sent to many");
	if (!r && s->items.len && shares_port(c, d, s))
		return block(c, d, s, "with unread datagrams, that shares its port");
	return r;
}

int udp_admit(struct checkpoint *c, struct description *d, struct inet_state *s, struct error **err)
{
	struct pollfd p = {.fd = d->fd, .events = POLLIN};
	char device[16] = "";
	socklen_t len = sizeof(device);

	s->rec.state = s->remote.any.sa_family	  ? CKPT_SOCKET_CONNECTED
		       : inet_has_port(&s->local) ? CKPT_SOCKET_BOUND
						  : CKPT_SOCKET_NEW;
	if (poll(&p, 1, 0) != 1)
		return 0;
	/* looking would take the error */
	if (p.revents & POLLERR)
		return block(c, d, s, "with an error that was not read");
	if (!(p.revents & POLLIN))
		return 0;
	/* one that is shut down can always be read, too */
	if ((s->rec.protocol != IPPROTO_UDP || s->rec.type != SOCK_DGRAM) && !queued_memory(d->fd))
		return 0;
	if (s->rec.protocol != IPPROTO_UDP || s->rec.type != SOCK_DGRAM)
		return description_block(c, d, "let the program read them first",
					 "socket of protocol %u with messages that were not read",
					 s->rec.protocol);
	if (socket_get_int(d->fd, IPPROTO_UDP, UDP_GRO) ||
	    socket_get_int(d->fd, IPPROTO_UDP, UDP_ENCAP) ||
	    (!getsockopt(d->fd, SOL_SOCKET, SO_BINDTODEVICE, device, &len) && *device))
		return block(c, d, s,
			     "of a device, with UDP_GRO or UDP_ENCAP, with unread datagrams");
	return read_queue(c, d, s, err);
}

/* --- a restore --- */

int udp_load(const struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	size_t len;

	for (const struct ckpt_datagram *g = NULL;
	     (g = items_find(o, CKPT_ITEM_DATAGRAM, g, &len));) {
		union inet_address from, to;

		if (len < sizeof(*g) || len > sizeof(*g) + DATAGRAM_MAX ||
		    rec->protocol != IPPROTO_UDP || rec->type != SOCK_DGRAM)
			return error_set(err, EBADMSG, "UDP socket %u is malformed", o->id);
		memcpy(&from, g->from, sizeof(g->from));
		memcpy(&to, g->to, sizeof(g->to));
		if (from.any.sa_family != rec->family || to.any.sa_family != rec->family)
			return error_set(err, EBADMSG, "UDP socket %u is malformed", o->id);
	}
	return 0;
}

/* The kernel may hand it over a little later; the next must not overtake it. */
static int wait_for(int fd, uint32_t before, struct error **err)
{
	struct timespec ms = {0, 1000000};

	for (int i = 0; i < 5000; i++) {
		if (queued_memory(fd) != before)
			return 0;
		nanosleep(&ms, NULL);
	}
	return error_set(err, EIO, "a datagram did not arrive at its socket");
}

int udp_fill(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	struct {
		struct udphdr udp;
		char data[DATAGRAM_MAX];
	} * segment;
	int large = 1 << 29, ret = 0;
	size_t len;

	if (!items_find(o, CKPT_ITEM_DATAGRAM, NULL, &len))
		return 0;
	segment = calloc(1, sizeof(*segment));
	if (!segment)
		return error_errno(err, ENOMEM, "filling a UDP socket's queue");
	setsockopt(o->fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
	for (const struct ckpt_datagram *g = NULL;
	     !ret && (g = items_find(o, CKPT_ITEM_DATAGRAM, g, &len));) {
		uint32_t before = queued_memory(o->fd);
		union inet_address from, to;
		size_t size = len - sizeof(*g) + sizeof(segment->udp);

		memcpy(&from, g->from, sizeof(g->from));
		memcpy(&to, g->to, sizeof(g->to));
		segment->udp = (struct udphdr){
			.source = from.in.sin_port, .dest = to.in.sin_port, .len = htons(size)};
		memcpy(segment->data, g + 1, len - sizeof(*g));
		ret = inet_inject(r, &from, &to, IPPROTO_UDP, segment, size,
				  offsetof(struct udphdr, check), err);
		if (!ret)
			ret = wait_for(o->fd, before, err);
	}
	free(segment);
	return ret ? ret : socket_load_options(o->fd, &rec->options, err);
}
