// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_packet GO [refused]: packet sockets: with a filter, options and memberships; bound to lo,
 * bound to none, of the obsolete kind; two in a fanout group; two with rings that were not used,
 * of which one is mapped.
 * They receive what they did. "refused": what cannot be saved, from descriptor 20 on.
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "res.h"

#define IP     0x0800
#define ARP    0x0806
#define SNAP   64
#define FRAME  2048
#define FANOUT 77
#define PROMISCUOUS                                                                                \
	(struct packet_mreq)                                                                       \
	{                                                                                          \
		.mr_ifindex = 1, .mr_type = PACKET_MR_PROMISC                                      \
	}

static int filtered, deaf, obsolete, group[2], ring, mapped;
static struct tpacket2_hdr *frames;

static int make(int type, int protocol)
{
	int fd = socket(AF_PACKET, type | SOCK_CLOEXEC, htons(protocol));

	CHECK(fd >= 0);
	return fd;
}

static void bind_to(int fd, int protocol, int index)
{
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = index};

	CHECK(!bind(fd, (struct sockaddr *)&a, sizeof(a)));
}

static int is_bound(int fd, int protocol, int index)
{
	struct sockaddr_ll a = {0};
	socklen_t len = sizeof(a);

	CHECK(!getsockname(fd, (struct sockaddr *)&a, &len));
	return a.sll_family == AF_PACKET && a.sll_protocol == htons(protocol) &&
	       a.sll_ifindex == index;
}

static void set(int fd, int name, int value)
{
	CHECK(!setsockopt(fd, SOL_PACKET, name, &value, sizeof(value)));
}

static int get(int fd, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	CHECK(!getsockopt(fd, SOL_PACKET, name, &value, &len));
	return value;
}

static void make_ring(int fd, int version)
{
	struct tpacket_req3 req = {.tp_block_size = 2 * FRAME,
				   .tp_block_nr = 4,
				   .tp_frame_size = FRAME,
				   .tp_frame_nr = 8};

	set(fd, PACKET_VERSION, version);
	set(fd, PACKET_RESERVE, 32);
	CHECK(!setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req,
			  version == TPACKET_V3 ? sizeof(req) : sizeof(struct tpacket_req)));
}

static struct tpacket2_hdr *map_ring(int fd)
{
	void *p = mmap(NULL, 8 * FRAME, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* One datagram through lo: frames of IP for all who listen there. */
static void send_one(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char data[200] = "data";

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&to, sizeof(to)) ==
	      sizeof(data));
	close(fd);
}

static int is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

/* As often as it was asked to be: the socket's own count is not shown. */
static int lo_is_promiscuous(void)
{
	char text[32] = "";
	int fd = open("/sys/class/net/lo/flags", O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return strtoul(text, NULL, 16) & IFF_PROMISC;
}

static void open_all(void)
{
	struct sock_filter rows[] = {BPF_STMT(BPF_RET | BPF_K, SNAP)};
	struct sock_fprog filter = {1, rows};
	struct sockaddr old = {.sa_family = AF_PACKET, .sa_data = "lo"};

	filtered = make(SOCK_RAW, 0);
	CHECK(!setsockopt(filtered, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)));
	set(filtered, PACKET_AUXDATA, 1);
	set(filtered, PACKET_ORIGDEV, 1);
	CHECK(!fcntl(filtered, F_SETFL, O_NONBLOCK));
	for (int i = 0; i < 2; i++)
		CHECK(!setsockopt(filtered, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &PROMISCUOUS,
				  sizeof(PROMISCUOUS)));
	bind_to(filtered, IP, 1);
	deaf = make(SOCK_DGRAM, ARP);
	obsolete = make(SOCK_PACKET, IP);
	CHECK(!bind(obsolete, &old, sizeof(old)));
	for (int i = 0; i < 2; i++) {
		group[i] = make(SOCK_DGRAM, 0);
		bind_to(group[i], IP, 1);
		set(group[i], PACKET_FANOUT, FANOUT | PACKET_FANOUT_CPU << 16);
	}
	ring = make(SOCK_RAW, 0);
	make_ring(ring, TPACKET_V2);
	bind_to(ring, IP, 1);
	mapped = make(SOCK_RAW, 0);
	make_ring(mapped, TPACKET_V2);
	bind_to(mapped, IP, 1);
	frames = map_ring(mapped);
}

static void check_ring(int fd, const struct tpacket2_hdr *first)
{
	CHECK(get(fd, PACKET_VERSION) == TPACKET_V2 && get(fd, PACKET_RESERVE) == 32);
	CHECK(first->tp_status & TP_STATUS_USER && first->tp_len > 200);
}

static void check_all(void)
{
	struct sockaddr old = {0};
	socklen_t len = sizeof(old);
	char frame[4096];

	CHECK(is_bound(filtered, IP, 1) && is_bound(deaf, ARP, 0) && is_bound(ring, IP, 1));
	CHECK(!getsockname(obsolete, &old, &len) && !strcmp(old.sa_data, "lo"));
	CHECK(get(filtered, PACKET_AUXDATA) == 1 && get(filtered, PACKET_ORIGDEV) == 1);
	CHECK(get(filtered, PACKET_VERSION) == TPACKET_V1 && !get(deaf, PACKET_AUXDATA));
	CHECK(fcntl(filtered, F_GETFL) & O_NONBLOCK);
	for (int i = 0; i < 2; i++) {
		CHECK(get(group[i], PACKET_FANOUT) == (FANOUT | PACKET_FANOUT_CPU << 16));
		CHECK(lo_is_promiscuous());
		CHECK(!setsockopt(filtered, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &PROMISCUOUS,
				  sizeof(PROMISCUOUS)));
	}
	CHECK(!lo_is_promiscuous());
	CHECK(!is_readable(filtered) && !is_readable(obsolete) && !is_readable(ring));
	send_one();
	CHECK(recv(filtered, frame, sizeof(frame), 0) == SNAP);
	CHECK(recv(obsolete, frame, sizeof(frame), 0) > 200 && !is_readable(deaf));
	CHECK(is_readable(group[0]) != is_readable(group[1]));
	check_ring(ring, map_ring(ring));
	check_ring(mapped, frames);
}

static void keep(int fd)
{
	static int number = 20;

	CHECK(dup2(fd, number++) >= 0);
	close(fd);
}

static void open_refused(void)
{
	int used = make(SOCK_RAW, IP);

	make_ring(used, TPACKET_V2);
	keep(make(SOCK_RAW, IP));
	keep(used);
	send_one();
	used = make(SOCK_RAW, 0);
	make_ring(used, TPACKET_V3);
	keep(used);
	/* fd 23: its one packet was taken */
	used = make(SOCK_RAW, IP);
	make_ring(used, TPACKET_V2);
	frames = map_ring(used);
	send_one();
	for (int i = 0; i < 8; i++)
		((struct tpacket2_hdr *)((char *)frames + i * FRAME))->tp_status = TP_STATUS_KERNEL;
	keep(used);
}

int main(int argc, char **argv)
{
	CHECK(argc > 1);
	if (argc > 2) {
		open_refused();
		ready_and_wait(argv[1]);
		return passed();
	}
	open_all();
	ready_and_wait(argv[1]);
	check_all();
	return passed();
}
