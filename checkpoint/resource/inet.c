// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP and UDP sockets without a conversation: new, bound, listening. What is
 * established comes back as reset if the user allows it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "util/error.h"

enum { TCP_STATE_CLOSE = 7, TCP_STATE_LISTEN = 10 };

#define BACKLOG_MAX 65535

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static bool matches(const struct description *d)
{
	return description_is_socket(d, AF_INET) || description_is_socket(d, AF_INET6);
}

static void print_address(const union address *a, char *text, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "";

	if (a->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof(host));
		snprintf(text, size, "[%s]:%u", host, ntohs(a->in6.sin6_port));
	} else {
		inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof(host));
		snprintf(text, size, "%s:%u", host, ntohs(a->in.sin_port));
	}
}

static bool has_port(const union address *a)
{
	return a->any.sa_family == AF_INET6 ? a->in6.sin6_port : a->in.sin_port;
}

static bool has_host(const union address *a)
{
	static const struct in6_addr any = IN6ADDR_ANY_INIT;

	if (a->any.sa_family == AF_INET6)
		return memcmp(&a->in6.sin6_addr, &any, sizeof(any)) != 0;
	return a->in.sin_addr.s_addr != 0;
}

static int get_int(int fd, int name)
{
	socklen_t len = sizeof(int);
	int value = 0;

	getsockopt(fd, SOL_SOCKET, name, &value, &len);
	return value;
}

struct inet_state {
	struct ckpt_inet rec;
	union address local, remote;
};

static void find_out(const struct description *d, struct inet_state *s, struct tcp_info *info)
{
	socklen_t len = sizeof(s->local);

	s->rec.family = get_int(d->fd, SO_DOMAIN);
	s->rec.type = get_int(d->fd, SO_TYPE);
	s->rec.protocol = get_int(d->fd, SO_PROTOCOL);
	if (getsockname(d->fd, &s->local.any, &len))
		s->local.any.sa_family = s->rec.family;
	len = sizeof(s->remote);
	if (getpeername(d->fd, &s->remote.any, &len))
		s->remote.any.sa_family = 0;
	len = sizeof(*info);
	memset(info, 0, sizeof(*info));
	if (s->rec.type == SOCK_STREAM && getsockopt(d->fd, IPPROTO_TCP, TCP_INFO, info, &len))
		info->tcpi_state = 0;
}

static int admit_tcp(struct checkpoint *c, struct description *d, struct inet_state *s,
		     const struct tcp_info *info)
{
	bool allowed = c->request->allow & ALLOW_TCP;
	char address[80];

	if (info->tcpi_state == TCP_STATE_LISTEN) {
		s->rec.state = CKPT_SOCKET_LISTEN;
		/* of a listener the kernel shows its queue in these two, see tcp_get_info() */
		s->rec.backlog = info->tcpi_sacked;
		print_address(&s->local, address, sizeof(address));
		if (info->tcpi_unacked && !allowed)
			return description_block(c, d,
						 "checkpoint with --allow tcp to have them reset",
						 "%u connections waiting to be accepted at TCP %s",
						 info->tcpi_unacked, address);
		return 0;
	}
	if (info->tcpi_state == TCP_STATE_CLOSE) {
		s->rec.state = has_port(&s->local) ? CKPT_SOCKET_BOUND : CKPT_SOCKET_NEW;
		return 0;
	}
	s->rec.state = CKPT_SOCKET_RESET;
	print_address(s->remote.any.sa_family ? &s->remote : &s->local, address, sizeof(address));
	if (allowed)
		return 0;
	return description_block(c, d, "checkpoint with --allow tcp to have it reset",
				 "%s TCP connection %s",
				 s->remote.any.sa_family ? "established" : "ending", address);
}

static int admit_udp(struct checkpoint *c, struct description *d, struct inet_state *s)
{
	uint32_t memory[9] = {0};
	socklen_t len = sizeof(memory);
	char address[80];

	s->rec.state = s->remote.any.sa_family ? CKPT_SOCKET_CONNECTED
		       : has_port(&s->local)   ? CKPT_SOCKET_BOUND
					       : CKPT_SOCKET_NEW;
	getsockopt(d->fd, SOL_SOCKET, SO_MEMINFO, memory, &len);
	if (!memory[0])
		return 0;
	print_address(&s->local, address, sizeof(address));
	return description_block(c, d, "let the program read them first",
				 "UDP socket %s with datagrams that were not read", address);
}

