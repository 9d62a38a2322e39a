// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_datagrams GO [refused]: UDP with datagrams in its queue, multicast groups, devices,
 * filters, raw and ICMP sockets, netlink. With "refused" what cannot be saved, under
 * descriptors 20 and up.
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "res.h"
#include "res_inet.h"

#define BIG 60000

static const int on = 1;
static int v4, v6, from4, from6, connected, groups4, groups6, device, filtered, raw, raw6, ping;
static int route, plain;
static union address to4, to6;

static int bound(const union address *a)
{
	int fd = socket(a->any.sa_family, SOCK_DGRAM, 0);

	CHECK(fd >= 0 && !bind(fd, &a->any, sizeof(*a)));
	return fd;
}

static bool sends(int fd, const void *data, size_t len, const union address *to)
{
	return sendto(fd, data, len, 0, &to->any, sizeof(*to)) == (ssize_t)len;
}

static bool receives(int fd, const char *text, unsigned port)
{
	union address from = {0};
	socklen_t len = sizeof(from);
	char got[64];
	ssize_t n = recvfrom(fd, got, sizeof(got), MSG_DONTWAIT, &from.any, &len);

	if (n == (ssize_t)strlen(text) && !memcmp(got, text, n) &&
	    (!port || ntohs(from.in.sin_port) == port))
		return true;
	printf("got %zd bytes from %u (errno %d), wanted \"%s\"\n", n, ntohs(from.in.sin_port),
	       errno, text);
	return false;
}

static void open_udp(void)
{
	union address a4 = address(AF_INET, 8001), a6 = address(AF_INET6, 8002);
	char *big = malloc(BIG);

	to4 = a4;
	to6 = a6;
	a4.in.sin_addr.s_addr = INADDR_ANY;
	v4 = bound(&a4);
	v6 = bound(&a6);
	a4 = address(AF_INET, 8003);
	a6 = address(AF_INET6, 8004);
	from4 = bound(&a4);
	from6 = bound(&a6);
	memset(big, 'b', BIG);
	CHECK(sends(from4, "", 0, &to4) && sends(from4, "one", 3, &to4));
	CHECK(sends(from4, "", 0, &to4) && sends(from4, big, BIG, &to4));
	CHECK(sends(from6, "six", 3, &to6) && sends(from6, "seven", 5, &to6));
	free(big);
	/* connected both ways */
	a4 = address(AF_INET, 8005);
	connected = bound(&a4);
	CHECK(sends(from4, "early", 5, &a4));
	a4 = address(AF_INET, 8003);
	CHECK(!connect(connected, &a4.any, sizeof(a4)));
}

static void open_groups(void)
{
	struct ip_mreqn mreq = {.imr_ifindex = if_nametoindex("lo")};
	struct ip_mreq_source source = {.imr_interface.s_addr = htonl(INADDR_LOOPBACK)};
	struct ipv6_mreq mreq6 = {.ipv6mr_interface = if_nametoindex("lo")};
	union address a = address(AF_INET, 8010), a6 = address(AF_INET6, 8011);
	unsigned char ttl = 7;

	a.in.sin_addr.s_addr = INADDR_ANY;
	a6.in6.sin6_addr = in6addr_any;
	groups4 = bound(&a);
	CHECK(inet_pton(AF_INET, "239.1.2.3", &mreq.imr_multiaddr) == 1);
	CHECK(!setsockopt(groups4, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq, sizeof(mreq)));
	CHECK(inet_pton(AF_INET, "239.1.2.4", &source.imr_multiaddr) == 1);
	CHECK(inet_pton(AF_INET, "127.0.0.1", &source.imr_sourceaddr) == 1);
	CHECK(!setsockopt(groups4, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &source, sizeof(source)));
	CHECK(!setsockopt(groups4, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl)));
	groups6 = bound(&a6);
	CHECK(inet_pton(AF_INET6, "ff05::1234", &mreq6.ipv6mr_multiaddr) == 1);
	CHECK(!setsockopt(groups6, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &mreq6, sizeof(mreq6)));
}

