// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_tcp GO: TCP connections with both ends in the container, over IPv4, IPv6 and
 * IPv4 in IPv6 sockets, with queues, options, and in the states of half-closed ones.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "res.h"
#include "res_inet.h"

#define LONG (700 << 10)

struct pair {
	int client, server;
};

static int listeners[3];
static struct pair plain[3], full[3], half, both, last, finishing, optioned, closed;

static int listening(int family, unsigned port, bool any)
{
	union address a = address(family, port);
	int fd = socket(family, SOCK_STREAM, 0), buffer = 16384, off = 0;

	if (any)
		a.in6.sin6_addr = in6addr_any;
	CHECK(fd >= 0);
	/* inherited by what is accepted: long queues need small buffers at the other end */
	CHECK(!setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)));
	CHECK(!any || !setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)));
	CHECK(!bind(fd, &a.any, sizeof(a)) && !listen(fd, 8));
	return fd;
}

static struct pair connected(int family, int listener, unsigned port)
{
	union address a = address(family, port);
	struct pair p = {.client = socket(family, SOCK_STREAM, 0)};

	CHECK(p.client >= 0 && !connect(p.client, &a.any, sizeof(a)));
	p.server = accept(listener, NULL, NULL);
	CHECK(p.server >= 0);
	return p;
}

static unsigned state_of(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	CHECK(!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info.tcpi_state;
}

static bool gets_state(int fd, unsigned state)
{
	struct timespec ms10 = {0, 10000000};

	for (int i = 0; i < 500 && state_of(fd) != state; i++)
		nanosleep(&ms10, NULL);
	if (state_of(fd) != state)
		printf("state is %u, wanted %u\n", state_of(fd), state);
	return state_of(fd) == state;
}

static void fill(int fd, int seed)
{
	char data[4096];
	int size = 1 << 20;

	CHECK(!setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)));
	for (int at = 0; at < LONG; at += sizeof(data)) {
		for (unsigned i = 0; i < sizeof(data); i++)
			data[i] = (at + i) * 7 + (at >> 10) + seed;
		CHECK(send(fd, data, sizeof(data), MSG_DONTWAIT) == sizeof(data));
	}
}

/* All of it, and then what follows. */
static void drain(int fd, int seed)
{
	for (int at = 0; at < LONG; at += 4096) {
		char data[4096];

		CHECK(recv(fd, data, sizeof(data), MSG_WAITALL) == sizeof(data));
		for (unsigned i = 0; i < sizeof(data); i++)
			CHECK(data[i] == (char)((at + i) * 7 + (at >> 10) + seed));
	}
}

static bool talk(struct pair p)
{
	return writes(p.client, "there") && reads(p.server, "there") && writes(p.server, "back") &&
	       reads(p.client, "back");
}

