// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/resource/packet.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "checkpoint/user/ns.h"
#include "util/error.h"
#include "util/sock_diag.h"

static void copy(const struct nlattr *a, void *to, size_t len)
{
	if (mnl_attr_get_payload_len(a) >= len)
		memcpy(to, mnl_attr_get_payload(a), len);
}

static int parse_attribute(const struct nlattr *a, void *ctx)
{
	struct packet_diag *d = ctx;

	switch (mnl_attr_get_type(a)) {
	case PACKET_DIAG_INFO:
		copy(a, &d->info, sizeof(d->info));
		break;
	case PACKET_DIAG_MCLIST:
		if (!buf_add(&d->members, mnl_attr_get_payload(a), mnl_attr_get_payload_len(a)))
			return MNL_CB_ERROR;
		break;
	case PACKET_DIAG_RX_RING:
		copy(a, &d->rx, sizeof(d->rx));
		break;
	case PACKET_DIAG_TX_RING:
		copy(a, &d->tx, sizeof(d->tx));
		break;
	case PACKET_DIAG_FANOUT:
		d->fanout = true;
		break;
	}
	return MNL_CB_OK;
}

static int parse_socket(const struct nlmsghdr *h, void *ctx)
{
	const struct packet_diag_msg *m = mnl_nlmsg_get_payload(h);
	struct packet_diag *d = ctx;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m) ||
	    (m->pdiag_cookie[0] | (uint64_t)m->pdiag_cookie[1] << 32) != d->cookie)
		return MNL_CB_OK;
	d->found = true;
	d->protocol = m->pdiag_num;
	return mnl_attr_parse(h, sizeof(*m), parse_attribute, d);
}

static int ask(void *ctx, struct error **err)
{
	const struct packet_diag_req req = {
		.sdiag_family = AF_PACKET,
		.pdiag_show = PACKET_SHOW_INFO | PACKET_SHOW_MCLIST | PACKET_SHOW_RING_CFG |
			      PACKET_SHOW_FANOUT,
	};
	struct packet_diag *d = ctx;
	int r = sock_diag_dump(&req, sizeof(req), parse_socket, d);

	if (r && r != -ENOENT && r != -EOPNOTSUPP && r != -EPROTONOSUPPORT)
		return error_errno(err, -r, "asking for a packet socket");
	if (r || !d->found)
		return error_set(err, EOPNOTSUPP, "the kernel does not tell of packet sockets");
	return 0;
}

int packet_diag_read(pid_t init, struct packet_diag *diag, struct error **err)
{
	return in_namespaces(init, CLONE_NEWNET, ask, diag, err);
}
