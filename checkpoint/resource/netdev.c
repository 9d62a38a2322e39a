// SPDX-License-Identifier: GPL-2.0-only
/*
 * The network of a container's own namespace: a restore makes a new one, with
 * the loopback interface up and nothing else. Whatever else is there was made by
 * the program, or by who started the container, and is a blocker. A namespace
 * that was joined by path is somebody else's, and is still there at the restore.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "checkpoint/resource/resource.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define DUMP_SIZE 32768
#define LOOPBACK  1 /* index of lo in every namespace */

/* What modules of the kernel put into every new namespace, down; see fb_tunnels_only_for_init_net
 */
static const char *const kernels_own[] = {"tunl0",    "gre0", "gretap0", "erspan0", "ip_vti0",
					  "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"};

static const char *text_attribute(const struct nlmsghdr *h, size_t header, int type)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, h, header) if (mnl_attr_get_type(a) == type &&
					    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >=
						    0) return mnl_attr_get_str(a);
	return "?";
}

static const struct nlattr *attribute(const struct nlmsghdr *h, size_t header, int type)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, h, header) if (mnl_attr_get_type(a) == type) return a;
	return NULL;
}

static int see_link(const struct nlmsghdr *h, void *ctx)
{
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	const char *name = text_attribute(h, sizeof(*m), IFLA_IFNAME);

	if (m->ifi_index == LOOPBACK) {
		if (!(m->ifi_flags & IFF_UP))
			checkpoint_block(ctx, 0, -1, 0, "set it up",
					 "the loopback interface, down,");
		return MNL_CB_OK;
	}
	for (size_t i = 0; i < sizeof(kernels_own) / sizeof(*kernels_own); i++)
		if (!(m->ifi_flags & IFF_UP) && !strcmp(name, kernels_own[i]))
			return MNL_CB_OK;
	checkpoint_block(ctx, 0, -1, 0,
			 "remove it, or give the container a network namespace by path",
			 "the network interface \"%s\"", name);
	return MNL_CB_OK;
}

/* Those of other interfaces go with them; the kernel gives lo its own when it goes up. */
static int see_address(const struct nlmsghdr *h, void *ctx)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a = attribute(h, sizeof(*m), IFA_ADDRESS);
	char text[INET6_ADDRSTRLEN] = "?";

	if (m->ifa_index != LOOPBACK)
		return MNL_CB_OK;
	if (a && mnl_attr_get_payload_len(a) >= (m->ifa_family == AF_INET ? 4 : 16))
		inet_ntop(m->ifa_family, mnl_attr_get_payload(a), text, sizeof(text));
	if ((!strcmp(text, "127.0.0.1") && m->ifa_prefixlen == 8) ||
	    (!strcmp(text, "::1") && m->ifa_prefixlen == 128))
		return MNL_CB_OK;
	checkpoint_block(ctx, 0, -1, 0, "remove it", "the address %s/%u of the loopback interface",
			 text, m->ifa_prefixlen);
	return MNL_CB_OK;
}

static int see_route(const struct nlmsghdr *h, void *ctx)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a = attribute(h, sizeof(*m), RTA_DST);
	char text[INET6_ADDRSTRLEN] = "default";

	if (m->rtm_protocol == RTPROT_KERNEL)
		return MNL_CB_OK;
	if (a && mnl_attr_get_payload_len(a) >= (m->rtm_family == AF_INET ? 4 : 16))
		inet_ntop(m->rtm_family, mnl_attr_get_payload(a), text, sizeof(text));
	checkpoint_block(ctx, 0, -1, 0, "remove it", "the route to %s/%u", text, m->rtm_dst_len);
	return MNL_CB_OK;
}

static int see_rule(const struct nlmsghdr *h, void *ctx)
{
	const struct fib_rule_hdr *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a = attribute(h, sizeof(*m), FRA_PRIORITY);
	uint32_t priority = a ? mnl_attr_get_u32(a) : 0;

	if (priority && priority != 32766 && priority != 32767)
		checkpoint_block(ctx, 0, -1, 0, "remove it", "the routing rule %u", priority);
	return MNL_CB_OK;
}

static int see_table(const struct nlmsghdr *h, void *ctx)
{
	checkpoint_block(ctx, 0, -1, 0, "delete it", "the nftables table \"%s\"",
			 text_attribute(h, sizeof(struct nfgenmsg), NFTA_TABLE_NAME));
	return MNL_CB_OK;
}

