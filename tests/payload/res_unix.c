// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_unix GO [refused]: unix sockets with all that can be queued in them, of all
 * names, connected in all ways. With "refused" what cannot be saved, under descriptors 20 and up.
 */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "res.h"

#define CHILD_UID 1234
#define BIG	  big_size

static const int on = 1;
static int big_size = 3 << 20;
static bool large_buffers = true; /* a user namespace has no right to them */

struct received {
	ssize_t len;
	char data[64];
	char from[108];
	struct ucred creds;
	int fds[4];
	unsigned fd_count;
};

static socklen_t address(struct sockaddr_un *un, const char *name)
{
	*un = (struct sockaddr_un){.sun_family = AF_UNIX};
	strcpy(un->sun_path, name);
	if (*name != '@')
		return offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1;
	un->sun_path[0] = '\0';
	return offsetof(struct sockaddr_un, sun_path) + strlen(name);
}

static int bind_to(int fd, const char *name)
{
	struct sockaddr_un un;
	socklen_t len = address(&un, name);

	return bind(fd, (struct sockaddr *)&un, len);
}

static int connect_to(int fd, const char *name)
{
	struct sockaddr_un un;
	socklen_t len = address(&un, name);

	return connect(fd, (struct sockaddr *)&un, len);
}

static int send_to(int fd, const char *name, const char *text)
{
	struct sockaddr_un un;
	socklen_t len = address(&un, name);

	return sendto(fd, text, strlen(text), 0, (struct sockaddr *)&un, len) ==
	       (ssize_t)strlen(text);
}

static int bound(const char *name, int type)
{
	int fd = socket(AF_UNIX, type, 0);

	CHECK(fd >= 0 && !bind_to(fd, name));
	return fd;
}

static int listening(const char *name, int type, int backlog)
{
	int fd = bound(name, type);

	CHECK(!listen(fd, backlog));
	return fd;
}

static int connected(const char *name, int type)
{
	int fd = socket(AF_UNIX, type, 0);

	CHECK(fd >= 0 && !connect_to(fd, name));
	return fd;
}

static int accepted(int listener)
{
	int fd = accept(listener, NULL, NULL);

	CHECK(fd >= 0);
	return fd;
}

/* "" without one; an abstract one begins with @ */
static const char *name_of(int fd, bool peer)
{
	static char names[2][109];
	static int turn;
	char *name = names[turn++ & 1];
	struct sockaddr_un un = {0};
	socklen_t len = sizeof(un);

	memset(name, 0, sizeof(names[0]));
	if (peer ? getpeername(fd, (struct sockaddr *)&un, &len)
		 : getsockname(fd, (struct sockaddr *)&un, &len))
		return "none";
	if (len > offsetof(struct sockaddr_un, sun_path))
		memcpy(name, un.sun_path, len - offsetof(struct sockaddr_un, sun_path));
	if (len > offsetof(struct sockaddr_un, sun_path) && !*name)
		*name = '@';
	return name;
}

static int send_fd(int to, const char *text, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {(void *)text, strlen(text)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(to, &msg, 0) == (ssize_t)strlen(text);
}

static struct received receive(int fd, size_t max)
{
	char control[256] __attribute__((aligned(8))) = {0};
	struct received r = {0};
	struct sockaddr_un un = {0};
	struct iovec iov = {r.data, max ? max : sizeof(r.data) - 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_name = &un,
			     .msg_namelen = sizeof(un),
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};

	r.len = recvmsg(fd, &msg, MSG_DONTWAIT);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); r.len >= 0 && c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_type == SCM_CREDENTIALS)
			memcpy(&r.creds, CMSG_DATA(c), sizeof(r.creds));
		if (c->cmsg_type == SCM_RIGHTS) {
			r.fd_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(r.fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
		}
	}
	if (r.len >= 0 && msg.msg_namelen > offsetof(struct sockaddr_un, sun_path)) {
		memcpy(r.from, un.sun_path,
		       msg.msg_namelen - offsetof(struct sockaddr_un, sun_path));
		if (!*r.from)
			*r.from = '@';
	}
	return r;
}

