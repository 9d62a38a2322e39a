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

#include "checkpoint/resource/inet.h"
#include "util/error.h"

#define BACKLOG_MAX 65535

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

int inet_get_int(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = 0;

	getsockopt(fd, level, name, &value, &len);
	return value;
}

static void state_free(void *state)
{
	struct inet_state *s = state;

	buf_free(&s->items);
	free(s);
}

static void find_out(const struct description *d, struct inet_state *s)
{
	socklen_t len = sizeof(s->local);

	s->rec.family = inet_get_int(d->fd, SOL_SOCKET, SO_DOMAIN);
	s->rec.type = inet_get_int(d->fd, SOL_SOCKET, SO_TYPE);
	s->rec.protocol = inet_get_int(d->fd, SOL_SOCKET, SO_PROTOCOL);
	if (getsockname(d->fd, &s->local.any, &len))
		s->local.any.sa_family = s->rec.family;
	len = sizeof(s->remote);
	if (getpeername(d->fd, &s->remote.any, &len))
		s->remote.any.sa_family = 0;
}

static int admit_udp(struct checkpoint *c, struct description *d, struct inet_state *s)
{
	uint32_t memory[9] = {0};
	socklen_t len = sizeof(memory);
	char address[INET_TEXT];

	s->rec.state = s->remote.any.sa_family	  ? CKPT_SOCKET_CONNECTED
		       : inet_has_port(&s->local) ? CKPT_SOCKET_BOUND
						  : CKPT_SOCKET_NEW;
	getsockopt(d->fd, SOL_SOCKET, SO_MEMINFO, memory, &len);
	if (!memory[0])
		return 0;
	inet_print(&s->local, address);
	return description_block(c, d, "let the program read them first",
				 "UDP socket %s with datagrams that were not read", address);
}

static int inet_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	struct inet_state *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_errno(err, ENOMEM, "looking at a socket");
	d->state = s;
	d->state_free = state_free;
	r = socket_admit(c, d, err);
	if (r)
		return r < 0 ? r : 0;
	find_out(d, s);
	if (s->rec.protocol == IPPROTO_TCP && s->rec.type == SOCK_STREAM)
		return tcp_admit(c, d, s, err);
	if (s->rec.protocol == IPPROTO_UDP && s->rec.type == SOCK_DGRAM)
		return admit_udp(c, d, s);
	return description_block(c, d, "close it for the checkpoint", "socket of protocol %u",
				 s->rec.protocol);
}

int inet_add_item(struct inet_state *s, enum ckpt_item_kind kind, const void *data, size_t len)
{
	struct ckpt_item item = {.kind = kind, .len = len};

	if (!buf_add(&s->items, &item, sizeof(item)) || (len && !buf_add(&s->items, data, len)))
		return -ENOMEM;
	return buf_align(&s->items, 8);
}

static int inet_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	struct inet_state *s = d->state;
	int r = socket_save_options(d->fd, &s->rec.options, err);

	if (!r && s->rec.state == CKPT_SOCKET_KEPT)
		r = tcp_dump(d, s, err);
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

/* Where the next item begins; 0: malformed. */
static size_t next_item(const struct file_object *o, size_t at, struct ckpt_item *item)
{
	size_t left = o->tail_len - at;

	if (left < sizeof(*item))
		return 0;
	memcpy(item, o->tail + at, sizeof(*item));
	left -= sizeof(*item);
	if (item->reserved || item->len > left || ((item->len + 7) & ~7ull) > left)
		return 0;
	return at + sizeof(*item) + ((item->len + 7) & ~7ull);
}

const void *inet_item(const struct file_object *o, enum ckpt_item_kind kind, size_t *len)
{
	struct ckpt_item item;

	*len = 0;
	for (size_t at = 0, next; at < o->tail_len; at = next) {
		next = next_item(o, at, &item);
		if (!next)
			break;
		if (item.kind == kind) {
			*len = item.len;
			return o->tail + at + sizeof(item);
		}
	}
	return NULL;
}

static bool items_valid(const struct file_object *o)
{
	struct ckpt_item item;

	for (size_t at = 0; at < o->tail_len;) {
		at = next_item(o, at, &item);
		if (!at)
			return false;
	}
	return true;
}

static int inet_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	bool tcp = rec->type == SOCK_STREAM && rec->protocol == IPPROTO_TCP;
	bool udp = rec->type == SOCK_DGRAM && rec->protocol == IPPROTO_UDP;
	union inet_address local;

	memcpy(&local, rec->local, sizeof(rec->local));
	if (!items_valid(o) || (rec->family != AF_INET && rec->family != AF_INET6) ||
	    (!tcp && !udp) || rec->state > CKPT_SOCKET_CLOSED ||
	    (tcp ? rec->state == CKPT_SOCKET_CONNECTED : rec->state == CKPT_SOCKET_LISTEN) ||
	    (udp && rec->state >= CKPT_SOCKET_RESET) || local.any.sa_family != rec->family)
		return error_set(err, EBADMSG, "socket %u is malformed", o->id);
	return tcp_load(o, err);
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

int inet_bind(const struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	union inet_address local;
	char text[INET_TEXT];

	memcpy(&local, rec->local, sizeof(rec->local));
	if ((!inet_has_port(&local) && !inet_has_host(&local)) ||
	    !bind(o->fd, &local.any, inet_size(&local)))
		return 0;
	inet_print(&local, text);
	error_errno(err, errno, "binding a socket to %s", text);
	return error_hint(err, "the address or port is taken, or not there");
}

static int bind_and_more(const struct file_object *o, struct error **err)
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
	ret = inet_bind(o, err);
	if (!ret && rec->state == CKPT_SOCKET_CONNECTED &&
	    connect(o->fd, &remote.any, inet_size(&remote))) {
		inet_print(&remote, text);
		ret = error_errno(err, errno, "connecting a UDP socket to %s", text);
	}
	if (!ret && rec->state == CKPT_SOCKET_LISTEN &&
	    listen(o->fd, rec->backlog > BACKLOG_MAX ? BACKLOG_MAX : rec->backlog))
		ret = error_errno(err, errno, "listening at a TCP port");
	if (tcp && rec->options.known[0] & 1)
		setsockopt(o->fd, SOL_SOCKET, SO_REUSEADDR, &rec->options.values[0],
			   sizeof(rec->options.values[0]));
	return ret;
}

static int inet_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	bool reset = rec->state == CKPT_SOCKET_RESET ||
		     (rec->state == CKPT_SOCKET_KEPT && r->request->reset_tcp);
	int ret = socket_make(r->request->init, rec->family, rec->type, rec->protocol, &o->fd, err);

	if (!ret)
		ret = socket_load_options(o->fd, &rec->options, err);
	if (!ret && reset)
		make_reset(o->fd, rec);
	else if (!ret && rec->state == CKPT_SOCKET_KEPT)
		ret = tcp_open(r, o, err);
	else if (!ret && rec->state == CKPT_SOCKET_CLOSED)
		/* fails, but is remembered: reads see the end, writes EPIPE */
		shutdown(o->fd, SHUT_RDWR);
	else if (!ret && rec->state != CKPT_SOCKET_NEW)
		ret = bind_and_more(o, err);
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