struct question {
	int bus, type;
	size_t header; /* zeros, the family first */
	unsigned char family;
	size_t least; /* of an answer */
	mnl_cb_t see;
};

static const struct question questions[] = {
	{NETLINK_ROUTE, RTM_GETLINK, sizeof(struct ifinfomsg), AF_UNSPEC, sizeof(struct ifinfomsg),
	 see_link},
	{NETLINK_ROUTE, RTM_GETADDR, sizeof(struct ifaddrmsg), AF_UNSPEC, sizeof(struct ifaddrmsg),
	 see_address},
	{NETLINK_ROUTE, RTM_GETROUTE, sizeof(struct rtmsg), AF_INET, sizeof(struct rtmsg),
	 see_route},
	{NETLINK_ROUTE, RTM_GETROUTE, sizeof(struct rtmsg), AF_INET6, sizeof(struct rtmsg),
	 see_route},
	{NETLINK_ROUTE, RTM_GETRULE, sizeof(struct fib_rule_hdr), AF_INET,
	 sizeof(struct fib_rule_hdr), see_rule},
	{NETLINK_ROUTE, RTM_GETRULE, sizeof(struct fib_rule_hdr), AF_INET6,
	 sizeof(struct fib_rule_hdr), see_rule},
	{NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, sizeof(struct nfgenmsg),
	 AF_UNSPEC, sizeof(struct nfgenmsg), see_table},
};

struct link_answers {
	const struct question *q;
	struct checkpoint *c;
};

static int see(const struct nlmsghdr *h, void *ctx)
{
	struct link_answers *a = ctx;

	return mnl_nlmsg_get_payload_len(h) < a->q->least ? MNL_CB_OK : a->q->see(h, a->c);
}

static int receive(struct mnl_socket *nl, char *data, struct link_answers *a)
{
	int r = 1;

	while (r > 0) {
		ssize_t n = mnl_socket_recvfrom(nl, data, DUMP_SIZE);

		if (n < 0)
			return -errno;
		r = mnl_cb_run(data, n, 0, 0, see, a);
	}
	return r < 0 ? -errno : 0;
}

static int ask(const struct question *q, struct checkpoint *c)
{
	__cleanup_free char *data = calloc(1, DUMP_SIZE);
	struct mnl_socket *nl = data ? mnl_socket_open2(q->bus, SOCK_CLOEXEC) : NULL;
	struct link_answers a = {q, c};
	struct nlmsghdr *h;
	int r;

	if (!nl)
		return data ? -errno : -ENOMEM;
	h = mnl_nlmsg_put_header(data);
	h->nlmsg_type = q->type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	*(unsigned char *)mnl_nlmsg_put_extra_header(h, q->header) = q->family;
	r = mnl_socket_sendto(nl, h, h->nlmsg_len) < 0 ? -errno : receive(nl, data, &a);
	mnl_socket_close(nl);
	return r;
}

/* A kernel without IPv6, policy routing or nftables has none of it in use. */
static bool is_absent(int r)
{
	return r == -EAFNOSUPPORT || r == -EOPNOTSUPP || r == -EPROTONOSUPPORT || r == -EINVAL ||
	       r == -ENOENT;
}

static int look(void *ctx, struct error **err)
{
	for (size_t i = 0; i < sizeof(questions) / sizeof(*questions); i++) {
		int r = ask(&questions[i], ctx);

		if (r < 0 && (i < 2 || !is_absent(r)))
			return error_errno(err, -r, "looking at the container's network (%d)",
					   questions[i].type);
	}
	return 0;
}

static int netdev_admit(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r;

	if (t || c->request->foreign_net)
		return 0;
	r = same_namespace(c->init, "net", err);
	if (r)
		return r < 0 ? r : 0;
	return in_namespaces(c->init, CLONE_NEWNET, look, c, err);
}

static const enum ckpt_type netdev_types[] = {0};

static const char *const netdev_not_captured[] = {
	"network interfaces, addresses, routes, routing rules and nftables tables of a network "
	"namespace of its own: refused",
	"rules of iptables-legacy, and sysctls of the network that were changed inside",
	NULL,
};

const struct resource_class resource_netdev = {
	.name = "netdev",
	.version = 1,
	.types = netdev_types,
	.admit = netdev_admit,
	.not_captured = netdev_not_captured,
};
