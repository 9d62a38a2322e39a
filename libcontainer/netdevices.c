// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/netdevices.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/config.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"

#define MESSAGE_SIZE 8192

/* An address as the kernel told of it: its message is sent again, with another index. */
struct address {
	union {
		struct nlmsghdr header;
		char bytes[512];
	};
};

struct moved_device {
	char host[IFNAMSIZ], inside[IFNAMSIZ];
	bool up;
	VEC(struct address) addresses;
};

struct net_devices {
	struct mnl_socket *host, *inside; /* one per network namespace */
	int host_fd, inside_fd;		  /* the namespaces themselves */
	VEC(struct moved_device) devices;
};

/* --- netlink --- */

/* Sends a request and gives what comes back to fn, until the kernel's acknowledgement. */
static int ask(struct mnl_socket *nl, struct nlmsghdr *request, mnl_cb_t fn, void *ctx)
{
	char reply[MESSAGE_SIZE * 4];
	int ret = 1;

	request->nlmsg_seq = 1;
	if (mnl_socket_sendto(nl, request, request->nlmsg_len) < 0)
		return -errno;
	while (ret > 0) {
		ssize_t n = mnl_socket_recvfrom(nl, reply, sizeof(reply));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		ret = mnl_cb_run(reply, n, 1, mnl_socket_get_portid(nl), fn, ctx);
	}
	return ret < 0 ? -errno : 0;
}

static struct nlmsghdr *link_request(char *room, int type, int flags, int index)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(room);
	struct ifinfomsg *info;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	info = mnl_nlmsg_put_extra_header(h, sizeof(*info));
	info->ifi_family = AF_UNSPEC;
	info->ifi_index = index;
	return h;
}

static int take_link(const struct nlmsghdr *h, void *ctx)
{
	struct ifinfomsg *info = ctx;

	if (h->nlmsg_type == RTM_NEWLINK)
		*info = *(struct ifinfomsg *)mnl_nlmsg_get_payload(h);
	return MNL_CB_OK;
}

static int find_link(struct mnl_socket *nl, const char *name, struct ifinfomsg *info)
{
	char room[MESSAGE_SIZE];
	struct nlmsghdr *h = link_request(room, RTM_GETLINK, 0, 0);

	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	return ask(nl, h, take_link, info);
}

static int set_up(struct mnl_socket *nl, int index)
{
	char room[MESSAGE_SIZE];
	struct nlmsghdr *h = link_request(room, RTM_NEWLINK, 0, index);
	struct ifinfomsg *info = mnl_nlmsg_get_payload(h);

	info->ifi_flags = info->ifi_change = IFF_UP;
	return ask(nl, h, NULL, NULL);
}

/* Name and namespace change at once: in neither can the name be another's in between. */
static int send_link(struct mnl_socket *nl, int index, int ns_fd, const char *name)
{
	char room[MESSAGE_SIZE];
	struct nlmsghdr *h = link_request(room, RTM_NEWLINK, 0, index);

	mnl_attr_put_u32(h, IFLA_NET_NS_FD, ns_fd);
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	return ask(nl, h, NULL, NULL);
}

struct collector {
	struct moved_device *device;
	unsigned int index;
};

/* Leases and what the kernel makes of router advertisements come again by themselves. */
static int take_address(const struct nlmsghdr *h, void *ctx)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(h);
	struct collector *c = ctx;
	struct address *address;

	if (h->nlmsg_type != RTM_NEWADDR || info->ifa_index != c->index ||
	    info->ifa_scope != RT_SCOPE_UNIVERSE || !(info->ifa_flags & IFA_F_PERMANENT) ||
	    h->nlmsg_len > sizeof(address->bytes))
		return MNL_CB_OK;
	address = vec_add(&c->device->addresses);
	if (!address) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	memcpy(address->bytes, h, h->nlmsg_len);
	return MNL_CB_OK;
}

static int read_addresses(struct mnl_socket *nl, unsigned int index, struct moved_device *device)
{
	struct collector c = {.device = device, .index = index};
	char room[MESSAGE_SIZE];
	struct nlmsghdr *h = mnl_nlmsg_put_header(room);
	struct ifaddrmsg *info;

	h->nlmsg_type = RTM_GETADDR;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	info = mnl_nlmsg_put_extra_header(h, sizeof(*info));
	info->ifa_family = AF_UNSPEC;
	return ask(nl, h, take_address, &c);
}

static int write_addresses(struct mnl_socket *nl, unsigned int index, struct moved_device *device)
{
	vec_for_each (a, &device->addresses) {
		struct ifaddrmsg *info = mnl_nlmsg_get_payload(&a->header);
		int ret;

		info->ifa_index = index;
		a->header.nlmsg_type = RTM_NEWADDR;
		a->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
		a->header.nlmsg_pid = 0;
		ret = ask(nl, &a->header, NULL, NULL);
		if (ret < 0 && ret != -EEXIST)
			return ret;
	}
	return 0;
}

/* --- sockets in both namespaces --- */

static struct mnl_socket *open_socket(void)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		int code = errno;

		mnl_socket_close(nl);
		errno = code;
		return NULL;
	}
	return nl;
}

/* A socket belongs to the namespace it was made in. */
static struct mnl_socket *open_socket_in(int ns_fd, int home_fd)
{
	struct mnl_socket *nl = setns(ns_fd, CLONE_NEWNET) == 0 ? open_socket() : NULL;
	int code = errno;

