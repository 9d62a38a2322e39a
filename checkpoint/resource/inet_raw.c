// SPDX-License-Identifier: GPL-2.0-only
/* Packets to a container as if from elsewhere, through its loopback device. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "checkpoint/resource/inet.h"
#include "util/cleanup.h"
#include "util/error.h"

union header {
	struct iphdr v4;
	struct ip6_hdr v6;
};

static uint32_t add_words(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? bytes[i] : bytes[i] << 8;
	return sum;
}

/* RFC 9293, 3.1 and RFC 768: over a header of addresses, length and protocol, and the segment. */
static uint16_t checksum(const void *from, const void *to, size_t address_len, int protocol,
			 const void *segment, size_t len)
{
	uint64_t sum = add_words(add_words(0, from, address_len), to, address_len);

	sum += protocol + (len & 0xffff) + (len >> 16) + add_words(0, segment, len);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	/* of UDP zero means that there is none */
	return sum == 0xffff ? 0xffff : htons(~sum);
}

static size_t make_header(union header *ip, const union inet_address *from,
			  const union inet_address *to, int protocol, size_t len)
{
	if (to->any.sa_family == AF_INET) {
		ip->v4 = (struct iphdr){.version = 4,
					.ihl = 5,
					.ttl = 64,
					.protocol = protocol,
					.tot_len = htons(sizeof(ip->v4) + len),
					.saddr = from->in.sin_addr.s_addr,
					.daddr = to->in.sin_addr.s_addr};
		return sizeof(ip->v4);
	}
	ip->v6 = (struct ip6_hdr){.ip6_src = from->in6.sin6_addr, .ip6_dst = to->in6.sin6_addr};
	ip->v6.ip6_flow = htonl(6u << 28);
	ip->v6.ip6_plen = htons(len);
	ip->v6.ip6_nxt = protocol;
	ip->v6.ip6_hlim = 64;
	return sizeof(ip->v6);
}

/* An IPv6 socket that talks IPv4. */
static void unmap(union inet_address *a)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = a->in6.sin6_port};

	if (a->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
		return;
	memcpy(&in.sin_addr, (const uint8_t *)&a->in6.sin6_addr + 12, 4);
	memset(a, 0, sizeof(*a));
	a->in = in;
}

static const void *host_of(const union inet_address *a)
{
	return a->any.sa_family == AF_INET6 ? (const void *)&a->in6.sin6_addr : &a->in.sin_addr;
}

/*
 * An image says where to: it must be here. Binding tells, but takes groups and
 * broadcast addresses, too; a connection to the latter is refused.
 */
static int check_local(struct restore *r, const union inet_address *to, struct error **err)
{
	union inet_address any_port = *to;
	__cleanup_fd int fd = -1, other = -1;
	bool group = to->any.sa_family == AF_INET6 ? IN6_IS_ADDR_MULTICAST(&to->in6.sin6_addr)
						   : IN_MULTICAST(ntohl(to->in.sin_addr.s_addr));
	int ret = socket_make(r->init, to->any.sa_family, SOCK_DGRAM, 0, &fd, err);

	if (!ret)
		ret = socket_make(r->init, to->any.sa_family, SOCK_DGRAM, 0, &other, err);
	if (ret)
		return ret;
	any_port.in.sin_port = 0;
	if (!group && !bind(fd, &any_port.any, inet_size(to)) &&
	    (!connect(other, &to->any, inet_size(to)) || errno != EACCES))
		return 0;
	return error_set(err, EADDRNOTAVAIL, "an address that is not the container's own");
}

int inet_inject(struct restore *r, const union inet_address *sender,
		const union inet_address *receiver, int protocol, void *segment, size_t len,
		size_t checksum_at, struct error **err)
{
	union inet_address from = *sender, to = *receiver;
	uint32_t mark = NET_HOLD_MARK;
	__cleanup_fd int raw = -1;
	struct iovec iov[2];
	struct msghdr msg = {.msg_name = &to, .msg_iov = iov, .msg_iovlen = 2};
	uint16_t sum = 0;
	union header ip;
	int ret;

	unmap(&from);
	unmap(&to);
	if (from.any.sa_family != to.any.sa_family)
		return error_set(err, EBADMSG, "addresses of different families");
	ret = check_local(r, &to, err);
	if (ret)
		return ret;
	memcpy((char *)segment + checksum_at, &sum, sizeof(sum));
	sum = checksum(host_of(&from), host_of(&to), to.any.sa_family == AF_INET ? 4 : 16, protocol,
		       segment, len);
	memcpy((char *)segment + checksum_at, &sum, sizeof(sum));
	iov[0] = (struct iovec){&ip, make_header(&ip, &from, &to, protocol, len)};
	iov[1] = (struct iovec){segment, len};
	msg.msg_namelen = inet_size(&to);
	/* of a raw socket it is the protocol */
	to.in.sin_port = 0;
	ret = socket_make(r->init, to.any.sa_family, SOCK_RAW, IPPROTO_RAW, &raw, err);
	if (ret)
		return ret;
	setsockopt(raw, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	if (sendmsg(raw, &msg, 0) < 0) {
		error_errno(err, errno, "sending a packet to the container itself");
		return error_hint(err, "is its loopback device up?");
	}
	return 0;
}
