// SPDX-License-Identifier: GPL-2.0-only
/* The unix sockets of a network namespace, by sock_diag(7). */
#include <errno.h>
#include <linux/unix_diag.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "checkpoint/resource/unix.h"
#include "checkpoint/user/ns.h"
#include "util/error.h"
#include "util/sock_diag.h"

struct parsing {
	struct unix_table *table;
	struct unix_socket *s;
};

/* An attribute with the clients of connections that a listener has not accepted, in order. */
static int parse_waiting(const struct nlattr *a, struct parsing *p)
{
	const uint32_t *clients = mnl_attr_get_payload(a);

	for (size_t i = 0; i < mnl_attr_get_payload_len(a) / sizeof(*clients); i++) {
		struct unix_waiting *w = vec_add(&p->table->waiting);

		if (!w) {
			errno = ENOMEM;
			return MNL_CB_ERROR;
		}
		*w = (struct unix_waiting){p->s->ino, clients[i]};
	}
	return MNL_CB_OK;
}

static int parse_attribute(const struct nlattr *a, void *ctx)
{
	struct parsing *p = ctx;
	struct unix_socket *s = p->s;
	size_t len = mnl_attr_get_payload_len(a);

	switch (mnl_attr_get_type(a)) {
	case UNIX_DIAG_PEER:
		if (len >= sizeof(uint32_t))
			s->peer = mnl_attr_get_u32(a);
		break;
	case UNIX_DIAG_SHUTDOWN:
		if (len >= 1)
			s->shutdown = mnl_attr_get_u8(a);
		break;
	case UNIX_DIAG_ICONS:
		return parse_waiting(a, p);
	case UNIX_DIAG_RQLEN: {
		const struct unix_diag_rqlen *q = mnl_attr_get_payload(a);

		if (len >= sizeof(*q)) {
			s->waiting = q->udiag_rqueue;
			s->backlog = q->udiag_wqueue;
		}
		break;
	}
	}
	return MNL_CB_OK;
}

static int parse_socket(const struct nlmsghdr *h, void *ctx)
{
	const struct unix_diag_msg *m = mnl_nlmsg_get_payload(h);
	struct parsing p = {.table = ctx};
	struct unix_socket *s;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return MNL_CB_OK;
	s = p.s = vec_add(&p.table->sockets);
	if (!s) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	s->ino = m->udiag_ino;
	s->state = m->udiag_state;
	return mnl_attr_parse(h, sizeof(*m), parse_attribute, &p);
}

static int by_ino(const void *pa, const void *pb)
{
	const struct unix_socket *a = pa, *b = pb;

	return a->ino < b->ino ? -1 : a->ino > b->ino;
}

static int diag(void *ctx, struct error **err)
{
	const struct unix_diag_req req = {
		.sdiag_family = AF_UNIX,
		.udiag_states = -1,
		.udiag_show = UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN | UDIAG_SHOW_ICONS,
	};
	struct unix_table *table = ctx;
	int r = sock_diag_dump(&req, sizeof(req), parse_socket, table);

	if (r)
		return error_errno(err, -r, "asking for the unix sockets of the container");
	if (table->sockets.count)
		qsort(table->sockets.items, table->sockets.count, sizeof(*table->sockets.items),
		      by_ino);
	return 0;
}

int unix_diag(pid_t init, struct unix_table *table, struct error **err)
{
	return in_namespaces(init, CLONE_NEWNET, diag, table, err);
}