	if (setns(home_fd, CLONE_NEWNET) < 0) {
		if (nl)
			mnl_socket_close(nl);
		return NULL;
	}
	errno = code;
	return nl;
}

static int open_both(struct net_devices *n, int ns_fd, struct error **err)
{
	n->host_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	n->inside_fd = n->host_fd < 0 ? -1 : fcntl(ns_fd, F_DUPFD_CLOEXEC, 3);
	n->host = n->inside_fd < 0 ? NULL : open_socket();
	n->inside = n->host ? open_socket_in(n->inside_fd, n->host_fd) : NULL;
	if (n->inside)
		return 0;
	return error_errno(err, errno, "/linux/netDevices of config.json: reaching the namespaces");
}

/* --- moving --- */

static int explain(const struct oci_net_device *d, const char *doing, int ret, struct error **err)
{
	error_errno(err, -ret, "/linux/netDevices/%s of config.json: %s", d->host, doing);
	if (ret == -EEXIST)
		return error_hint(err, "the container's namespace has an interface of that name");
	if (ret == -EINVAL)
		return error_hint(err, "some kinds of interface cannot leave their namespace");
	if (ret == -EPERM)
		return error_hint(err, "it needs CAP_NET_ADMIN in both network namespaces");
	return ret;
}

static int look_at(struct net_devices *n, const struct oci_net_device *d, struct moved_device *m,
		   struct ifinfomsg *info)
{
	const char *name = d->name && *d->name ? d->name : d->host;
	struct ifinfomsg taken;
	int ret;

	snprintf(m->host, sizeof(m->host), "%s", d->host);
	snprintf(m->inside, sizeof(m->inside), "%s", name);
	ret = find_link(n->host, d->host, info);
	/* looked for before anything is moved; the kernel refuses it as well */
	if (ret == 0 && find_link(n->inside, m->inside, &taken) == 0)
		ret = -EEXIST;
	if (ret == 0)
		ret = read_addresses(n->host, info->ifi_index, m);
	m->up = ret == 0 && info->ifi_flags & IFF_UP;
	return ret;
}

static int move_one(struct net_devices *n, const struct oci_net_device *d, struct error **err)
{
	struct moved_device device = {0}, *kept;
	struct ifinfomsg info = {0};
	int ret = look_at(n, d, &device, &info);

	if (ret < 0) {
		vec_free(&device.addresses);
		return explain(d, "looking at it", ret, err);
	}
	kept = vec_add(&n->devices);
	if (!kept) {
		vec_free(&device.addresses);
		return explain(d, "moving it", -ENOMEM, err);
	}
	*kept = device;
	ret = send_link(n->host, info.ifi_index, n->inside_fd, kept->inside);
	if (ret < 0) {
		vec_free(&kept->addresses);
		n->devices.count--;
		return explain(d, "moving it", ret, err);
	}
	ret = find_link(n->inside, kept->inside, &info);
	if (ret == 0)
		ret = write_addresses(n->inside, info.ifi_index, kept);
	if (ret == 0)
		ret = set_up(n->inside, info.ifi_index);
	return ret < 0 ? explain(d, "setting it up", ret, err) : 0;
}

int net_devices_move(const struct oci_linux *lx, int ns_fd, struct net_devices **moved,
		     struct error **err)
{
	struct net_devices *n;
	int ret;

	if (!lx->net_devices.count)
		return 0;
	n = calloc(1, sizeof(*n));
	if (!n)
		return error_errno(err, ENOMEM, "/linux/netDevices");
	n->host_fd = n->inside_fd = -1;
	ret = open_both(n, ns_fd, err);
	vec_for_each (d, &lx->net_devices) {
		if (ret == 0)
			ret = move_one(n, d, err);
	}
	if (ret < 0) {
		net_devices_return(n);
		net_devices_free(n);
		return ret;
	}
	*moved = n;
	return 0;
}

static int return_one(struct net_devices *n, struct moved_device *m)
{
	struct ifinfomsg info = {0};
	int ret = find_link(n->inside, m->inside, &info);

	if (ret == 0)
		ret = send_link(n->inside, info.ifi_index, n->host_fd, m->host);
	if (ret == 0)
		ret = find_link(n->host, m->host, &info);
	if (ret == 0)
		ret = write_addresses(n->host, info.ifi_index, m);
	if (ret == 0 && m->up)
		ret = set_up(n->host, info.ifi_index);
	return ret;
}

void net_devices_return(struct net_devices *moved)
{
	if (!moved)
		return;
	vec_for_each (m, &moved->devices) {
		int ret = return_one(moved, m);

		if (ret < 0)
			log_warning("interface \"%s\" could not be taken back: %s", m->host,
				    strerror(-ret));
		vec_free(&m->addresses);
	}
	moved->devices.count = 0;
}

void net_devices_free(struct net_devices *moved)
{
	if (!moved)
		return;
	vec_for_each (m, &moved->devices)
		vec_free(&m->addresses);
	vec_free(&moved->devices);
	if (moved->host)
		mnl_socket_close(moved->host);
	if (moved->inside)
		mnl_socket_close(moved->inside);
	cleanup_fd(&moved->host_fd);
	cleanup_fd(&moved->inside_fd);
	free(moved);
}
