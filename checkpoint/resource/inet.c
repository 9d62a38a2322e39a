// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP and UDP sockets without a conversation: new, bound, listening. What is
 * established comes back as reset if the user allows it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checkpoint/resource/inet.h"
#include "util/cleanup.h"
#include "util/error.h"

#define BACKLOG_MAX 65535
/* of socket.c's options, whose order is the format's */
#define REUSEADDR 0
#define REUSEPORT 1

static bool matches(const struct description *d)
{
	return description_is_socket(d, AF_INET) || description_is_socket(d, AF_INET6);
}

void inet_print(const union inet_address *a, char text[INET_TEXT])
{
	char host[INET6_ADDRSTRLEN] = "";

	if (a->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof(host));
		snprintf(text, INET_TEXT, "[%s]:%u", host, ntohs(a->in6.sin6_port));
	} else {
		inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof(host));
		snprintf(text, INET_TEXT, "%s:%u", host, ntohs(a->in.sin_port));
	}
}

bool inet_has_port(const union inet_address *a)
{
	return a->any.sa_family == AF_INET6 ? a->in6.sin6_port : a->in.sin_port;
}

bool inet_has_host(const union inet_address *a)
{
	static const struct in6_addr any = IN6ADDR_ANY_INIT;

	if (a->any.sa_family == AF_INET6)
		return memcmp(&a->in6.sin6_addr, &any, sizeof(any)) != 0;
	return a->in.sin_addr.s_addr != 0;
}

socklen_t inet_size(const union inet_address *a)
{
	return a->any.sa_family == AF_INET6 ? sizeof(a->in6) : sizeof(a->in);
}

static void find_out(const struct description *d, struct inet_state *s)
{
	socklen_t len = sizeof(s->local);

	s->rec.family = socket_get_int(d->fd, SOL_SOCKET, SO_DOMAIN);
	s->rec.type = socket_get_int(d->fd, SOL_SOCKET, SO_TYPE);
	s->rec.protocol = socket_get_int(d->fd, SOL_SOCKET, SO_PROTOCOL);
	if (getsockname(d->fd, &s->local.any, &len))
		s->local.any.sa_family = s->rec.family;
	len = inet_size(&s->local); /* exactly, for SO_PEERNAME */
	/* that of a connection that has ended is still known, but not as a peer's */
	if (getpeername(d->fd, &s->remote.any, &len) &&
	    getsockopt(d->fd, SOL_SOCKET, SO_PEERNAME, &s->remote, &len))
		s->remote.any.sa_family = 0;
}

/* UDP, ICMP's echoes ("ping sockets"), raw: which all are datagrams. */
static bool is_datagram(uint32_t type, uint32_t protocol)
{
	return type == SOCK_RAW ||
	       (type == SOCK_DGRAM && (protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE ||
				       protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6));
}

static int inet_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	struct inet_state *s;
	int r = socket_admit_state(c, d, sizeof(*s), err);

	if (r)
		return r < 0 ? r : 0;
	s = d->state;
	find_out(d, s);
	if (s->rec.protocol == IPPROTO_TCP && s->rec.type == SOCK_STREAM)
		return tcp_admit(c, d, s, err);
	if (is_datagram(s->rec.type, s->rec.protocol))
		return udp_admit(c, d, s, err);
	return description_block(c, d, "close it for the checkpoint", "socket of protocol %u",
				 s->rec.protocol);
}

static int save_icmp6(int fd, struct inet_state *s, struct error **err)
{
	struct icmp6_filter filter;
	socklen_t len = sizeof(filter);

	if (s->rec.type != SOCK_RAW || s->rec.protocol != IPPROTO_ICMPV6 ||
	    getsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, &len))
		return 0;
	return items_add(&s->items, CKPT_ITEM_ICMP6, &filter, sizeof(filter))
		       ? error_errno(err, ENOMEM, "recording a socket")
		       : 0;
}

/* What IP_FREEBIND had allowed: that may have been taken back. */
static int find_absent(struct checkpoint *c, struct inet_state *s, struct error **err)
{
	union inet_address any_port = s->local;
	__cleanup_fd int fd = -1;
	int r;

	if (!inet_has_host(&s->local) || s->rec.state == CKPT_SOCKET_KEPT ||
	    s->rec.state == CKPT_SOCKET_CLOSED)
		return 0;
	r = socket_make(c->init, s->rec.family, SOCK_DGRAM, 0, &fd, err);
	if (r)
		return r;
	any_port.in.sin_port = 0;
	if (bind(fd, &any_port.any, inet_size(&any_port)) && errno == EADDRNOTAVAIL)
		s->rec.flags |= CKPT_INET_ABSENT;
	return 0;
}

static int find_flags(struct checkpoint *c, struct description *d, struct error **err)
{
	struct inet_state *s = d->state;
	uint32_t halves = 0;
	int r = find_absent(c, s, err);

	if (!r && s->rec.type == SOCK_DGRAM &&
	    (s->rec.protocol == IPPROTO_UDP || s->rec.protocol == IPPROTO_UDPLITE))
		r = inet_diag_shutdown(c->init, s, d->fd, &halves, err);
	s->rec.flags |= halves & (CKPT_INET_SHUT_RECEIVE | CKPT_INET_SHUT_SEND);
	return r;
}

