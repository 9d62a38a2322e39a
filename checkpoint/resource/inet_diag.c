// SPDX-License-Identifier: GPL-2.0-only
/* Which halves of a datagram socket are shut down: only sock_diag(7) tells. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "checkpoint/resource/inet.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"

#define DUMP_SIZE 32768
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

static int ask(struct mnl_socket *nl, struct search *s)
{
	__cleanup_free char *data = malloc(DUMP_SIZE);
	struct inet_diag_req_v2 *req;
	struct nlmsghdr *h;
	ssize_t n;
	int r = 1;

	if (!data)
		return -ENOMEM;
	h = mnl_nlmsg_put_header(data);
	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	req = mnl_nlmsg_put_extra_header(h, sizeof(*req));
	req->sdiag_family = s->family;
	req->sdiag_protocol = s->protocol;
	req->idiag_states = -1;
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		return -errno;
	while (r > 0) {
		n = mnl_socket_recvfrom(nl, data, DUMP_SIZE);
		if (n < 0)
			return -errno;
		r = mnl_cb_run(data, n, 0, mnl_socket_get_portid(nl), parse_socket, s);
	}
	return r < 0 ? -errno : 0;
}

static int diag(void *ctx, struct error **err)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	int r = nl && !mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) ? ask(nl, ctx) : -errno;

	if (nl)
		mnl_socket_close(nl);
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
