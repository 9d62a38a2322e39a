// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_sockets GO [tcp]: unix sockets of all types with messages in them, listeners,
 * TCP and UDP. With "tcp" a connection that is to come back reset.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "res.h"

#define PATH "/tmp/sock"
#define PORT 7777

static struct {
	int stream[2], datagram[2], packet[2], half;
	int listener, client, accepted, abstract, bound;
	int tcp, tcp6, udp, sender, fresh;
	int near, far; /* established */
} own;

static const int on = 1;

static socklen_t address(struct sockaddr_un *un, const char *name)
{
	*un = (struct sockaddr_un){.sun_family = AF_UNIX};
	strcpy(un->sun_path, name);
	if (*name != '@')
		return sizeof(*un);
	un->sun_path[0] = '\0';
	return offsetof(struct sockaddr_un, sun_path) + strlen(name);
}

static int bound_to(const char *name, int type)
{
	struct sockaddr_un un;
	socklen_t len = address(&un, name);
	int fd = socket(AF_UNIX, type, 0);

	CHECK(fd >= 0 && !bind(fd, (struct sockaddr *)&un, len));
	return fd;
}

static int connected_to(const char *name, int type)
{
	struct sockaddr_un un;
	socklen_t len = address(&un, name);
	int fd = socket(AF_UNIX, type, 0);

	CHECK(fd >= 0 && !connect(fd, (struct sockaddr *)&un, len));
	return fd;
}

static int connected_to_port(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(PORT),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof(to)));
	return fd;
}

static int option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	CHECK(!getsockopt(fd, level, name, &value, &len));
	return value;
}

static void open_pairs(void)
{
	struct timeval five = {5, 0};
	int closed[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, own.stream));
	CHECK(writes(own.stream[0], "abc") && writes(own.stream[1], "xyz1"));
	CHECK(!setsockopt(own.stream[0], SOL_SOCKET, SO_RCVTIMEO, &five, sizeof(five)));
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, own.datagram));
	CHECK(writes(own.datagram[0], "one") && writes(own.datagram[0], "three"));
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, own.packet));
	CHECK(writes(own.packet[0], "p1") && writes(own.packet[0], "p22"));
	CHECK(!shutdown(own.packet[0], SHUT_WR));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, closed) && writes(closed[0], "last"));
	CHECK(!close(closed[0]));
	own.half = closed[1];
}

static void open_names(void)
{
	own.listener = bound_to(PATH, SOCK_STREAM);
	own.abstract = bound_to("@abstract", SOCK_SEQPACKET);
	own.bound = bound_to("/tmp/datagrams", SOCK_DGRAM);
	CHECK(!listen(own.listener, 5) && !listen(own.abstract, 7) && !chmod(PATH, 0622));
	own.client = connected_to(PATH, SOCK_STREAM);
	own.accepted = accept(own.listener, NULL, NULL);
	CHECK(own.accepted >= 0 && writes(own.client, "request"));
}