static int inet_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	struct inet_state *s = d->state;
	int r = socket_save_options(d->fd, &s->rec.options, err);

	if (!r)
		r = find_flags(c, d, err);
	if (!r && s->rec.state == CKPT_SOCKET_KEPT)
		r = tcp_dump(d, s, err);
	if (!r)
		r = socket_save_extras(d->fd, &s->items, err);
	if (!r && s->rec.type != SOCK_STREAM)
		r = multicast_save(c, d->fd, s, err);
	if (!r)
		r = save_icmp6(d->fd, s, err);
	if (r)
		return r;
	s->rec.id = d->id;
	s->rec.open_flags = d->open_flags;
	memcpy(s->rec.local, &s->local, sizeof(s->rec.local));
	memcpy(s->rec.remote, &s->remote, sizeof(s->rec.remote));
	if (!record_add2(&c->records, CKPT_INET, &s->rec, sizeof(s->rec), s->items.data,
			 s->items.len))
		return error_errno(err, ENOMEM, "recording a socket");
	return 0;
}

/* --- a restore --- */

static int inet_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	bool tcp = rec->type == SOCK_STREAM && rec->protocol == IPPROTO_TCP;
	bool udp = is_datagram(rec->type, rec->protocol);
	union inet_address local;
	int ret;

	memcpy(&local, rec->local, sizeof(rec->local));
	if (!items_valid(o) || (rec->family != AF_INET && rec->family != AF_INET6) ||
	    (!tcp && !udp) || rec->state > CKPT_SOCKET_CLOSED ||
	    (tcp ? rec->state == CKPT_SOCKET_CONNECTED : rec->state == CKPT_SOCKET_LISTEN) ||
	    rec->flags & ~(CKPT_INET_SHUT_RECEIVE | CKPT_INET_SHUT_SEND | CKPT_INET_ABSENT) ||
	    (udp && rec->state >= CKPT_SOCKET_RESET) || local.any.sa_family != rec->family)
		return error_set(err, EBADMSG, "socket %u is malformed", o->id);
	ret = socket_check_allowed(r, rec->type, &rec->options, err);
	if (ret)
		return ret;
	return tcp ? tcp_load(o, err) : udp_load(o, err);
}

/*
 * Leaves what a connection leaves behind that was reset: an error for the next
 * call, and poll says so. A connection in repair mode sends nothing.
 */
static void make_reset(int fd, const struct ckpt_inet *rec)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	union inet_address to;
	int on = TCP_REPAIR_ON, off = TCP_REPAIR_OFF_NO_WP;

	memcpy(&to, rec->remote, sizeof(rec->remote));
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)))
		return;
	if (connect(fd, &to.any, rec->family == AF_INET6 ? sizeof(to.in6) : sizeof(to.in))) {
		/* no way there from here: the other end does not matter any more */
		to = (union inet_address){.in = {.sin_family = AF_INET,
						 .sin_port = htons(1),
						 .sin_addr = {htonl(INADDR_LOOPBACK)}}};
		if (rec->family == AF_INET6)
			to.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
						       .sin6_port = htons(1),
						       .sin6_addr = IN6ADDR_LOOPBACK_INIT};
		connect(fd, &to.any, rec->family == AF_INET6 ? sizeof(to.in6) : sizeof(to.in));
	}
	connect(fd, &none, sizeof(none));
	setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off));
}

/* The option is as it was afterwards, however that was. */
static int bind_absent(int fd, const union inet_address *local)
{
	int before = socket_get_int(fd, IPPROTO_IP, IP_FREEBIND), on = 1, r;

	setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
	r = bind(fd, &local->any, inet_size(local));
	setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &before, sizeof(before));
	return r;
}

int inet_bind(const struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	union inet_address local;
	char text[INET_TEXT];

	memcpy(&local, rec->local, sizeof(rec->local));
	if ((!inet_has_port(&local) && !inet_has_host(&local)) ||
	    !bind(o->fd, &local.any, inet_size(&local)) ||
	    (rec->flags & CKPT_INET_ABSENT && errno == EADDRNOTAVAIL &&
	     !bind_absent(o->fd, &local)))
		return 0;
	inet_print(&local, text);
	error_errno(err, errno, "binding a socket to %s", text);
	return error_hint(err, "the address or port is taken, or not there");
}

/* Somebody else's port, too: both must have allowed that when they were bound. */
static bool shares_port(const struct restore *r, const struct file_object *o)
{
	const struct ckpt_inet *rec = o->rec;
	union inet_address a, b;

	memcpy(&a, rec->local, sizeof(rec->local));
	vec_for_each (other, &r->files->objects) {
		const struct ckpt_inet *theirs = other->rec;

		if (other == o || other->kind != &file_kind_inet || theirs->type != SOCK_STREAM ||
		    (theirs->state != CKPT_SOCKET_LISTEN && theirs->state != CKPT_SOCKET_BOUND) ||
		    !theirs->options.values[REUSEPORT])
			continue;
		memcpy(&b, theirs->local, sizeof(theirs->local));
		if (a.in.sin_port == b.in.sin_port)
			return true;
	}
	return false;
}

