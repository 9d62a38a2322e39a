// SPDX-License-Identifier: GPL-2.0-only
/* What sockets of all families have in common: namespace and options. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#ifndef SO_TXREHASH
#define SO_TXREHASH 74
#endif
#ifndef TCP_USER_TIMEOUT
#define TCP_USER_TIMEOUT 18
#endif

/*
 * Options that are an int. The index is part of the image format: new ones go
 * to the end. One that a socket does not know is left out.
 */
static const struct {
	int level, name;
} options[] = {
	{SOL_SOCKET, SO_REUSEADDR},
	{SOL_SOCKET, SO_REUSEPORT},
	{SOL_SOCKET, SO_KEEPALIVE},
	{SOL_SOCKET, SO_BROADCAST},
	{SOL_SOCKET, SO_OOBINLINE},
	{SOL_SOCKET, SO_DONTROUTE},
	{SOL_SOCKET, SO_PASSCRED},
	{SOL_SOCKET, SO_TIMESTAMP},
	{SOL_SOCKET, SO_RCVLOWAT},
	{SOL_SOCKET, SO_PRIORITY},
	{SOL_SOCKET, SO_MARK},
	{SOL_SOCKET, SO_BUSY_POLL},
	{IPPROTO_IPV6, IPV6_V6ONLY},
	{IPPROTO_IP, IP_TOS},
	{IPPROTO_IP, IP_TTL},
	{IPPROTO_IP, IP_FREEBIND},
	{IPPROTO_IP, IP_TRANSPARENT},
	{IPPROTO_IP, IP_PKTINFO},
	{IPPROTO_IPV6, IPV6_RECVPKTINFO},
	{IPPROTO_TCP, TCP_NODELAY},
	{IPPROTO_TCP, TCP_KEEPIDLE},
	{IPPROTO_TCP, TCP_KEEPINTVL},
	{IPPROTO_TCP, TCP_KEEPCNT},
	{IPPROTO_TCP, TCP_DEFER_ACCEPT},
	{IPPROTO_TCP, TCP_USER_TIMEOUT},
	{IPPROTO_TCP, TCP_FASTOPEN},
	{IPPROTO_TCP, TCP_SYNCNT},
	{IPPROTO_TCP, TCP_QUICKACK},
	{SOL_SOCKET, SO_BUF_LOCK}, /* behind the buffers, which set it */
};
#define OPTION_COUNT (sizeof(options) / sizeof(*options))
_Static_assert(OPTION_COUNT <= 32, "known is a mask of 32 bits");

static int get_int(int fd, int level, int name, int *value)
{
	socklen_t len = sizeof(*value);

	*value = 0;
	return getsockopt(fd, level, name, value, &len) ? -errno : 0;
}

/* A unix socket answers IPPROTO_IP's questions with an error; SOL_TCP is asked of TCP only. */
static bool applies(size_t i, int domain, int type)
{
	if (options[i].level == SOL_SOCKET)
		return true;
	if (domain != AF_INET && domain != AF_INET6)
		return false;
	if (options[i].level == IPPROTO_IPV6)
		return domain == AF_INET6;
	/* quick acknowledgements are the connection's mood, not a setting */
	if (options[i].name == TCP_QUICKACK && options[i].level == IPPROTO_TCP)
		return false;
	return options[i].level != IPPROTO_TCP || type == SOCK_STREAM;
}

bool description_is_socket(const struct description *d, int domain)
{
	int value;

	return S_ISSOCK(d->st.st_mode) && !(d->open_flags & O_PATH) &&
	       !get_int(d->fd, SOL_SOCKET, SO_DOMAIN, &value) && value == domain;
}

/* What an option must be, for nothing here saves it. */
static int admit_options(struct checkpoint *c, const struct description *d)
{
	struct linger linger = {0};
	char device[64] = "";
	socklen_t len = sizeof(linger);
	const char *what = NULL;

	if (!getsockopt(d->fd, SOL_SOCKET, SO_LINGER, &linger, &len) && linger.l_onoff)
		what = "SO_LINGER";
	len = sizeof(device);
	if (!getsockopt(d->fd, SOL_SOCKET, SO_BINDTODEVICE, device, &len) && *device)
		what = "SO_BINDTODEVICE";
	len = 0;
	if (!getsockopt(d->fd, SOL_SOCKET, SO_GET_FILTER, NULL, &len) && len)
		what = "a filter";
	if (!what)
		return 0;
	return description_block(c, d, "let the program do without the option", "socket with %s",
				 what)
		       ? -ENOMEM
		       : 1;
}

int socket_is_inside(struct checkpoint *c, const struct description *d, struct error **err)
{
	__cleanup_fd int ns = ioctl(d->fd, SIOCGSKNS);
	struct stat ours, inits;
	char path[64];

	if (ns < 0)
		return error_errno(err, errno, "asking for a socket's network namespace");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", c->request->init);
	if (fstat(ns, &ours) || stat(path, &inits))
		return error_errno(err, errno, "comparing network namespaces");
	return ours.st_ino == inits.st_ino && ours.st_dev == inits.st_dev;
}