static bool got(const struct received *r, const char *text)
{
	if (r->len == (ssize_t)strlen(text) && !memcmp(r->data, text, r->len))
		return true;
	printf("got %zd bytes \"%.*s\" from \"%s\", wanted \"%s\"\n", r->len,
	       r->len > 0 ? (int)r->len : 0, r->data, r->from, text);
	return false;
}

static bool peer_is(int fd, pid_t pid, uid_t uid)
{
	struct ucred creds = {0};
	socklen_t len = sizeof(creds);

	CHECK(!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &creds, &len));
	if (creds.pid == pid && creds.uid == uid)
		return true;
	printf("peer is %d/%u, wanted %d/%u\n", creds.pid, creds.uid, pid, uid);
	return false;
}

/* --- a second process with other ids --- */

static pid_t child;

/* What it does once, told by the caller; then it waits for its end. */
static void start_child(void (*work)(void))
{
	int done[2];
	char c;

	CHECK(!pipe(done));
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		CHECK(!setresgid(CHILD_UID, CHILD_UID, CHILD_UID));
		CHECK(!setresuid(CHILD_UID, CHILD_UID, CHILD_UID));
		CHECK(!prctl(PR_SET_PDEATHSIG, SIGKILL));
		work();
		CHECK(write(done[1], "x", 1) == 1);
		close(done[0]);
		close(done[1]);
		for (;;)
			pause();
	}
	CHECK(read(done[0], &c, 1) == 1);
	close(done[0]);
	close(done[1]);
}

/* --- names --- */

static struct {
	int relative, relative_client, relative_accepted, below;
	int gone, gone_client, gone_accepted, again;
	int orphan, orphan_client, abstract_orphan, abstract_client, alone, autobound;
} names;

static void open_names(void)
{
	int listener;

	CHECK(!chdir("/tmp") && !mkdir("sub", 0755));
	names.relative = listening("rel.sock", SOCK_STREAM, 3);
	names.relative_client = connected("rel.sock", SOCK_STREAM);
	names.relative_accepted = accepted(names.relative);
	names.below = bound("./sub/below", SOCK_DGRAM);
	names.gone = listening("/tmp/gone", SOCK_SEQPACKET, 3);
	names.gone_client = connected("/tmp/gone", SOCK_SEQPACKET);
	names.gone_accepted = accepted(names.gone);
	CHECK(writes(names.gone_client, "to the first"));
	CHECK(!unlink("/tmp/gone"));
	names.again = listening("/tmp/gone", SOCK_SEQPACKET, 3);
	listener = listening("/tmp/orphan", SOCK_STREAM, 1);
	names.orphan_client = bound("/tmp/orphan-client", SOCK_STREAM);
	CHECK(!connect_to(names.orphan_client, "/tmp/orphan"));
	names.orphan = accepted(listener);
	CHECK(!close(listener) && !unlink("/tmp/orphan"));
	listener = listening("@orphan", SOCK_STREAM, 1);
	names.abstract_client = connected("@orphan", SOCK_STREAM);
	names.abstract_orphan = accepted(listener);
	CHECK(!close(listener));
	/* a server's end whose client has a name and is gone */
	listener = listening("/tmp/alone", SOCK_STREAM, 1);
	names.autobound = bound("@client", SOCK_STREAM);
	CHECK(!connect_to(names.autobound, "/tmp/alone") && writes(names.autobound, "bye"));
	names.alone = accepted(listener);
	CHECK(!close(names.autobound) && !close(listener) && !unlink("/tmp/alone"));
}

