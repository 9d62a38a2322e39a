// SPDX-License-Identifier: GPL-2.0-only
#include "util/sock_diag.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"

#define DUMP_SIZE 32768

static int dump(struct mnl_socket *nl, const void *request, size_t len, mnl_cb_t parse, void *ctx)
{
	__cleanup_free char *data = malloc(DUMP_SIZE);
	struct nlmsghdr *h;
	ssize_t n;
	int r = 1;

	if (!data)
		return -ENOMEM;
	h = mnl_nlmsg_put_header(data);
	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	memcpy(mnl_nlmsg_put_extra_header(h, len), request, len);
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		return -errno;
	while (r > 0) {
		n = mnl_socket_recvfrom(nl, data, DUMP_SIZE);
		if (n < 0)
			return -errno;
		r = mnl_cb_run(data, n, 0, mnl_socket_get_portid(nl), parse, ctx);
	}
	return r < 0 ? -errno : 0;
}

int sock_diag_dump(const void *request, size_t len, mnl_cb_t parse, void *ctx)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	int r = nl && !mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID)
			? dump(nl, request, len, parse, ctx)
			: -errno;

	if (nl)
		mnl_socket_close(nl);
	return r;
}