static int inet_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	struct inet_state *s = calloc(1, sizeof(*s));
	struct tcp_info info;
	int r;

	if (!s)
		return error_errno(err, ENOMEM, "looking at a socket");
	d->state = s;
	d->state_free = free;
	r = socket_admit(c, d, err);
	if (r)
		return r < 0 ? r : 0;
	find_out(d, s, &info);
	if (s->rec.protocol == IPPROTO_TCP && s->rec.type == SOCK_STREAM)
		return admit_tcp(c, d, s, &info);
	if (s->rec.protocol == IPPROTO_UDP && s->rec.type == SOCK_DGRAM)
		return admit_udp(c, d, s);
	return description_block(c, d, "close it for the checkpoint", "socket of protocol %u",
				 s->rec.protocol);
}

static int inet_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	struct inet_state *s = d->state;
	int r = socket_save_options(d->fd, &s->rec.options, err);

	if (r)
		return r;
	s->rec.id = d->id;
	s->rec.open_flags = d->open_flags;
	memcpy(s->rec.local, &s->local, sizeof(s->rec.local));
	memcpy(s->rec.remote, &s->remote, sizeof(s->rec.remote));
	if (!record_add(&c->records, CKPT_INET, &s->rec, sizeof(s->rec)))
		return error_errno(err, ENOMEM, "recording a socket");
	return 0;
}

/* --- a restore --- */

static int inet_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	bool tcp = rec->type == SOCK_STREAM && rec->protocol == IPPROTO_TCP;
	bool udp = rec->type == SOCK_DGRAM && rec->protocol == IPPROTO_UDP;
	union address local;

	memcpy(&local, rec->local, sizeof(rec->local));
	if (o->tail_len || (rec->family != AF_INET && rec->family != AF_INET6) || (!tcp && !udp) ||
	    rec->state > CKPT_SOCKET_RESET ||
	    (tcp ? rec->state == CKPT_SOCKET_CONNECTED : rec->state == CKPT_SOCKET_LISTEN) ||
	    (udp && rec->state == CKPT_SOCKET_RESET) || local.any.sa_family != rec->family)
		return error_set(err, EBADMSG, "socket %u is malformed", o->id);
	return 0;
}

/*
 * Leaves what a connection leaves behind that was reset: an error for the next
 * call, and poll says so. A connection in repair mode sends nothing.
 */
static void make_reset(int fd, const struct ckpt_inet *rec)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	union address to;
	int on = TCP_REPAIR_ON, off = TCP_REPAIR_OFF_NO_WP;

	memcpy(&to, rec->remote, sizeof(rec->remote));
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)))
		return;
	if (connect(fd, &to.any, rec->family == AF_INET6 ? sizeof(to.in6) : sizeof(to.in))) {
		/* no way there from here: the other end does not matter any more */
		to = (union address){.in = {.sin_family = AF_INET,
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

static int bind_and_more(int fd, const struct ckpt_inet *rec, struct error **err)
{
	union address local, remote;
	socklen_t len = rec->family == AF_INET6 ? sizeof(local.in6) : sizeof(local.in);
	char text[80];
	int on = 1;

	memcpy(&local, rec->local, sizeof(rec->local));
	memcpy(&remote, rec->remote, sizeof(rec->remote));
	print_address(&local, text, sizeof(text));
	/* the remains of old connections must not keep the port */
	if (rec->type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if ((has_port(&local) || has_host(&local)) && bind(fd, &local.any, len)) {
		error_errno(err, errno, "binding a socket to %s", text);
		return error_hint(err, "the address or port is taken, or not there");
	}
	if (rec->state == CKPT_SOCKET_CONNECTED && connect(fd, &remote.any, len)) {
		print_address(&remote, text, sizeof(text));
		return error_errno(err, errno, "connecting a UDP socket to %s", text);
	}
	if (rec->state == CKPT_SOCKET_LISTEN &&
	    listen(fd, rec->backlog > BACKLOG_MAX ? BACKLOG_MAX : rec->backlog))
		return error_errno(err, errno, "listening at %s", text);
	if (rec->type == SOCK_STREAM && rec->options.known[0] & 1)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &rec->options.values[0],
			   sizeof(rec->options.values[0]));
	return 0;
}

static int inet_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	int ret = socket_make(r->request->init, rec->family, rec->type, rec->protocol, &o->fd, err);

	if (!ret)
		ret = socket_load_options(o->fd, &rec->options, err);
	if (!ret && rec->state == CKPT_SOCKET_RESET)
		make_reset(o->fd, rec);
	else if (!ret && rec->state != CKPT_SOCKET_NEW)
		ret = bind_and_more(o->fd, rec, err);
	return ret ? ret : files_set_flags(o->fd, rec->open_flags, err);
}

const struct file_kind file_kind_inet = {
	.type = CKPT_INET,
	.size = sizeof(struct ckpt_inet),
	.matches = matches,
	.admit = inet_admit,
	.dump = inet_dump,
	.load = inet_load,
	.open = inet_open,
};