static void open_inet(void)
{
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	own.tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK(!setsockopt(own.tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	CHECK(!setsockopt(own.tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	CHECK(!bind(own.tcp, (struct sockaddr *)&any, sizeof(any)) && !listen(own.tcp, 33));
	own.tcp6 = socket(AF_INET6, SOCK_STREAM, 0);
	CHECK(!setsockopt(own.tcp6, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	CHECK(!bind(own.tcp6, (struct sockaddr *)&any6, sizeof(any6)) && !listen(own.tcp6, 3));
	own.udp = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(!bind(own.udp, (struct sockaddr *)&any, sizeof(any)));
	own.sender = socket(AF_INET, SOCK_DGRAM, 0);
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(!connect(own.sender, (struct sockaddr *)&any, sizeof(any)));
	own.fresh = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!setsockopt(own.fresh, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)));
}

static void check_pairs(void)
{
	struct timeval tv;
	socklen_t len = sizeof(tv);
	char c;

	CHECK(reads(own.stream[1], "abc") && reads(own.stream[0], "xyz1"));
	CHECK(writes(own.stream[0], "on") && reads(own.stream[1], "on"));
	CHECK(!getsockopt(own.stream[0], SOL_SOCKET, SO_RCVTIMEO, &tv, &len) && tv.tv_sec == 5);
	CHECK(reads(own.datagram[1], "one") && reads(own.datagram[1], "three"));
	CHECK(reads(own.packet[1], "p1") && reads(own.packet[1], "p22"));
	CHECK(recv(own.packet[1], &c, 1, 0) == 0);
	CHECK(send(own.packet[0], "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	CHECK(writes(own.packet[1], "back") && reads(own.packet[0], "back"));
	CHECK(fcntl(own.packet[0], F_GETFL) & O_NONBLOCK);
	CHECK(reads(own.half, "last") && read(own.half, &c, 1) == 0);
}

static void check_names(void)
{
	struct sockaddr_un un = {0};
	socklen_t len = sizeof(un);
	struct stat st;
	int fd;

	CHECK(!stat(PATH, &st) && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0622);
	CHECK(reads(own.accepted, "request") && writes(own.accepted, "reply"));
	CHECK(reads(own.client, "reply"));
	CHECK(!getsockname(own.accepted, (struct sockaddr *)&un, &len));
	CHECK(!strcmp(un.sun_path, PATH));
	len = sizeof(un);
	CHECK(!getpeername(own.client, (struct sockaddr *)&un, &len));
	CHECK(!strcmp(un.sun_path, PATH));
	/* newcomers find both listeners */
	fd = connected_to(PATH, SOCK_STREAM);
	CHECK(writes(fd, "new") && reads(accept(own.listener, NULL, NULL), "new"));
	fd = connected_to("@abstract", SOCK_SEQPACKET);
	CHECK(writes(fd, "new") && reads(accept(own.abstract, NULL, NULL), "new"));
	fd = connected_to("/tmp/datagrams", SOCK_DGRAM);
	CHECK(writes(fd, "new") && reads(own.bound, "new"));
}

static void check_inet(void)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int fd;

	CHECK(option(own.tcp, IPPROTO_TCP, TCP_NODELAY) == 1);
	CHECK(option(own.tcp, SOL_SOCKET, SO_REUSEADDR) == 1);
	CHECK(option(own.tcp6, SOL_SOCKET, SO_REUSEADDR) == 0);
	CHECK(option(own.tcp6, IPPROTO_IPV6, IPV6_V6ONLY) == 1);
	CHECK(option(own.fresh, SOL_SOCKET, SO_KEEPALIVE) == 1);
	/* of a listener this is the length of its queue */
	CHECK(!getsockopt(own.tcp, IPPROTO_TCP, TCP_INFO, &info, &len));
	CHECK(info.tcpi_sacked == 33);
	fd = connected_to_port();
	CHECK(writes(fd, "new") && reads(accept(own.tcp, NULL, NULL), "new"));
	CHECK(writes(own.sender, "datagram") && reads(own.udp, "datagram"));
}

static void check_reset(void)
{
	struct pollfd p = {.fd = own.near, .events = POLLIN};
	char c;

	CHECK(poll(&p, 1, 0) == 1 && p.revents & POLLHUP && p.revents & POLLERR);
	CHECK(read(own.far, &c, 1) < 0 && errno == ECONNABORTED);
}

int main(int argc, char **argv)
{
	bool tcp = argc == 3 && !strcmp(argv[2], "tcp");
	struct pollfd p;

	CHECK(argc >= 2);
	open_pairs();
	open_names();
	open_inet();
	if (tcp) {
		own.near = connected_to_port();
		p = (struct pollfd){.fd = own.tcp, .events = POLLIN};
		CHECK(poll(&p, 1, 5000) == 1);
		own.far = accept(own.tcp, NULL, NULL);
		CHECK(own.far >= 0);
	}
	ready_and_wait(argv[1]);
	check_pairs();
	check_names();
	check_inet();
	if (tcp)
		check_reset();
	return passed();
}
