// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP and UDP over IPv4 and IPv6: listening, bound and unconnected sockets. A TCP
 * connection is refused, or, when that is allowed, comes back as one that was
 * reset: it reports an error and end of file, and no packet is sent for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"

#define REMEDY_CLOSE "let the program close it for the checkpoint"

/* Bits of struct ckpt_inet's options; the values are those of the image format. */
static const struct {
	int level, name;
	uint32_t bit;
	int family; /* 0: any */
	int type;
} options[] = {
	{SOL_SOCKET, SO_REUSEADDR, 1, 0, 0},
	{SOL_SOCKET, SO_REUSEPORT, 2, 0, 0},
	{IPPROTO_IPV6, IPV6_V6ONLY, 4, AF_INET6, 0},
	{SOL_SOCKET, SO_KEEPALIVE, 8, 0, 0},
	{IPPROTO_TCP, TCP_NODELAY, 16, 0, SOCK_STREAM},
	{SOL_SOCKET, SO_BROADCAST, 32, 0, 0},
	{IPPROTO_IP, IP_FREEBIND, 64, AF_INET, 0},
};
#define OPTION_BITS 127u

static int domain_of(int fd)
{
	int domain = -1;
	socklen_t len = sizeof(domain);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	return domain;
}

static bool matches(const struct description *d)
{
	int domain;

	if (!S_ISSOCK(d->st.st_mode) || d->fd < 0)
		return false;
	domain = domain_of(d->fd);
	return domain == AF_INET || domain == AF_INET6;
}

static int get_int(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, name, &value, &len) ? 0 : value;
}

static uint64_t get_timeout(int fd, int name)
{
	struct timeval tv = {0};
	socklen_t len = sizeof(tv);

	getsockopt(fd, SOL_SOCKET, name, &tv, &len);
	return tv.tv_sec * 1000000000ull + tv.tv_usec * 1000ull;
}

/* --- a checkpoint --- */

static int admit_namespace(struct checkpoint *c, const struct description *d)
{
	__cleanup_fd int ns = ioctl(d->fd, SIOCGSKNS);
	struct stat its, ours;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", c->request->init);
	if (ns < 0 || fstat(ns, &its) || stat(path, &ours) || its.st_ino == ours.st_ino)
		return 0;
	return description_block(c, d, REMEDY_CLOSE, "a socket of another network namespace");
}

static bool has_queue(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC) >= 0;
}

static int admit_tcp(struct checkpoint *c, struct description *d, struct ckpt_inet *rec)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	bool allowed = c->request->allow & ALLOW_TCP;

	if (getsockopt(d->fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return description_block(c, d, REMEDY_CLOSE, "a TCP socket that tells no state");
	if (info.tcpi_state == TCP_LISTEN) {
		rec->state = CKPT_SOCKET_LISTEN;
		rec->backlog = info.tcpi_sacked; /* of a listener: the limit; unacked: the queue */
		if (info.tcpi_unacked && !allowed)
			return description_block(
				c, d,
				"checkpoint when they are accepted, or --allow tcp resets them",
				"%u connections that wait to be accepted", info.tcpi_unacked);
		return 0;
	}
	if (info.tcpi_state == TCP_CLOSE) {
		rec->state = rec->local[2] || rec->local[3] ? CKPT_SOCKET_BOUND : CKPT_SOCKET_NEW;
		return 0;
	}
	rec->state = CKPT_SOCKET_RESET;
	if (allowed)
		return 0;
	return description_block(c, d, "--allow tcp lets it come back reset",
				 "a TCP connection (%s)", d->link);
}

static int admit_other(struct checkpoint *c, struct description *d, struct ckpt_inet *rec)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	if (rec->type != SOCK_DGRAM || (rec->protocol && rec->protocol != IPPROTO_UDP))
		return description_block(c, d, REMEDY_CLOSE, "a socket of type %u, protocol %u",
					 rec->type, rec->protocol);
	if (has_queue(d->fd))
		return description_block(c, d, "checkpoint when it has been read",
					 "a UDP socket with packets in its queue");
	rec->state = rec->local[2] || rec->local[3] ? CKPT_SOCKET_BOUND : CKPT_SOCKET_NEW;
	if (!getpeername(d->fd, (struct sockaddr *)&peer, &len))
		rec->state = CKPT_SOCKET_CONNECTED;
	return 0;
}

static int inet_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	struct ckpt_inet *rec = calloc(1, sizeof(*rec));
	socklen_t len = sizeof(rec->local);
	int r;

	if (!rec)
		return error_errno(err, ENOMEM, "looking at a socket");
	d->state = rec;
	d->state_free = free;
	*rec = (struct ckpt_inet){
		.id = d->id,
		.open_flags = d->open_flags,
		.family = domain_of(d->fd),
		.type = get_int(d->fd, SOL_SOCKET, SO_TYPE),
		.protocol = get_int(d->fd, SOL_SOCKET, SO_PROTOCOL),
		.rcvtimeo = get_timeout(d->fd, SO_RCVTIMEO),
		.sndtimeo = get_timeout(d->fd, SO_SNDTIMEO),
	};
	getsockname(d->fd, (struct sockaddr *)rec->local, &len);
	len = sizeof(rec->remote);
	getpeername(d->fd, (struct sockaddr *)rec->remote, &len);
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (get_int(d->fd, options[i].level, options[i].name))
			rec->options |= options[i].bit;
	r = admit_namespace(c, d);
	if (r)
		return r;
	return rec->type == SOCK_STREAM ? admit_tcp(c, d, rec) : admit_other(c, d, rec);
}