static void open_others(void)
{
	/* only what is longer than eight bytes: of UDP the filter sees its header, too */
	struct sock_filter rows[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 16, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, -1u),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {4, rows};
	union address a = address(AF_INET, 8020);
	struct sockaddr_nl nl = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	struct icmp6_filter filter;
	int group = RTNLGRP_IPV4_IFADDR;

	filtered = bound(&a);
	CHECK(sends(from4, "short", 5, &a));
	CHECK(!setsockopt(filtered, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
	CHECK(!setsockopt(filtered, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)));
	a = address(AF_INET, 8021);
	device = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(!setsockopt(device, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	CHECK(!bind(device, &a.any, sizeof(a)));
	/* nothing of this protocol comes */
	raw = socket(AF_INET, SOCK_RAW, 253);
	CHECK(raw >= 0 && !setsockopt(raw, IPPROTO_IP, IP_HDRINCL, &on, sizeof(on)));
	raw6 = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	ICMP6_FILTER_SETBLOCKALL(&filter);
	CHECK(raw6 >= 0);
	CHECK(!setsockopt(raw6, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)));
	/* what the host's neighbours have sent in between */
	while (recv(raw6, NULL, 0, MSG_DONTWAIT) >= 0)
		;
	ping = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	a = address(AF_INET, 4321);
	CHECK(ping < 0 || !bind(ping, &a.any, sizeof(a)));
	route = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	nl.nl_pid = 12345;
	CHECK(route >= 0 && !bind(route, (struct sockaddr *)&nl, sizeof(nl)));
	CHECK(!setsockopt(route, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)));
	CHECK(!setsockopt(route, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)));
	plain = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE);
	CHECK(plain >= 0);
}