static int bind_and_more(const struct restore *r, const struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	bool tcp = rec->type == SOCK_STREAM;
	union inet_address remote;
	char text[INET_TEXT];
	int on = 1, ret;

	memcpy(&remote, rec->remote, sizeof(rec->remote));
	/* the remains of old connections must not keep the port */
	if (tcp)
		setsockopt(o->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (tcp && shares_port(r, o))
		setsockopt(o->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	ret = inet_bind(o, err);
	if (!ret && rec->state == CKPT_SOCKET_CONNECTED &&
	    connect(o->fd, &remote.any, inet_size(&remote))) {
		inet_print(&remote, text);
		ret = error_errno(err, errno, "connecting a UDP socket to %s", text);
	}
	if (!ret && rec->state == CKPT_SOCKET_LISTEN &&
	    listen(o->fd, rec->backlog > BACKLOG_MAX ? BACKLOG_MAX : rec->backlog))
		ret = error_errno(err, errno, "listening at a TCP port");
	if (tcp && rec->options.known[0] >> REUSEADDR & 1)
		setsockopt(o->fd, SOL_SOCKET, SO_REUSEADDR, &rec->options.values[REUSEADDR],
			   sizeof(rec->options.values[REUSEADDR]));
	return ret;
}

#define STRAYS_MAX 1024

static int load_icmp6(const struct file_object *o, struct error **err)
{
	size_t len;
	const void *filter = items_find(o, CKPT_ITEM_ICMP6, NULL, &len);

	if (!filter)
		return 0;
	if (setsockopt(o->fd, IPPROTO_ICMPV6, ICMP6_FILTER, filter, len))
		return error_errno(err, errno, "setting the ICMPv6 filter of a socket");
	/* what has come before the filter; of its own it had nothing, or would have been refused */
	for (unsigned i = 0; i < STRAYS_MAX; i++)
		if (recv(o->fd, NULL, 0, MSG_DONTWAIT) < 0)
			break;
	return 0;
}

static int inet_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	bool reset = rec->state == CKPT_SOCKET_RESET ||
		     (rec->state == CKPT_SOCKET_KEPT && r->request->reset_tcp);
	int ret = socket_make(r->init, rec->family, rec->type, rec->protocol, &o->fd, err);

	if (!ret)
		ret = socket_load_options(o->fd, &rec->options, err);
	if (!ret)
		ret = socket_load_device(o, err);
	if (!ret && reset)
		make_reset(o->fd, rec);
	else if (!ret && rec->state == CKPT_SOCKET_KEPT)
		ret = tcp_open(r, o, err);
	else if (!ret && rec->state == CKPT_SOCKET_CLOSED)
		tcp_open_closed(r, o);
	else if (!ret && rec->state != CKPT_SOCKET_NEW)
		ret = bind_and_more(r, o, err);
	if (!ret)
		ret = multicast_load(o, err);
	if (!ret)
		ret = load_icmp6(o, err);
	return ret ? ret : files_set_flags(o->fd, rec->open_flags, err);
}

/* One that is not connected says so, and is shut down all the same (inet_shutdown()). */
static void shut_halves(const struct file_object *o)
{
	const struct ckpt_inet *rec = o->rec;
	uint32_t halves = rec->flags & (CKPT_INET_SHUT_RECEIVE | CKPT_INET_SHUT_SEND);

	if (halves)
		shutdown(o->fd, halves - 1);
}

/* Of which the record may say that it was taken back, once bound: see bind_and_more(). */
static int settle_reuseport(const struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	int wanted = rec->options.values[REUSEPORT];

	if (!(rec->options.known[0] >> REUSEPORT & 1) ||
	    socket_get_int(o->fd, SOL_SOCKET, SO_REUSEPORT) == wanted)
		return 0;
	if (setsockopt(o->fd, SOL_SOCKET, SO_REUSEPORT, &wanted, sizeof(wanted)))
		return error_errno(err, errno, "setting SO_REUSEPORT");
	return 0;
}

/* When all sockets are there; the filter last, for what is in the queue has passed it. */
static int inet_cross(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	int ret = udp_fill(r, o, err);

	if (!ret)
		shut_halves(o);
	if (!ret && rec->type == SOCK_STREAM)
		ret = settle_reuseport(o, err);
	return ret ? ret : socket_load_filter(o, err);
}

const struct file_kind file_kind_inet = {
	.type = CKPT_INET,
	.size = sizeof(struct ckpt_inet),
	.matches = matches,
	.admit = inet_admit,
	.dump = inet_dump,
	.load = inet_load,
	.open = inet_open,
	.cross = inet_cross,
};