static int inet_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	if (!record_add(&c->records, CKPT_INET, d->state, sizeof(struct ckpt_inet)))
		return error_errno(err, ENOMEM, "recording a socket");
	return 0;
}

/* --- a restore --- */

static int inet_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;

	if ((rec->family != AF_INET && rec->family != AF_INET6) ||
	    (rec->type != SOCK_STREAM && rec->type != SOCK_DGRAM) ||
	    rec->state > CKPT_SOCKET_RESET || rec->options & ~OPTION_BITS ||
	    rec->backlog > INT32_MAX ||
	    (rec->type == SOCK_DGRAM && rec->state == CKPT_SOCKET_LISTEN))
		return error_set(err, EBADMSG, "socket %u is malformed", o->id);
	return 0;
}

struct socket_request {
	int domain, type, protocol;
	int fd;
};

static int make_socket(void *ctx, struct error **err)
{
	struct socket_request *q = ctx;

	q->fd = socket(q->domain, q->type | SOCK_CLOEXEC, q->protocol);
	return q->fd < 0 ? error_errno(err, errno, "making a socket") : 0;
}

static void set_timeout(int fd, int name, uint64_t ns)
{
	struct timeval tv = {ns / 1000000000, ns % 1000000000 / 1000};

	if (ns)
		setsockopt(fd, SOL_SOCKET, name, &tv, sizeof(tv));
}

static int set_options(int fd, const struct ckpt_inet *rec, struct error **err)
{
	int one = 1;

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		bool wanted = rec->options & options[i].bit;

		if (options[i].name == IPV6_V6ONLY && options[i].level == IPPROTO_IPV6 &&
		    rec->family == AF_INET6) {
			int value = wanted;

			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof(value));
			continue;
		}
		if (wanted && setsockopt(fd, options[i].level, options[i].name, &one, sizeof(one)))
			return error_errno(err, errno, "setting a socket's option %d",
					   options[i].name);
	}
	set_timeout(fd, SO_RCVTIMEO, rec->rcvtimeo);
	set_timeout(fd, SO_SNDTIMEO, rec->sndtimeo);
	return 0;
}

static socklen_t address_len(const struct ckpt_inet *rec)
{
	return rec->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/*
 * In repair mode a connect sends nothing, and a disconnect leaves ECONNABORTED
 * (tcp_disconnect() in net/ipv4/tcp.c). Without a route there is no connect: then
 * the socket is merely unconnected, which ends a program's use of it as well.
 */
static void make_reset(int fd, const struct ckpt_inet *rec)
{
	const struct sockaddr unspecified = {.sa_family = AF_UNSPEC};
	int on = 1, off = 0;

	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)))
		return;
	if (!bind(fd, (const struct sockaddr *)rec->local, address_len(rec)) &&
	    !connect(fd, (const struct sockaddr *)rec->remote, address_len(rec)))
		connect(fd, &unspecified, sizeof(unspecified));
	setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off));
}

static int bind_address(int fd, const struct ckpt_inet *rec, struct error **err)
{
	uint16_t port;

	memcpy(&port, rec->local + 2, sizeof(port));
	if (!bind(fd, (const struct sockaddr *)rec->local, address_len(rec)))
		return 0;
	error_errno(err, errno, "binding port %u", ntohs(port));
	return error_hint(err, "the container's network must have the address, and the port free");
}

static int set_state(int fd, const struct ckpt_inet *rec, struct error **err)
{
	int r = 0;

	if (rec->state == CKPT_SOCKET_RESET) {
		make_reset(fd, rec);
		return 0;
	}
	if (rec->state != CKPT_SOCKET_NEW)
		r = bind_address(fd, rec, err);
	if (!r && rec->state == CKPT_SOCKET_LISTEN && listen(fd, rec->backlog))
		r = error_errno(err, errno, "listening");
	if (!r && rec->state == CKPT_SOCKET_CONNECTED &&
	    connect(fd, (const struct sockaddr *)rec->remote, address_len(rec)))
		r = error_errno(err, errno, "connecting a UDP socket");
	return r;
}

static int inet_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	struct socket_request q = {rec->family, rec->type, rec->protocol, -1};
	int ret = in_namespaces(r->request->init, CLONE_NEWNET, make_socket, &q, err);

	if (ret)
		return ret;
	o->fd = q.fd;
	ret = set_options(o->fd, rec, err);
	if (!ret)
		ret = set_state(o->fd, rec, err);
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
