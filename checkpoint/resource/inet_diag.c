// SPDX-License-Identifier: GPL-2.0-only
/* Which halves of a datagram socket are shut down: only sock_diag(7) tells. */
#include <errno.h>
#include <linux/inet_diag.h>
#include <sched.h>
#include <sys/socket.h>

#include "checkpoint/resource/inet.h"
#include "checkpoint/user/ns.h"
#include "util/error.h"
#include "util/sock_diag.h"

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

struct search {
	uint32_t family, protocol;
	uint64_t cookie;
	uint8_t shutdown;
};

static int parse_attribute(const struct nlattr *a, void *ctx)
{
	struct search *s = ctx;

	if (mnl_attr_get_type(a) == INET_DIAG_SHUTDOWN && mnl_attr_get_payload_len(a) >= 1)
		s->shutdown = mnl_attr_get_u8(a);
	return MNL_CB_OK;
}

static int parse_socket(const struct nlmsghdr *h, void *ctx)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(h);
	struct search *s = ctx;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m) ||
	    (m->id.idiag_cookie[0] | (uint64_t)m->id.idiag_cookie[1] << 32) != s->cookie)
		return MNL_CB_OK;
	return mnl_attr_parse(h, sizeof(*m), parse_attribute, s);
}

static int diag(void *ctx, struct error **err)
{
	const struct search *s = ctx;
	const struct inet_diag_req_v2 req = {
		.sdiag_family = s->family, .sdiag_protocol = s->protocol, .idiag_states = -1};
	int r = sock_diag_dump(&req, sizeof(req), parse_socket, ctx);

	/* a kernel without this family's sock_diag: halves that are shut down are not known */
	if (r == -ENOENT || r == -EOPNOTSUPP || r == -EPROTONOSUPPORT)
		return 0;
	return r ? error_errno(err, -r, "asking whether a socket is shut down") : 0;
}

int inet_diag_shutdown(pid_t init, const struct inet_state *s, int fd, uint32_t *halves,
		       struct error **err)
{
	struct search search = {.family = s->rec.family, .protocol = s->rec.protocol};
	socklen_t len = sizeof(search.cookie);
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &search.cookie, &len))
		return error_errno(err, errno, "asking for a socket's cookie");
	r = in_namespaces(init, CLONE_NEWNET, diag, &search, err);
	*halves = search.shutdown;
	return r;
}