static void check_names(void)
{
	struct received r;
	int fd;

	CHECK(!strcmp(name_of(names.relative, false), "rel.sock"));
	CHECK(!strcmp(name_of(names.relative_client, true), "rel.sock"));
	CHECK(writes(names.relative_client, "abc") && reads(names.relative_accepted, "abc"));
	fd = connected("/tmp/rel.sock", SOCK_STREAM);
	CHECK(writes(fd, "new") && reads(accepted(names.relative), "new"));
	CHECK(!strcmp(name_of(names.below, false), "./sub/below"));
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	CHECK(send_to(fd, "/tmp/sub/below", "below") && reads(names.below, "below"));
	CHECK(!strcmp(name_of(names.gone, false), "/tmp/gone"));
	CHECK(!strcmp(name_of(names.gone_accepted, false), "/tmp/gone"));
	CHECK(reads(names.gone_accepted, "to the first"));
	fd = connected("/tmp/gone", SOCK_SEQPACKET);
	CHECK(writes(fd, "second") && reads(accepted(names.again), "second"));
	CHECK(!strcmp(name_of(names.orphan, false), "/tmp/orphan"));
	CHECK(!strcmp(name_of(names.orphan, true), "/tmp/orphan-client"));
	CHECK(!strcmp(name_of(names.orphan_client, true), "/tmp/orphan"));
	CHECK(access("/tmp/orphan", F_OK) && !access("/tmp/orphan-client", F_OK));
	CHECK(writes(names.orphan_client, "o") && reads(names.orphan, "o"));
	CHECK(!strcmp(name_of(names.abstract_orphan, false), "@orphan"));
	CHECK(!strcmp(name_of(names.abstract_client, true), "@orphan"));
	CHECK(writes(names.abstract_orphan, "a") && reads(names.abstract_client, "a"));
	r = receive(names.alone, 0);
	CHECK(got(&r, "bye") && !strcmp(r.from, "@client"));
	r = receive(names.alone, 0);
	CHECK(r.len == 0);
}

/* --- messages --- */

static struct {
	int packets[2], big[2], creds[2], anonymous[2], datagram_creds[2];
	int fds[2], outer[2], self[2], reset, half[2];
} queues;

static void fill_big(char *data, int seed)
{
	for (int i = 0; i < BIG; i++)
		data[i] = i * 31 + (i >> 8) + seed;
}

static void send_from_child(void)
{
	CHECK(writes(queues.creds[0], "child"));
	CHECK(writes(queues.datagram_creds[0], "child"));
	CHECK(writes(queues.anonymous[0], "nobody"));
}

static void open_messages(void)
{
	char *data = malloc(BIG);
	int pair[2];

	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, queues.packets));
	CHECK(!send(queues.packets[0], "", 0, 0) && writes(queues.packets[0], "one"));
	CHECK(!send(queues.packets[0], "", 0, 0) && !send(queues.packets[0], "", 0, 0));
	CHECK(writes(queues.packets[0], "two"));
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, queues.big));
	pair[0] = 4 * BIG;
	if (setsockopt(queues.big[0], SOL_SOCKET, SO_SNDBUFFORCE, pair, sizeof(int))) {
		CHECK(errno == EPERM);
		large_buffers = false;
		big_size = 100 << 10;
	}
	fill_big(data, 1);
	CHECK(send(queues.big[0], data, BIG, 0) == BIG && writes(queues.big[0], "after"));
	free(data);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, queues.creds));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, queues.anonymous));
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, queues.datagram_creds));
	CHECK(!setsockopt(queues.creds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	CHECK(!setsockopt(queues.datagram_creds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	CHECK(writes(queues.creds[0], "own") && writes(queues.datagram_creds[0], "own"));
	/* closed with data unread */
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK(writes(pair[0], "unread") && writes(pair[1], "last") && !close(pair[1]));
	queues.reset = pair[0];
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, queues.half));
	CHECK(writes(queues.half[0], "end") && !shutdown(queues.half[0], SHUT_WR));
}

static void open_flight(void)
{
	int pipe_ends[2], inner[2], file;

	/* a pipe's end that is open nowhere else, amid other bytes */
	CHECK(!pipe(pipe_ends) && writes(pipe_ends[1], "through the pipe"));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, queues.fds));
	CHECK(writes(queues.fds[0], "abc") && send_fd(queues.fds[0], "def", pipe_ends[0]));
	CHECK(writes(queues.fds[0], "ghi") && !close(pipe_ends[0]) && !close(pipe_ends[1]));
	/* a socket in flight, with a file in flight in it */
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, queues.outer));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, inner));
	file = open("/tmp/in-flight", O_RDWR | O_CREAT, 0600);
	CHECK(writes(file, "0123456789") && lseek(file, 4, SEEK_SET) == 4);
	CHECK(send_fd(inner[0], "file", file) && !close(file));
	CHECK(send_fd(queues.outer[0], "socket", inner[1]) && !close(inner[1]));
	CHECK(!close(inner[0]));
	/* a socket in its own queue */
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, queues.self));
	CHECK(send_fd(queues.self[0], "self", queues.self[1]));
}

