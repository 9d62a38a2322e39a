// SPDX-License-Identifier: GPL-2.0-only
/* What sockets of all families have in common: namespace and options. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <linux/udp.h>
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
#include "util/io.h"

/* younger than the headers that this may be built with */
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#ifndef SO_TXREHASH
#define SO_TXREHASH 74
#endif
#ifndef SO_RCVMARK
#define SO_RCVMARK 75
#endif
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef UDPLITE_SEND_CSCOV
#define UDPLITE_SEND_CSCOV 10
#define UDPLITE_RECV_CSCOV 11
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
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
	{SOL_SOCKET, SO_BUF_LOCK}, /* behind the buffers, which set it */
	{SOL_SOCKET, SO_PEEK_OFF},
	{SOL_SOCKET, SO_PASSSEC},
	{SOL_SOCKET, SO_PASSPIDFD},
	{SOL_SOCKET, SO_PASSRIGHTS},
	{SOL_SOCKET, SO_TIMESTAMPNS},
	{SOL_SOCKET, SO_TIMESTAMPING},
	{SOL_SOCKET, SO_RXQ_OVFL},
	{SOL_SOCKET, SO_SELECT_ERR_QUEUE},
	{SOL_SOCKET, SO_MAX_PACING_RATE},
	{SOL_SOCKET, SO_ZEROCOPY},
	{SOL_SOCKET, SO_PREFER_BUSY_POLL},
	{SOL_SOCKET, SO_BUSY_POLL_BUDGET},
	{SOL_SOCKET, SO_TXREHASH},
	{SOL_SOCKET, SO_RCVMARK},
	{IPPROTO_IP, IP_RECVTTL},
	{IPPROTO_IP, IP_RECVTOS},
	{IPPROTO_IP, IP_RECVOPTS},
	{IPPROTO_IP, IP_RETOPTS},
	{IPPROTO_IP, IP_RECVERR},
	{IPPROTO_IP, IP_RECVORIGDSTADDR},
	{IPPROTO_IP, IP_MTU_DISCOVER},
	{IPPROTO_IP, IP_MULTICAST_TTL},
	{IPPROTO_IP, IP_MULTICAST_LOOP},
	{IPPROTO_IP, IP_MULTICAST_ALL},
	{IPPROTO_IP, IP_MINTTL},
	{IPPROTO_IP, IP_NODEFRAG},
	{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT},
	{IPPROTO_IP, IP_CHECKSUM},
	{IPPROTO_IP, IP_HDRINCL},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS},
	{IPPROTO_IPV6, IPV6_MULTICAST_HOPS},
	{IPPROTO_IPV6, IPV6_MULTICAST_LOOP},
	{IPPROTO_IPV6, IPV6_MULTICAST_ALL},
	{IPPROTO_IPV6, IPV6_MTU_DISCOVER},
	{IPPROTO_IPV6, IPV6_RECVERR},
	{IPPROTO_IPV6, IPV6_RECVHOPLIMIT},
	{IPPROTO_IPV6, IPV6_RECVTCLASS},
	{IPPROTO_IPV6, IPV6_RECVHOPOPTS},
	{IPPROTO_IPV6, IPV6_RECVDSTOPTS},
	{IPPROTO_IPV6, IPV6_RECVRTHDR},
	{IPPROTO_IPV6, IPV6_RECVPATHMTU},
	{IPPROTO_IPV6, IPV6_RECVORIGDSTADDR},
	{IPPROTO_IPV6, IPV6_TCLASS},
	{IPPROTO_IPV6, IPV6_DONTFRAG},
	{IPPROTO_IPV6, IPV6_AUTOFLOWLABEL},
	{IPPROTO_IPV6, IPV6_FREEBIND},
	{IPPROTO_IPV6, IPV6_TRANSPARENT},
	{IPPROTO_IPV6, IPV6_MINHOPCOUNT},
	{IPPROTO_TCP, TCP_LINGER2},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT},
	{IPPROTO_TCP, TCP_SAVE_SYN},
	{IPPROTO_TCP, TCP_INQ},
	{IPPROTO_TCP, TCP_TX_DELAY},
	{IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS},
	{IPPROTO_UDP, UDP_SEGMENT},
	{IPPROTO_UDP, UDP_GRO},
	{IPPROTO_UDP, UDP_NO_CHECK6_TX},
	{IPPROTO_UDP, UDP_NO_CHECK6_RX},
	{IPPROTO_IP, IP_MULTICAST_IF},
	{IPPROTO_IPV6, IPV6_MULTICAST_IF},
	{SOL_RAW, ICMP_FILTER},
	{SOL_SOCKET, SO_NO_CHECK},
	{IPPROTO_TCP, TCP_CORK},
	{IPPROTO_UDPLITE, UDPLITE_SEND_CSCOV},
	{IPPROTO_UDPLITE, UDPLITE_RECV_CSCOV},
};
#define OPTION_COUNT (sizeof(options) / sizeof(*options))
_Static_assert(OPTION_COUNT <= 96, "as many values as a record has");