int socket_admit(struct checkpoint *c, const struct description *d, struct error **err)
{
	int inside = socket_is_inside(c, d, err);

	if (inside < 0)
		return inside;
	if (!inside)
		return description_block(c, d, "close it for the checkpoint",
					 "socket of another network namespace")
			       ? -ENOMEM
			       : 1;
	return admit_options(c, d);
}

static uint64_t get_timeout(int fd, int name)
{
	struct timeval tv = {0};
	socklen_t len = sizeof(tv);

	if (getsockopt(fd, SOL_SOCKET, name, &tv, &len))
		return 0;
	return tv.tv_sec * 1000000000ull + tv.tv_usec * 1000ull;
}

int socket_save_options(int fd, struct ckpt_socket_options *saved, struct error **err)
{
	int domain, type, value;

	if (get_int(fd, SOL_SOCKET, SO_DOMAIN, &domain) || get_int(fd, SOL_SOCKET, SO_TYPE, &type))
		return error_errno(err, errno, "asking for a socket's type");
	*saved = (struct ckpt_socket_options){0};
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (!applies(i, domain, type) ||
		    get_int(fd, options[i].level, options[i].name, &value))
			continue;
		saved->known |= 1u << i;
		saved->values[i] = value;
	}
	get_int(fd, SOL_SOCKET, SO_SNDBUF, &value);
	saved->sndbuf = value;
	get_int(fd, SOL_SOCKET, SO_RCVBUF, &value);
	saved->rcvbuf = value;
	saved->rcvtimeo = get_timeout(fd, SO_RCVTIMEO);
	saved->sndtimeo = get_timeout(fd, SO_SNDTIMEO);
	return 0;
}

/* The kernel doubles what is set and shows the double. */
static void load_buffer(int fd, int name, int force, uint32_t wanted)
{
	int value, half = wanted / 2;

	get_int(fd, SOL_SOCKET, name, &value);
	if ((uint32_t)value != wanted && setsockopt(fd, SOL_SOCKET, force, &half, sizeof(half)))
		setsockopt(fd, SOL_SOCKET, name, &half, sizeof(half));
}

static int load_timeout(int fd, int name, uint64_t ns, struct error **err)
{
	struct timeval tv = {ns / 1000000000, ns % 1000000000 / 1000};

	if (ns && setsockopt(fd, SOL_SOCKET, name, &tv, sizeof(tv)))
		return error_errno(err, errno, "setting a socket's timeout");
	return 0;
}

int socket_load_options(int fd, const struct ckpt_socket_options *saved, struct error **err)
{
	int domain, type, ret;

	if (get_int(fd, SOL_SOCKET, SO_DOMAIN, &domain) || get_int(fd, SOL_SOCKET, SO_TYPE, &type))
		return error_errno(err, errno, "asking for a socket's type");
	load_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE, saved->sndbuf);
	load_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE, saved->rcvbuf);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		int now;

		/* only what differs: setting some has side effects */
		if (!(saved->known & 1u << i) || !applies(i, domain, type) ||
		    get_int(fd, options[i].level, options[i].name, &now) || now == saved->values[i])
			continue;
		if (setsockopt(fd, options[i].level, options[i].name, &saved->values[i],
			       sizeof(saved->values[i])))
			return error_errno(err, errno, "setting a socket's option %d/%d to %d",
					   options[i].level, options[i].name, saved->values[i]);
	}
	ret = load_timeout(fd, SO_RCVTIMEO, saved->rcvtimeo, err);
	return ret ? ret : load_timeout(fd, SO_SNDTIMEO, saved->sndtimeo, err);
}

/* --- making them --- */

struct make {
	int domain, type, protocol;
	bool pair;
	int fds[2];
};

static int make(void *ctx, struct error **err)
{
	struct make *m = ctx;

	if (m->pair) {
		if (socketpair(m->domain, m->type | SOCK_CLOEXEC, 0, m->fds))
			return error_errno(err, errno, "making a pair of sockets");
		return 0;
	}
	m->fds[0] = socket(m->domain, m->type | SOCK_CLOEXEC, m->protocol);
	if (m->fds[0] < 0)
		return error_errno(err, errno, "making a socket of family %d", m->domain);
	return 0;
}

int socket_make(pid_t init, int domain, int type, int protocol, int *fd, struct error **err)
{
	struct make m = {.domain = domain, .type = type, .protocol = protocol};
	int ret = in_namespaces(init, CLONE_NEWNET, make, &m, err);

	*fd = ret ? -1 : m.fds[0];
	return ret;
}

int socket_make_pair(pid_t init, int type, int pair[2], struct error **err)
{
	struct make m = {.domain = AF_UNIX, .type = type, .pair = true};
	int ret = in_namespaces(init, CLONE_NEWNET, make, &m, err);

	pair[0] = ret ? -1 : m.fds[0];
	pair[1] = ret ? -1 : m.fds[1];
	return ret;
}