static void check_messages(void)
{
	char *data = malloc(2 * BIG);
	struct received r;
	struct pollfd p;

	r = receive(queues.packets[1], 0);
	CHECK(got(&r, ""));
	r = receive(queues.packets[1], 0);
	CHECK(got(&r, "one"));
	r = receive(queues.packets[1], 0);
	CHECK(got(&r, ""));
	r = receive(queues.packets[1], 0);
	CHECK(got(&r, ""));
	r = receive(queues.packets[1], 0);
	CHECK(got(&r, "two"));
	r = receive(queues.packets[1], 0);
	CHECK(r.len < 0);
	fill_big(data, 1);
	CHECK(recv(queues.big[1], data + BIG, BIG, MSG_DONTWAIT) == BIG);
	CHECK(!memcmp(data, data + BIG, BIG));
	free(data);
	r = receive(queues.big[1], 0);
	CHECK(got(&r, "after"));
	p = (struct pollfd){.fd = queues.reset, .events = POLLIN};
	CHECK(poll(&p, 1, 0) == 1 && p.revents & POLLERR);
	r = receive(queues.reset, 0);
	CHECK(got(&r, "last"));
	r = receive(queues.reset, 0);
	CHECK(r.len < 0 && errno == ECONNRESET);
	r = receive(queues.half[1], 0);
	CHECK(got(&r, "end"));
	r = receive(queues.half[1], 0);
	CHECK(got(&r, ""));
	CHECK(writes(queues.half[1], "back") && reads(queues.half[0], "back"));
}

static void check_creds(int fd, bool stream)
{
	struct received r = receive(fd, 0);

	CHECK(got(&r, "own") && r.creds.pid == getpid() && r.creds.uid == 0);
	r = receive(fd, stream ? 2 : 0);
	CHECK(got(&r, stream ? "ch" : "child"));
	CHECK(r.creds.pid == child && r.creds.uid == CHILD_UID && r.creds.gid == CHILD_UID);
	if (stream) {
		r = receive(fd, 0);
		CHECK(got(&r, "ild") && r.creds.pid == child);
	}
}

static void check_flight(void)
{
	struct received r, inner;

	/* with the first byte of what it was sent with, and not before */
	r = receive(queues.fds[1], 2);
	CHECK(got(&r, "ab") && !r.fd_count);
	r = receive(queues.fds[1], 0);
	CHECK(got(&r, "cdef") && r.fd_count == 1);
	CHECK(reads(r.fds[0], "through the pipe"));
	r = receive(queues.fds[1], 0);
	CHECK(got(&r, "ghi") && !r.fd_count);
	r = receive(queues.outer[1], 0);
	CHECK(got(&r, "socket") && r.fd_count == 1);
	inner = receive(r.fds[0], 0);
	CHECK(got(&inner, "file") && inner.fd_count == 1 && reads(inner.fds[0], "456789"));
	r = receive(queues.self[1], 0);
	CHECK(got(&r, "self") && r.fd_count == 1);
	CHECK(writes(queues.self[0], "again") && reads(r.fds[0], "again"));
}