int socket_ask_int(int fd, int level, int name, int *value)
{
	socklen_t len = sizeof(*value);

	*value = 0;
	return getsockopt(fd, level, name, value, &len) ? -errno : 0;
}

int socket_get_int(int fd, int level, int name)
{
	int value;

	socket_ask_int(fd, level, name, &value);
	return value;
}

static bool is_multicast(size_t i)
{
	int name = options[i].name;

	if (options[i].level == IPPROTO_IP)
		return name == IP_MULTICAST_TTL || name == IP_MULTICAST_LOOP ||
		       name == IP_MULTICAST_IF;
	return options[i].level == IPPROTO_IPV6 &&
	       (name == IPV6_MULTICAST_HOPS || name == IPV6_MULTICAST_LOOP ||
		name == IPV6_MULTICAST_IF);
}

/* A unix socket answers IPPROTO_IP's questions with an error; SOL_TCP is asked of TCP only. */
static bool applies(size_t i, int domain, int type)
{
	int level = options[i].level;

	if (level == SOL_SOCKET)
		return true;
	if (domain != AF_INET && domain != AF_INET6)
		return false;
	/* of a connection they can be asked, but not set */
	if (type == SOCK_STREAM && is_multicast(i))
		return false;
	if (level == IPPROTO_IPV6)
		return domain == AF_INET6;
	if (level == IPPROTO_TCP)
		return type == SOCK_STREAM;
	if (level == SOL_RAW)
		return type == SOCK_RAW && domain == AF_INET;
	return (level != IPPROTO_UDP && level != IPPROTO_UDPLITE) || type == SOCK_DGRAM;
}

bool description_is_socket(const struct description *d, int domain)
{
	int value;

	return S_ISSOCK(d->st.st_mode) && !(d->open_flags & O_PATH) &&
	       !socket_ask_int(d->fd, SOL_SOCKET, SO_DOMAIN, &value) && value == domain;
}

/* What nothing here saves. */
static int admit_options(struct checkpoint *c, const struct description *d, bool extras)
{
	char device[IFNAMSIZ] = "";
	socklen_t len = sizeof(device);
	const char *what = NULL;

	if (!extras && !getsockopt(d->fd, SOL_SOCKET, SO_BINDTODEVICE, device, &len) && *device)
		what = "SO_BINDTODEVICE";
	len = 0;
	/* only a classic filter can be read back */
	if (getsockopt(d->fd, SOL_SOCKET, SO_GET_FILTER, NULL, &len) ? errno == EACCES
								     : !extras && len)
		what = errno == EACCES ? "an eBPF filter" : "a filter";
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
	snprintf(path, sizeof(path), "/proc/%d/ns/net", c->init);
	if (fstat(ns, &ours) || stat(path, &inits))
		return error_errno(err, errno, "comparing network namespaces");
	return ours.st_ino == inits.st_ino && ours.st_dev == inits.st_dev;
}

int socket_admit(struct checkpoint *c, const struct description *d, bool extras, struct error **err)
{
	int inside = socket_is_inside(c, d, err);

	if (inside < 0)
		return inside;
	if (!inside)
		return description_block(c, d, "close it for the checkpoint",
					 "socket of another network namespace")
			       ? -ENOMEM
			       : 1;
	return admit_options(c, d, extras);
}

void socket_state_free(void *state)
{
	struct buf *items = state;

	buf_free(items);
	free(state);
}

int socket_admit_state(struct checkpoint *c, struct description *d, size_t size, struct error **err)
{
	d->state = calloc(1, size);
	if (!d->state)
		return error_errno(err, ENOMEM, "looking at a socket");
	d->state_free = socket_state_free;
	return socket_admit(c, d, true, err);
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
	struct linger linger;
	socklen_t len = sizeof(linger);

	if (socket_ask_int(fd, SOL_SOCKET, SO_DOMAIN, &domain) ||
	    socket_ask_int(fd, SOL_SOCKET, SO_TYPE, &type))
		return error_errno(err, errno, "asking for a socket's type");
	*saved = (struct ckpt_socket_options){0};
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (!applies(i, domain, type) ||
		    socket_ask_int(fd, options[i].level, options[i].name, &value))
			continue;
		saved->known[i / 64] |= 1ull << i % 64;
		saved->values[i] = value;
	}
	if (!getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len)) {
		saved->linger_on = !!linger.l_onoff;
		saved->linger = linger.l_linger;
	}
	socket_ask_int(fd, SOL_SOCKET, SO_SNDBUF, &value);
	saved->sndbuf = value;
	socket_ask_int(fd, SOL_SOCKET, SO_RCVBUF, &value);
	saved->rcvbuf = value;
	saved->rcvtimeo = get_timeout(fd, SO_RCVTIMEO);
	saved->sndtimeo = get_timeout(fd, SO_SNDTIMEO);
	return 0;
}

