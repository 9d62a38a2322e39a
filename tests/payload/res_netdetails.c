// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_netdetails GO: of sockets what is easily lost. Rare options, halves of datagram sockets
 * that are shut down, options that were taken back once they had done their work, the other
 * end of a connection that has ended.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "res.h"

#ifndef SO_PEERNAME
#define SO_PEERNAME 28
#endif

static int options, cork, half, absent, listener, again, ended;
static struct sockaddr_in there;

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void set(int fd, int level, int name, int value)
{
	CHECK(!setsockopt(fd, level, name, &value, sizeof(value)));
}

static int get(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	CHECK(!getsockopt(fd, level, name, &value, &len));
	return value;
}

static int listening(int port)
{
	struct sockaddr_in a = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	CHECK(!bind(fd, (void *)&a, sizeof(a)) && !listen(fd, 1));
	return fd;
}

static void set_datagrams(void)
{
	struct sockaddr_in a = loopback(7001), elsewhere = {.sin_family = AF_INET};

	options = socket(AF_INET, SOCK_DGRAM, 0);
	set(options, SOL_SOCKET, SO_NO_CHECK, 1);
	half = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(!bind(half, (void *)&a, sizeof(a)) && !connect(half, (void *)&a, sizeof(a)));
	CHECK(!shutdown(half, SHUT_WR));
	absent = socket(AF_INET, SOCK_DGRAM, 0);
	elsewhere.sin_addr.s_addr = inet_addr("192.0.2.7");
	set(absent, IPPROTO_IP, IP_FREEBIND, 1);
	CHECK(!bind(absent, (void *)&elsewhere, sizeof(elsewhere)));
	set(absent, IPPROTO_IP, IP_FREEBIND, 0);
}

static void check_datagrams(void)
{
	struct sockaddr_in a = loopback(7001), name = {0};
	int other = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = sizeof(name);

	CHECK(get(options, SOL_SOCKET, SO_NO_CHECK) == 1);
	CHECK(send(half, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	CHECK(recv(half, &name, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	CHECK(!getsockname(absent, (void *)&name, &len));
	CHECK(name.sin_addr.s_addr == inet_addr("192.0.2.7"));
	CHECK(!get(absent, IPPROTO_IP, IP_FREEBIND));
	a.sin_port = htons(7002);
	CHECK(!bind(other, (void *)&a, sizeof(a)));
}

static void set_streams(void)
{
	socklen_t len = sizeof(there);
	struct sockaddr_in a = loopback(7003);
	int accepted;

	cork = socket(AF_INET, SOCK_STREAM, 0);
	set(cork, IPPROTO_TCP, TCP_CORK, 1);
	listener = listening(7003);
	ended = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(ended, (void *)&a, sizeof(a)));
	accepted = accept(listener, NULL, NULL);
	/* the other end closes first, so that this one does not wait for the time to pass */
	CHECK(accepted >= 0 && !close(accepted) && reads(ended, "") && !shutdown(ended, SHUT_WR));
	while (get(ended, SOL_SOCKET, SO_ERROR) || recv(ended, &len, 1, MSG_DONTWAIT) > 0)
		;
	len = sizeof(there);
	CHECK(!getsockopt(ended, SOL_SOCKET, SO_PEERNAME, &there, &len));
	again = listening(7003);
	set(listener, SOL_SOCKET, SO_REUSEPORT, 0);
}

static void check_streams(void)
{
	struct sockaddr_in got = {0};
	socklen_t len = sizeof(got);

	CHECK(get(cork, IPPROTO_TCP, TCP_CORK) == 1);
	CHECK(!get(listener, SOL_SOCKET, SO_REUSEPORT) && get(again, SOL_SOCKET, SO_REUSEPORT));
	CHECK(get(listener, SOL_SOCKET, SO_ACCEPTCONN) && get(again, SOL_SOCKET, SO_ACCEPTCONN));
	CHECK(reads(ended, ""));
	CHECK(send(ended, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	CHECK(!getsockopt(ended, SOL_SOCKET, SO_PEERNAME, &got, &len));
	CHECK(got.sin_port == there.sin_port && got.sin_addr.s_addr == there.sin_addr.s_addr);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	set_datagrams();
	set_streams();
	ready_and_wait(argv[1]);
	check_datagrams();
	check_streams();
	return passed();
}