/* --- datagrams --- */

static struct {
	int receiver, sender, abstract, one_way, mutual[2], reconnected[2], widow, selfish;
} grams;

static void open_datagrams(void)
{
	int closed, pair[2];

	grams.receiver = bound("/tmp/receiver", SOCK_DGRAM);
	grams.abstract = bound("@receiver", SOCK_DGRAM);
	grams.sender = bound("/tmp/sender", SOCK_DGRAM);
	closed = bound("/tmp/closed", SOCK_DGRAM);
	CHECK(send_to(grams.sender, "/tmp/receiver", "named"));
	CHECK(send_to(closed, "/tmp/receiver", "closed"));
	CHECK(!close(closed) && !unlink("/tmp/closed"));
	closed = socket(AF_UNIX, SOCK_DGRAM, 0);
	CHECK(send_to(closed, "/tmp/receiver", "nameless"));
	CHECK(send_to(closed, "@receiver", "abstract") && !close(closed));
	grams.one_way = connected("/tmp/receiver", SOCK_DGRAM);
	CHECK(writes(grams.one_way, "one way"));
	grams.mutual[0] = bound("/tmp/left", SOCK_DGRAM);
	grams.mutual[1] = bound("@right", SOCK_DGRAM);
	/* a third one's, sent before it was too late for that */
	CHECK(send_to(grams.sender, "@right", "early"));
	CHECK(!connect_to(grams.mutual[0], "@right") && !connect_to(grams.mutual[1], "/tmp/left"));
	CHECK(writes(grams.mutual[0], "mutual"));
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, grams.reconnected));
	CHECK(writes(grams.reconnected[1], "kept"));
	CHECK(!connect_to(grams.reconnected[1], "/tmp/receiver"));
	CHECK(getsockopt(grams.reconnected[0], SOL_SOCKET, SO_ERROR, pair,
			 &(socklen_t){sizeof(int)}) == 0);
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	CHECK(writes(pair[1], "will") && !close(pair[1]));
	grams.widow = pair[0];
	grams.selfish = bound("@selfish", SOCK_DGRAM);
	CHECK(!connect_to(grams.selfish, "@selfish") && writes(grams.selfish, "me"));
}

static void check_datagrams(void)
{
	static const char *const texts[] = {"named", "closed", "nameless", "one way"};
	static const char *const senders[] = {"/tmp/sender", "/tmp/closed", "", ""};
	struct received r;

	for (int i = 0; i < 4; i++) {
		r = receive(grams.receiver, 0);
		CHECK(got(&r, texts[i]) && !strcmp(r.from, senders[i]));
	}
	r = receive(grams.abstract, 0);
	CHECK(got(&r, "abstract") && !*r.from);
	CHECK(writes(grams.one_way, "more") && reads(grams.receiver, "more"));
	CHECK(!strcmp(name_of(grams.one_way, true), "/tmp/receiver"));
	CHECK(!strcmp(name_of(grams.receiver, true), "none"));
	r = receive(grams.mutual[1], 0);
	CHECK(got(&r, "early") && !strcmp(r.from, "/tmp/sender"));
	r = receive(grams.mutual[1], 0);
	CHECK(got(&r, "mutual") && !strcmp(r.from, "/tmp/left"));
	CHECK(writes(grams.mutual[1], "back") && reads(grams.mutual[0], "back"));
	CHECK(!strcmp(name_of(grams.mutual[0], true), "@right"));
	/* only its peer may send to a connected one */
	CHECK(!send_to(grams.sender, "@right", "no") && errno == EPERM);
	r = receive(grams.reconnected[0], 0);
	CHECK(got(&r, "kept"));
	CHECK(!writes(grams.reconnected[0], "no") && errno == EPERM);
	CHECK(writes(grams.reconnected[1], "on") && reads(grams.receiver, "on"));
	r = receive(grams.widow, 0);
	CHECK(got(&r, "will"));
	CHECK(send(grams.widow, "x", 1, MSG_NOSIGNAL) < 0 && errno == ECONNREFUSED);
	r = receive(grams.selfish, 0);
	CHECK(got(&r, "me") && writes(grams.selfish, "still") && reads(grams.selfish, "still"));
	CHECK(access("/tmp/closed", F_OK));
}

