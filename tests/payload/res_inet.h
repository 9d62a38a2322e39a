/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses of the loopback device, of either family. */
#ifndef FIRN_TESTS_RES_INET_H
#define FIRN_TESTS_RES_INET_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static inline union address address(int family, unsigned port)
{
	union address a = {.in = {.sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr = {htonl(INADDR_LOOPBACK)}}};

	if (family == AF_INET6)
		a.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
					      .sin6_port = htons(port),
					      .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	return a;
}

#endif