/* The kernel doubles what is set and shows the double. */
static void load_buffer(int fd, int name, int force, uint32_t wanted)
{
	int value, half = wanted / 2;

	socket_ask_int(fd, SOL_SOCKET, name, &value);
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

static int load_linger(int fd, const struct ckpt_socket_options *saved, struct error **err)
{
	struct linger linger = {saved->linger_on, saved->linger};

	if (saved->linger_on && setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)))
		return error_errno(err, errno, "setting a socket's SO_LINGER");
	return 0;
}

/* With an address this has no meaning any more, and binding may have changed it. */
static bool is_settled(size_t i)
{
	return options[i].level == IPPROTO_IPV6 && options[i].name == IPV6_V6ONLY &&
	       errno == EINVAL;
}

int socket_load_options(int fd, const struct ckpt_socket_options *saved, struct error **err)
{
	int domain, type, ret;

	if (socket_ask_int(fd, SOL_SOCKET, SO_DOMAIN, &domain) ||
	    socket_ask_int(fd, SOL_SOCKET, SO_TYPE, &type))
		return error_errno(err, errno, "asking for a socket's type");
	load_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE, saved->sndbuf);
	load_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE, saved->rcvbuf);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		int now;

		/* only what differs: setting some has side effects */
		if (!(saved->known[i / 64] >> i % 64 & 1) || !applies(i, domain, type) ||
		    socket_ask_int(fd, options[i].level, options[i].name, &now) ||
		    now == saved->values[i])
			continue;
		if (setsockopt(fd, options[i].level, options[i].name, &saved->values[i],
			       sizeof(saved->values[i])) &&
		    !is_settled(i))
			return error_errno(err, errno, "setting a socket's option %d/%d to %d",
					   options[i].level, options[i].name, saved->values[i]);
	}
	ret = load_linger(fd, saved, err);
	if (!ret)
		ret = load_timeout(fd, SO_RCVTIMEO, saved->rcvtimeo, err);
	return ret ? ret : load_timeout(fd, SO_SNDTIMEO, saved->sndtimeo, err);
}

/* --- items --- */

int items_add(struct buf *items, enum ckpt_item_kind kind, const void *data, size_t len)
{
	struct ckpt_item item = {.kind = kind, .len = len};

	if (!buf_add(items, &item, sizeof(item)) || (len && !buf_add(items, data, len)))
		return -ENOMEM;
	return buf_align(items, 8);
}

/* Where the next one begins; 0: malformed. */
static size_t next_item(const struct file_object *o, size_t at, struct ckpt_item *item)
{
	size_t left = o->tail_len - at;

	if (left < sizeof(*item))
		return 0;
	memcpy(item, o->tail + at, sizeof(*item));
	left -= sizeof(*item);
	if (item->reserved || item->len > left || ((item->len + 7) & ~7ull) > left)
		return 0;
	return at + sizeof(*item) + ((item->len + 7) & ~7ull);
}

bool items_valid(const struct file_object *o)
{
	struct ckpt_item item;

	for (size_t at = 0; at < o->tail_len;) {
		at = next_item(o, at, &item);
		if (!at)
			return false;
	}
	return true;
}

const void *items_find(const struct file_object *o, enum ckpt_item_kind kind, const void *after,
		       size_t *len)
{
	struct ckpt_item item;

	*len = 0;
	for (size_t at = 0, next; at < o->tail_len; at = next) {
		const char *data = o->tail + at + sizeof(item);

		next = next_item(o, at, &item);
		if (!next)
			break;
		if (item.kind == kind && (!after || data > (const char *)after)) {
			*len = item.len;
			return data;
		}
	}
	return NULL;
}

int socket_save_extras(int fd, struct buf *items, struct error **err)
{
	struct sock_filter rows[BPF_MAXINSNS];
	char device[IFNAMSIZ] = "";
	socklen_t len = sizeof(device);
	int r = 0, locked;

	if (!getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &len) && *device)
		r = items_add(items, CKPT_ITEM_DEVICE, device, strnlen(device, sizeof(device)));
	/* of this one option the length is in rows */
	len = BPF_MAXINSNS;
	if (!r && !getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, rows, &len) && len)
		r = items_add(items, CKPT_ITEM_FILTER, rows, len * sizeof(*rows));
	if (!r && !socket_ask_int(fd, SOL_SOCKET, SO_LOCK_FILTER, &locked) && locked)
		r = items_add(items, CKPT_ITEM_LOCKED, NULL, 0);
	return r ? error_errno(err, ENOMEM, "recording a socket") : 0;
}