static void open_options(void)
{
	int on = 1, idle = 123, timeout = 45678;

	optioned = connected(AF_INET, listeners[0], 7001);
	CHECK(!setsockopt(optioned.client, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
	CHECK(!setsockopt(optioned.client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	CHECK(!setsockopt(optioned.client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)));
	CHECK(!setsockopt(optioned.client, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle)));
	CHECK(!setsockopt(optioned.client, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout,
			  sizeof(timeout)));
	CHECK(!setsockopt(optioned.client, SOL_SOCKET, SO_LINGER, &(struct linger){1, 7},
			  sizeof(struct linger)));
}

static void open_halves(void)
{
	/* FIN_WAIT2 and CLOSE_WAIT, data on both ways before */
	half = connected(AF_INET6, listeners[1], 7002);
	CHECK(writes(half.client, "end") && writes(half.server, "more"));
	CHECK(!shutdown(half.client, SHUT_WR));
	CHECK(gets_state(half.client, TCP_FIN_WAIT2) && gets_state(half.server, TCP_CLOSE_WAIT));
	/* a FIN behind data that there is no room for */
	last = connected(AF_INET, listeners[0], 7001);
	fill(last.client, 3);
	CHECK(!shutdown(last.client, SHUT_WR) && state_of(last.client) == TCP_FIN_WAIT1);
	/* and with the other end closed: LAST_ACK and FIN_WAIT2 */
	finishing = connected(AF_INET, listeners[0], 7001);
	fill(finishing.client, 4);
	CHECK(!shutdown(finishing.server, SHUT_WR));
	CHECK(gets_state(finishing.server, TCP_FIN_WAIT2));
	CHECK(!shutdown(finishing.client, SHUT_WR) && state_of(finishing.client) == TCP_LAST_ACK);
	/* both at an end */
	closed = connected(AF_INET, listeners[0], 7001);
	CHECK(!shutdown(closed.client, SHUT_WR) && !shutdown(closed.server, SHUT_WR));
	CHECK(gets_state(closed.server, TCP_CLOSE));
	/* both closing with data before */
	both = connected(AF_INET, listeners[0], 7001);
	fill(both.client, 5);
	fill(both.server, 6);
	CHECK(!shutdown(both.client, SHUT_WR) && !shutdown(both.server, SHUT_WR));
}

static void open_all(void)
{
	static const int families[] = {AF_INET, AF_INET6, AF_INET};

	listeners[0] = listening(AF_INET, 7001, false);
	listeners[1] = listening(AF_INET6, 7002, false);
	/* connections from IPv4 to an IPv6 socket */
	listeners[2] = listening(AF_INET6, 7003, true);
	for (int i = 0; i < 3; i++) {
		plain[i] = connected(families[i], listeners[i], 7001 + i);
		CHECK(writes(plain[i].client, "queued"));
		full[i] = connected(families[i], listeners[i], 7001 + i);
		fill(full[i].client, i);
		CHECK(talk(connected(families[i], listeners[i], 7001 + i)));
	}
	open_options();
	open_halves();
}

static int option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	CHECK(!getsockopt(fd, level, name, &value, &len));
	return value;
}

static void check_options(void)
{
	struct linger linger;
	char name[16] = "";
	socklen_t len = sizeof(name);

	CHECK(!getsockopt(optioned.client, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	CHECK(!strcmp(name, "reno"));
	CHECK(option(optioned.client, IPPROTO_TCP, TCP_NODELAY) == 1);
	CHECK(option(optioned.client, SOL_SOCKET, SO_KEEPALIVE) == 1);
	CHECK(option(optioned.client, SOL_SOCKET, SO_REUSEADDR) == 0);
	CHECK(option(optioned.client, IPPROTO_TCP, TCP_KEEPIDLE) == 123);
	CHECK(option(optioned.client, IPPROTO_TCP, TCP_USER_TIMEOUT) == 45678);
	len = sizeof(linger);
	CHECK(!getsockopt(optioned.client, SOL_SOCKET, SO_LINGER, &linger, &len));
	CHECK(linger.l_onoff && linger.l_linger == 7);
	CHECK(talk(optioned));
}

static void check_halves(void)
{
	char c;

	CHECK(state_of(half.client) == TCP_FIN_WAIT2 && state_of(half.server) == TCP_CLOSE_WAIT);
	CHECK(reads(half.server, "end") && !read(half.server, &c, 1) && reads(half.client, "more"));
	CHECK(writes(half.server, "on") && reads(half.client, "on"));
	CHECK(!shutdown(half.server, SHUT_WR) && !read(half.client, &c, 1));
	drain(last.server, 3);
	CHECK(!read(last.server, &c, 1) && gets_state(last.client, TCP_FIN_WAIT2));
	CHECK(writes(last.server, "reply") && reads(last.client, "reply"));
	CHECK(!read(finishing.client, &c, 1));
	drain(finishing.server, 4);
	CHECK(!read(finishing.server, &c, 1) && gets_state(finishing.client, TCP_CLOSE));
	CHECK(!read(closed.server, &c, 1));
	CHECK(send(closed.server, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	drain(both.server, 5);
	drain(both.client, 6);
	CHECK(!read(both.server, &c, 1) && !read(both.client, &c, 1));
}

int main(int argc, char **argv)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	CHECK(argc == 2);
	alarm(120);
	open_all();
	ready_and_wait(argv[1]);
	for (int i = 0; i < 3; i++) {
		CHECK(reads(plain[i].server, "queued") && talk(plain[i]));
		drain(full[i].server, i);
		CHECK(talk(full[i]));
		CHECK(!getsockopt(full[i].client, IPPROTO_TCP, TCP_INFO, &info, &len));
		CHECK(info.tcpi_options & TCPI_OPT_SACK && info.tcpi_options & TCPI_OPT_TIMESTAMPS);
		CHECK(info.tcpi_options & TCPI_OPT_WSCALE);
	}
	CHECK(talk(connected(AF_INET, listeners[0], 7001)));
	CHECK(talk(connected(AF_INET6, listeners[1], 7002)));
	check_options();
	check_halves();
	return passed();
}