/* --- connections not yet accepted, and who made them --- */

static struct {
	int listener, first, second;
	int served, server, served_abstract, server_abstract, pair[2];
} connections;

static void connect_from_child(void)
{
	send_from_child();
	CHECK(!connect_to(connections.server, "/tmp/server"));
	CHECK(!connect_to(connections.server_abstract, "@server"));
	CHECK(!connect_to(connections.second, "/tmp/waiting"));
	/* only its own from now on */
	CHECK(!close(connections.first));
}

static void open_connections(void)
{
	int listener, abstract;

	connections.listener = listening("/tmp/waiting", SOCK_STREAM, 4);
	CHECK(!chmod("/tmp/waiting", 0666));
	connections.first = connected("/tmp/waiting", SOCK_STREAM);
	connections.second = socket(AF_UNIX, SOCK_STREAM, 0);
	connections.server = socket(AF_UNIX, SOCK_STREAM, 0);
	connections.server_abstract = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	listener = listening("/tmp/server", SOCK_STREAM, 4);
	abstract = listening("@server", SOCK_SEQPACKET, 4);
	CHECK(!chmod("/tmp/server", 0666));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, connections.pair));
	start_child(connect_from_child);
	connections.served = accepted(listener);
	connections.served_abstract = accepted(abstract);
}

static void check_connections(void)
{
	int fd;

	CHECK(peer_is(connections.served, child, CHILD_UID));
	CHECK(peer_is(connections.served_abstract, child, CHILD_UID));
	CHECK(peer_is(connections.server, getpid(), 0));
	CHECK(peer_is(connections.server_abstract, getpid(), 0));
	CHECK(peer_is(connections.pair[0], getpid(), 0));
	CHECK(peer_is(connections.pair[1], getpid(), 0));
	CHECK(writes(connections.served, "s") && reads(connections.server, "s"));
	/* in the order in which they came */
	CHECK(writes(connections.first, "first") && writes(connections.second, "second"));
	fd = accepted(connections.listener);
	CHECK(peer_is(fd, getpid(), 0) && reads(fd, "first"));
	fd = accepted(connections.listener);
	CHECK(reads(fd, "second"));
	CHECK(writes(fd, "reply") && reads(connections.second, "reply"));
}

/* --- options --- */

static int optioned[2];

static void open_options(void)
{
	struct timeval times[2] = {{3, 500000}, {7, 0}};
	struct linger linger = {1, 9};
	int large = 16 << 20, offset = 3;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, optioned) && writes(optioned[0], "abcdef"));
	CHECK(!setsockopt(optioned[1], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	CHECK(!setsockopt(optioned[1], SOL_SOCKET, SO_RCVTIMEO, &times[0], sizeof(times[0])));
	CHECK(!setsockopt(optioned[1], SOL_SOCKET, SO_SNDTIMEO, &times[1], sizeof(times[1])));
	CHECK(!setsockopt(optioned[1], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)));
	if (!large_buffers)
		return;
	CHECK(!setsockopt(optioned[1], SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof(large)));
	CHECK(!setsockopt(optioned[1], SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large)));
}