int socket_load_device(const struct file_object *o, struct error **err)
{
	size_t len;
	const void *device = items_find(o, CKPT_ITEM_DEVICE, NULL, &len);
	char name[IFNAMSIZ] = "";

	if (!device)
		return 0;
	if (len >= sizeof(name))
		return error_set(err, EBADMSG, "socket %u has a malformed device", o->id);
	memcpy(name, device, len);
	if (setsockopt(o->fd, SOL_SOCKET, SO_BINDTODEVICE, name, len + 1))
		return error_errno(err, errno, "binding a socket to the device \"%s\"", name);
	return 0;
}

int socket_load_filter(const struct file_object *o, struct error **err)
{
	size_t len;
	const void *rows = items_find(o, CKPT_ITEM_FILTER, NULL, &len);
	struct sock_fprog program = {.len = len / sizeof(struct sock_filter),
				     .filter = (void *)rows};
	int on = 1;

	if (rows && (len % sizeof(struct sock_filter) || program.len > BPF_MAXINSNS))
		return error_set(err, EBADMSG, "socket %u has a malformed filter", o->id);
	if (rows && setsockopt(o->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		return error_errno(err, errno, "attaching a filter to a socket");
	if (items_find(o, CKPT_ITEM_LOCKED, NULL, &len) &&
	    setsockopt(o->fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)))
		return error_errno(err, errno, "locking the filter of a socket");
	return 0;
}

/* --- what config.json allows --- */

static int granted(const struct restore *r, uint64_t caps, const char *what, struct error **err)
{
	const struct restore_request *q = r->request;

	if (!q->caps_bounded || q->caps_allowed & caps)
		return 0;
	error_set(err, EPERM, "a socket that %s", what);
	return error_hint(err, "config.json does not allow it");
}

/* The runtime, which makes them, may do more than the programs that will have them. */
int socket_check_allowed(const struct restore *r, uint32_t type,
			 const struct ckpt_socket_options *saved, struct error **err)
{
	static const struct {
		int level, name;
		const char *what;
	} bounded[] = {
		{SOL_SOCKET, SO_MARK, "marks packets (SO_MARK)"},
		{IPPROTO_IP, IP_TRANSPARENT, "takes foreign addresses (IP_TRANSPARENT)"},
		{IPPROTO_IPV6, IPV6_TRANSPARENT, "takes foreign addresses (IPV6_TRANSPARENT)"},
	};
	const uint64_t either = 1ull << CAP_NET_ADMIN | 1ull << CAP_NET_RAW;
	int ret = 0;

	if (type == SOCK_RAW)
		ret = granted(r, 1ull << CAP_NET_RAW, "is raw", err);
	for (size_t i = 0; !ret && i < OPTION_COUNT; i++)
		for (size_t b = 0; !ret && b < sizeof(bounded) / sizeof(*bounded); b++)
			if (options[i].level == bounded[b].level &&
			    options[i].name == bounded[b].name && saved->values[i] &&
			    saved->known[i / 64] >> i % 64 & 1)
				ret = granted(r, either, bounded[b].what, err);
	return ret;
}

/* --- making them --- */

struct make {
	int domain, type, protocol;
	bool own_net; /* the network namespace is not the host's */
	int fd;
};

/* Who may make sockets for ICMP's echoes is a sysctl's matter, which has changed since, or was. */
static int make_ping(const struct make *m)
{
	static const char path[] = "/proc/sys/net/ipv4/ping_group_range";
	__cleanup_free char *before = NULL;
	int fd;

	if (read_file(AT_FDCWD, path, 64, &before, NULL) ||
	    write_file(AT_FDCWD, path, "0 2147483647"))
		return -1;
	fd = socket(m->domain, m->type | SOCK_CLOEXEC, m->protocol);
	write_file(AT_FDCWD, path, before);
	return fd;
}

static int make(void *ctx, struct error **err)
{
	struct make *m = ctx;

	m->fd = socket(m->domain, m->type | SOCK_CLOEXEC, m->protocol);
	if (m->fd < 0 && errno == EACCES && m->own_net)
		m->fd = make_ping(m);
	if (m->fd < 0)
		return error_errno(err, errno, "making a socket of family %d", m->domain);
	return 0;
}

int socket_make(pid_t init, int domain, int type, int protocol, int *fd, struct error **err)
{
	struct make m = {.domain = domain, .type = type, .protocol = protocol};
	int ret = same_namespace(init, "net", err);

	m.own_net = !ret;
	if (ret >= 0)
		ret = in_namespaces(init, CLONE_NEWNET, make, &m, err);
	*fd = ret ? -1 : m.fd;
	return ret;
}
