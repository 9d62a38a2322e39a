// SPDX-License-Identifier: GPL-2.0-only
/* Netlink sockets: port, groups and options. What is queued is an answer to somebody: refused. */
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "checkpoint/resource/files.h"
#include "util/error.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif
#define GROUPS_MAX 4096

/* On or off, and readable. */
static const int switches[] = {
	NETLINK_PKTINFO, NETLINK_BROADCAST_ERROR, NETLINK_NO_ENOBUFS,	  NETLINK_LISTEN_ALL_NSID,
	NETLINK_CAP_ACK, NETLINK_EXT_ACK,	  NETLINK_GET_STRICT_CHK,
};

struct netlink_state {
	struct buf items; /* first */
	struct ckpt_netlink rec;
};

static bool matches(const struct description *d)
{
	return description_is_socket(d, AF_NETLINK);
}

static int admit_state(struct checkpoint *c, const struct description *d)
{
	struct pollfd p = {.fd = d->fd, .events = POLLIN};

	/* tables and queues may be the socket's own, which nothing shows */
	if (socket_get_int(d->fd, SOL_SOCKET, SO_PROTOCOL) == NETLINK_NETFILTER)
		return description_block(c, d, "close it for the checkpoint",
					 "netlink socket of netfilter");
	if (poll(&p, 1, 0) == 1 && p.revents & (POLLIN | POLLERR))
		return description_block(c, d, "let the program read them first",
					 "netlink socket with queued messages");
	return 0;
}

static int netlink_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	int r = socket_admit_state(c, d, sizeof(struct netlink_state), err);

	if (r)
		return r < 0 ? r : 0;
	return admit_state(c, d);
}

/* The kernel gives a bit per group. */
static int save_groups(int fd, struct netlink_state *s, struct error **err)
{
	uint32_t words[GROUPS_MAX / 32] = {0}, groups[GROUPS_MAX];
	socklen_t len = sizeof(words);
	size_t n = 0;

	if (getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, words, &len))
		return error_errno(err, errno, "asking for the groups of a netlink socket");
	if (len > sizeof(words))
		return error_set(err, E2BIG, "a netlink socket with more than %d groups",
				 GROUPS_MAX);
	for (uint32_t i = 0; i < len * 8; i++)
		if (words[i / 32] >> i % 32 & 1)
			groups[n++] = i + 1;
	if (n && items_add(&s->items, CKPT_ITEM_GROUPS, groups, n * sizeof(*groups)))
		return error_errno(err, ENOMEM, "recording a socket");
	return 0;
}

static int netlink_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	struct netlink_state *s = d->state;
	struct sockaddr_nl own = {0}, to = {0};
	socklen_t own_len = sizeof(own), to_len = sizeof(to);
	int r = socket_save_options(d->fd, &s->rec.options, err);

	if (!r)
		r = socket_save_extras(d->fd, &s->items, err);
	if (!r)
		r = save_groups(d->fd, s, err);
	if (r)
		return r;
	if (getsockname(d->fd, (struct sockaddr *)&own, &own_len) ||
	    getpeername(d->fd, (struct sockaddr *)&to, &to_len))
		return error_errno(err, errno, "asking for the address of a netlink socket");
	s->rec.id = d->id;
	s->rec.open_flags = d->open_flags;
	s->rec.type = socket_get_int(d->fd, SOL_SOCKET, SO_TYPE);
	s->rec.protocol = socket_get_int(d->fd, SOL_SOCKET, SO_PROTOCOL);
	s->rec.portid = own.nl_pid;
	s->rec.to_portid = to.nl_pid;
	s->rec.to_group = to.nl_groups;
	for (size_t i = 0; i < sizeof(switches) / sizeof(*switches); i++)
		if (socket_get_int(d->fd, SOL_NETLINK, switches[i]))
			s->rec.flags |= 1u << switches[i];
	if (!record_add2(&c->records, CKPT_NETLINK, &s->rec, sizeof(s->rec), s->items.data,
			 s->items.len))
		return error_errno(err, ENOMEM, "recording a socket");
	return 0;
}

/* --- a restore --- */

static int netlink_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_netlink *rec = o->rec;
	size_t len;

	items_find(o, CKPT_ITEM_GROUPS, NULL, &len);
	if (!items_valid(o) || (rec->type != SOCK_RAW && rec->type != SOCK_DGRAM) ||
	    len > GROUPS_MAX * sizeof(uint32_t) || len % sizeof(uint32_t) ||
	    rec->protocol == NETLINK_NETFILTER)
		return error_set(err, EBADMSG, "netlink socket %u is malformed", o->id);
	return 0;
}

static int load_address(const struct file_object *o, struct error **err)
{
	const struct ckpt_netlink *rec = o->rec;
	struct sockaddr_nl own = {.nl_family = AF_NETLINK, .nl_pid = rec->portid};
	struct sockaddr_nl to = {
		.nl_family = AF_NETLINK, .nl_pid = rec->to_portid, .nl_groups = rec->to_group};

	if (rec->portid && bind(o->fd, (struct sockaddr *)&own, sizeof(own)))
		return error_errno(err, errno, "binding a netlink socket to port %u", rec->portid);
	if ((rec->to_portid || rec->to_group) && connect(o->fd, (struct sockaddr *)&to, sizeof(to)))
		return error_errno(err, errno, "connecting a netlink socket");
	return 0;
}

static int load_groups(const struct file_object *o, struct error **err)
{
	const struct ckpt_netlink *rec = o->rec;
	size_t len;
	const uint32_t *groups = items_find(o, CKPT_ITEM_GROUPS, NULL, &len);
	int on = 1;

	for (size_t i = 0; i < sizeof(switches) / sizeof(*switches); i++)
		if (rec->flags >> switches[i] & 1 &&
		    setsockopt(o->fd, SOL_NETLINK, switches[i], &on, sizeof(on)))
			return error_errno(err, errno, "setting option %d of a netlink socket",
					   switches[i]);
	for (size_t i = 0; i < len / sizeof(*groups); i++)
		if (setsockopt(o->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			       sizeof(groups[i])))
			return error_errno(err, errno, "joining group %u of netlink", groups[i]);
	return 0;
}

static int netlink_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_netlink *rec = o->rec;
	int ret = socket_make(r->init, AF_NETLINK, rec->type, rec->protocol, &o->fd, err);

	if (!ret)
		ret = socket_load_options(o->fd, &rec->options, err);
	if (!ret)
		ret = socket_load_filter(o, err);
	if (!ret)
		ret = load_address(o, err);
	if (!ret)
		ret = load_groups(o, err);
	return ret ? ret : files_set_flags(o->fd, rec->open_flags, err);
}

const struct file_kind file_kind_netlink = {
	.type = CKPT_NETLINK,
	.size = sizeof(struct ckpt_netlink),
	.matches = matches,
	.admit = netlink_admit,
	.dump = netlink_dump,
	.load = netlink_load,
	.open = netlink_open,
};