static void check_options(void)
{
	struct timeval times[2];
	struct linger linger;
	socklen_t len = sizeof(linger);
	int value;
	char c;

	CHECK(!getsockopt(optioned[1], SOL_SOCKET, SO_LINGER, &linger, &len));
	CHECK(linger.l_onoff && linger.l_linger == 9);
	len = sizeof(times[0]);
	CHECK(!getsockopt(optioned[1], SOL_SOCKET, SO_RCVTIMEO, &times[0], &len));
	CHECK(times[0].tv_sec == 3 && times[0].tv_usec >= 490000 && times[0].tv_usec <= 510000);
	CHECK(!getsockopt(optioned[1], SOL_SOCKET, SO_SNDTIMEO, &times[1], &len));
	CHECK(times[1].tv_sec == 7);
	len = sizeof(value);
	CHECK(!getsockopt(optioned[1], SOL_SOCKET, SO_SNDBUF, &value, &len));
	CHECK(!large_buffers || value == 32 << 20);
	CHECK(!getsockopt(optioned[1], SOL_SOCKET, SO_RCVBUF, &value, &len));
	CHECK(!large_buffers || value == 32 << 20);
	CHECK(recv(optioned[1], &c, 1, MSG_PEEK) == 1 && c == 'd');
	CHECK(recv(optioned[1], &c, 1, MSG_PEEK) == 1 && c == 'e');
	CHECK(reads(optioned[1], "abcdef"));
}

/* --- what is refused --- */

static int next = 20;

static void keep(int fd)
{
	CHECK(fd >= 0 && dup2(fd, next) == next && !close(fd));
	next++;
}

static void open_refused(void)
{
	int listener, pair[2];
	pid_t pid;

	/* fd 20: urgent data */
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK(send(pair[0], "x", 1, MSG_OOB) == 1);
	keep(pair[1]);
	/* fd 21: data for a connection that nobody has accepted */
	listener = listening("@impatient", SOCK_STREAM, 1);
	pair[0] = connected("@impatient", SOCK_STREAM);
	CHECK(writes(pair[0], "request"));
	keep(pair[0]);
	/* fd 22: a message of one that has ended */
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	CHECK(!setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(write(pair[0], "will", 4) != 4);
	CHECK(waitpid(pid, NULL, 0) == pid);
	keep(pair[1]);
	/* fd 23: its file has another name now */
	keep(bound("/tmp/before", SOCK_DGRAM));
	CHECK(!rename("/tmp/before", "/tmp/after"));
	/* fd 24: an empty message that was looked at already, behind another one */
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	CHECK(writes(pair[0], "x") && !send(pair[0], "", 0, 0));
	CHECK(!setsockopt(pair[1], SOL_SOCKET, SO_PEEK_OFF, &(int){0}, sizeof(int)));
	CHECK(recv(pair[1], &pid, 1, MSG_PEEK) == 1 && !recv(pair[1], &pid, 1, MSG_PEEK));
	keep(pair[1]);
	/* fd 25: in flight, what cannot be saved itself */
	{
		int inner[2];

		CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
		CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, inner));
		CHECK(send(inner[0], "x", 1, MSG_OOB) == 1 && send_fd(pair[1], "x", inner[1]));
		CHECK(!close(inner[1]));
		keep(pair[0]);
	}
	(void)listener;
}

int main(int argc, char **argv)
{
	CHECK(argc >= 2);
	umask(022);
	if (argc == 3 && !strcmp(argv[2], "refused")) {
		open_refused();
		ready_and_wait(argv[1]);
		return passed();
	}
	open_names();
	open_messages();
	open_flight();
	open_datagrams();
	open_connections();
	open_options();
	ready_and_wait(argv[1]);
	check_names();
	check_messages();
	check_creds(queues.creds[1], true);
	check_creds(queues.datagram_creds[1], false);
	CHECK(reads(queues.anonymous[1], "nobody"));
	check_flight();
	check_datagrams();
	check_connections();
	check_options();
	kill(child, SIGKILL);
	return passed();
}