static void check_udp(void)
{
	union address a = address(AF_INET, 8005);
	static char big[BIG + 1];

	CHECK(receives(v4, "", 8003) && receives(v4, "one", 8003) && receives(v4, "", 8003));
	CHECK(recv(v4, big, sizeof(big), MSG_DONTWAIT) == BIG);
	for (int i = 0; i < BIG; i++)
		CHECK(big[i] == 'b');
	CHECK(recv(v4, big, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	CHECK(receives(v6, "six", 8004) && receives(v6, "seven", 8004));
	CHECK(receives(connected, "early", 8003));
	CHECK(send(connected, "out", 3, 0) == 3 && receives(from4, "out", 8005));
	CHECK(sends(from4, "in", 2, &a) && receives(connected, "in", 8003));
	CHECK(sends(from6, "new", 3, &to6) && receives(v6, "new", 8004));
}

static bool is_member(int fd, int level, const char *group, unsigned mode, unsigned sources)
{
	char room[GROUP_FILTER_SIZE(4)] = {0};
	struct group_filter *f = (void *)room;
	union address a = {.any.sa_family = level == IPPROTO_IP ? AF_INET : AF_INET6};
	socklen_t len = sizeof(room);

	f->gf_interface = if_nametoindex("lo");
	f->gf_numsrc = 4;
	CHECK(inet_pton(a.any.sa_family, group,
			level == IPPROTO_IP ? (void *)&a.in.sin_addr : &a.in6.sin6_addr) == 1);
	memcpy(&f->gf_group, &a, sizeof(a));
	return !getsockopt(fd, level, MCAST_MSFILTER, f, &len) && f->gf_fmode == mode &&
	       f->gf_numsrc == sources;
}

static void check_groups(void)
{
	socklen_t len = sizeof(int);
	int ttl = 0;

	CHECK(is_member(groups4, IPPROTO_IP, "239.1.2.3", MCAST_EXCLUDE, 0));
	CHECK(is_member(groups4, IPPROTO_IP, "239.1.2.4", MCAST_INCLUDE, 1));
	CHECK(!is_member(groups4, IPPROTO_IP, "239.1.2.5", MCAST_EXCLUDE, 0));
	CHECK(is_member(groups6, IPPROTO_IPV6, "ff05::1234", MCAST_EXCLUDE, 0));
	CHECK(!getsockopt(groups4, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, &len) && ttl == 7);
}

static void check_others(void)
{
	union address a = address(AF_INET, 8020), own = {0};
	struct sockaddr_nl nl = {0};
	struct icmp6_filter filter;
	uint32_t groups[4] = {0};
	char name[IFNAMSIZ] = "";
	socklen_t len = sizeof(name);
	int value = 0;

	CHECK(receives(filtered, "short", 8003));
	CHECK(sends(from4, "short", 5, &a) && sends(from4, "longer than that", 16, &a));
	CHECK(receives(filtered, "longer than that", 8003));
	CHECK(setsockopt(filtered, SOL_SOCKET, SO_DETACH_FILTER, &on, sizeof(on)) &&
	      errno == EPERM);
	CHECK(!getsockopt(device, SOL_SOCKET, SO_BINDTODEVICE, name, &len) && !strcmp(name, "lo"));
	len = sizeof(value);
	CHECK(!getsockopt(raw, IPPROTO_IP, IP_HDRINCL, &value, &len) && value == 1);
	CHECK(!getsockopt(raw, SOL_SOCKET, SO_PROTOCOL, &value, &len) && value == 253);
	len = sizeof(filter);
	CHECK(!getsockopt(raw6, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, &len));
	CHECK(ICMP6_FILTER_WILLBLOCK(ICMP6_ECHO_REPLY, &filter));
	len = sizeof(own);
	CHECK(ping < 0 || (!getsockname(ping, &own.any, &len) && own.in.sin_port == htons(4321)));
	len = sizeof(nl);
	CHECK(!getsockname(route, (struct sockaddr *)&nl, &len));
	CHECK(nl.nl_pid == 12345 && nl.nl_groups & RTMGRP_LINK);
	len = sizeof(groups);
	CHECK(!getsockopt(route, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, groups, &len));
	CHECK(groups[0] == (1u << (RTNLGRP_LINK - 1) | 1u << (RTNLGRP_IPV4_IFADDR - 1)));
	len = sizeof(value);
	CHECK(!getsockopt(route, SOL_NETLINK, NETLINK_EXT_ACK, &value, &len) && value == 1);
	len = sizeof(nl);
	CHECK(!getsockname(plain, (struct sockaddr *)&nl, &len) && !nl.nl_pid);
}

static int next = 20;

static int keep(int fd)
{
	CHECK(fd >= 0 && dup2(fd, next) == next && !close(fd));
	return next++;
}

static void open_refused(void)
{
	struct {
		struct nlmsghdr h;
		struct rtgenmsg g;
	} ask = {{sizeof(ask), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {AF_UNSPEC}};
	struct ip_mreqn mreq = {.imr_ifindex = if_nametoindex("lo")};
	union address a = address(AF_INET, 8030), group = address(AF_INET, 8031);
	int fd, frames = socket(AF_PACKET, SOCK_RAW, htons(0x0800 /* ETH_P_IP */));

	CHECK(frames >= 0);
	/* fd 20: an answer that was not read */
	fd = keep(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	CHECK(send(fd, &ask, sizeof(ask), 0) == sizeof(ask));
	/* fd 21: tables may be its own */
	keep(socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
	/* fd 22: nobody was there */
	fd = keep(socket(AF_INET, SOCK_DGRAM, 0));
	CHECK(!connect(fd, &a.any, sizeof(a)) && send(fd, "x", 1, 0) == 1);
	/* fd 23: a datagram to a group */
	group.in.sin_addr.s_addr = INADDR_ANY;
	fd = keep(bound(&group));
	CHECK(inet_pton(AF_INET, "239.1.2.3", &mreq.imr_multiaddr) == 1);
	CHECK(!setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq, sizeof(mreq)));
	CHECK(!setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &mreq, sizeof(mreq)));
	group.in.sin_addr = mreq.imr_multiaddr;
	CHECK(sends(fd, "many", 4, &group));
	/* fd 24: the frames of all these */
	keep(frames);
}

int main(int argc, char **argv)
{
	CHECK(argc >= 2);
	if (argc == 3 && !strcmp(argv[2], "refused")) {
		open_refused();
		ready_and_wait(argv[1]);
		return passed();
	}
	open_udp();
	open_groups();
	open_others();
	ready_and_wait(argv[1]);
	check_udp();
	check_groups();
	check_others();
	return passed();
}
