// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_epoll GO: an epoll set with members of many sorts, shared with a child that
 * has added one of its own; "ready", and when the file GO exists, PASS if the set
 * is as it was and every member works.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "res.h"

/* what each member's data is; the upper half must not get lost either */
#define DATA(n) (0xfedcba9800000000ull + (n))
enum {
	PIPE = 1,
	EDGE,
	SPENT,
	SPENT_HANGUP,
	MOVED,
	REUSED,
	NESTED,
	EXCLUSIVE,
	SIGNALS,
	CHILDS,
	IN_FLIGHT,
	CARRIER,
	INNER
};
/* more than go into one batch of remote calls */
#define CROWD	     800
#define CROWD_NUMBER 100
#define MOVED_NUMBER 40
#define MOVED_NOW    41

static struct {
	int set, inner, crowd, pipe[2], hangup, edge, spent, reused, exclusive, signals, inside,
		pair[2];
} m;

static void add(int set, int fd, uint32_t events, int n)
{
	struct epoll_event event = {.events = events, .data.u64 = DATA(n)};

	CHECK(fd >= 0 && !epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
}

static int event_at(int number)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	CHECK(fd >= 0 && dup2(fd, number) == number);
	close(fd);
	return number;
}

static void put(int fd)
{
	uint64_t one = 1;

	CHECK(write(fd, &one, sizeof(one)) == sizeof(one));
}

static void drain(int fd)
{
	uint64_t n;

	CHECK(read(fd, &n, sizeof(n)) == sizeof(n));
}

/* The next of what is ready: 0 nothing. */
static int next(int set, int timeout)
{
	struct epoll_event event;
	int n = epoll_wait(set, &event, 1, timeout);

	CHECK(n >= 0);
	return n ? (int)(event.data.u64 - DATA(0)) : 0;
}

/* Number, events and data of every member, sorted: the order is of addresses. */
static char *members(int set)
{
	static char line[64][128];
	char path[64], *text = calloc(1, sizeof(line));
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", set);
	f = fopen(path, "re");
	CHECK(f && text);
	while (n < 64 && fgets(line[n], sizeof(line[n]), f)) {
		char *pos = strstr(line[n], " pos:");

		if (strncmp(line[n], "tfd:", 4) || !pos)
			continue;
		strcpy(pos, "\n");
		n++;
	}
	fclose(f);
	qsort(line, n, sizeof(*line), (int (*)(const void *, const void *))strcmp);
	for (int i = 0; i < n; i++)
		strcat(text, line[i]);
	return text;
}

static void child(void)
{
	sigset_t set;
	int fd = event_at(60), signo;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	add(m.set, fd, EPOLLIN, CHILDS);
	put(m.pipe[1]);
	while (sigwait(&set, &signo))
		;
	put(fd);
	while (sigwait(&set, &signo))
		;
	exit(0);
}

/* One file under many numbers: each is a member of its own. */
static void make_crowd(void)
{
	int fd = event_at(CROWD_NUMBER);

	m.crowd = epoll_create1(0);
	for (int i = 0; i < CROWD; i++) {
		CHECK(dup2(fd, CROWD_NUMBER + i) == CROWD_NUMBER + i);
		add(m.crowd, CROWD_NUMBER + i, EPOLLIN, i);
	}
}

static void check_crowd(void)
{
	static struct epoll_event events[CROWD + 1];
	static char seen[CROWD];

	put(CROWD_NUMBER);
	CHECK(epoll_wait(m.crowd, events, CROWD + 1, 0) == CROWD);
	for (int i = 0; i < CROWD; i++) {
		uint64_t n = events[i].data.u64 - DATA(0);

		CHECK(n < CROWD && !seen[n]++);
		CHECK(!epoll_ctl(m.crowd, EPOLL_CTL_DEL, CROWD_NUMBER + i, NULL));
	}
}

static void pass(int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(fd))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	CHECK(sendmsg(m.pair[0], &msg, 0) == 1 && !close(fd));
}

static int receive(void)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	int fd;

	CHECK(recvmsg(m.pair[1], &msg, MSG_DONTWAIT) == 1 && CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* A set that nobody has open, with members that nobody has open, and one with which it came. */
static void set_in_flight(void)
{
	int set = epoll_create1(0), member = eventfd(0, EFD_NONBLOCK);

	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, m.pair));
	add(set, member, EPOLLIN, IN_FLIGHT);
	add(set, m.pair[1], EPOLLIN, CARRIER);
	add(m.set, member, EPOLLIN, IN_FLIGHT);
	pass(set);
	pass(member);
}

static void check_in_flight(void)
{
	int set = receive(), member;

	CHECK(next(set, 0) == CARRIER);
	member = receive();
	CHECK(next(set, 0) == 0 && next(m.set, 0) == 0);
	put(member);
	CHECK(next(set, 0) == IN_FLIGHT && next(m.set, 0) == IN_FLIGHT);
	close(member);
	CHECK(next(set, 0) == 0 && next(m.set, 0) == 0);
}

static void set_up(void)
{
	int closed[2];
	sigset_t signals;

	m.set = epoll_create1(EPOLL_CLOEXEC);
	m.inner = epoll_create1(0);
	CHECK(m.set >= 0 && m.inner >= 0 && !pipe(m.pipe) && !pipe(closed));
	add(m.set, m.pipe[0], EPOLLIN | EPOLLRDHUP, PIPE);
	add(m.set, m.edge = event_at(30), EPOLLIN | EPOLLET, EDGE);

	/* those that have had their one shot */
	put(m.spent = event_at(31));
	add(m.set, m.spent, EPOLLIN | EPOLLONESHOT, SPENT);
	CHECK(next(m.set, 0) == SPENT);
	close(closed[1]);
	m.hangup = closed[0];
	add(m.set, m.hangup, EPOLLIN | EPOLLONESHOT, SPENT_HANGUP);
	CHECK(next(m.set, 0) == SPENT_HANGUP);

	/* a number that is another file's now, a member as well */
	add(m.set, event_at(MOVED_NUMBER), EPOLLIN, MOVED);
	CHECK(dup2(MOVED_NUMBER, MOVED_NOW) == MOVED_NOW);
	m.reused = event_at(MOVED_NUMBER);
	add(m.set, m.reused, EPOLLIN, REUSED);

	add(m.inner, m.inside = event_at(32), EPOLLIN, INNER);
	add(m.set, m.inner, EPOLLIN, NESTED);
	add(m.set, m.exclusive = event_at(33), EPOLLIN | EPOLLEXCLUSIVE, EXCLUSIVE);
	sigemptyset(&signals);
	sigaddset(&signals, SIGALRM);
	make_crowd();
	m.signals = signalfd(-1, &signals, SFD_NONBLOCK);
	add(m.set, m.signals, EPOLLIN, SIGNALS);
	set_in_flight();
}

static void check_level(int write_to, int read_from, int n)
{
	CHECK(next(m.set, 0) == 0);
	put(write_to);
	CHECK(next(m.set, 0) == n && next(m.set, 0) == n);
	drain(read_from);
	CHECK(next(m.set, 0) == 0);
}

static void check_spent(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = DATA(SPENT)};

	/* found under its number; ready all the time */
	CHECK(!epoll_ctl(m.set, EPOLL_CTL_MOD, m.spent, &event));
	CHECK(next(m.set, 0) == SPENT && next(m.set, 0) == 0);
	event.data.u64 = DATA(SPENT_HANGUP);
	CHECK(!epoll_ctl(m.set, EPOLL_CTL_MOD, m.hangup, &event));
	CHECK(next(m.set, 0) == SPENT_HANGUP && next(m.set, 0) == 0);
}

/* The signal comes while the program sleeps in epoll_wait: it must be woken. */
static void check_signals(void)
{
	struct itimerval soon = {.it_value = {0, 50000}};
	struct signalfd_siginfo info;

	CHECK(!setitimer(ITIMER_REAL, &soon, NULL));
	CHECK(next(m.set, 5000) == SIGNALS);
	CHECK(read(m.signals, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGALRM);
}

int main(int argc, char **argv)
{
	char *before, *after;
	sigset_t blocked;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	CHECK(argc == 2);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGALRM);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	set_up();
	pid = fork();
	if (!pid)
		child();
	drain(m.pipe[0]);
	before = members(m.set);
	ready_and_wait(argv[1]);
	after = members(m.set);
	if (strcmp(before, after))
		printf("before:\n%safter:\n%s", before, after);
	CHECK(!strcmp(before, after));
	CHECK(next(m.set, 0) == 0);
	check_level(m.pipe[1], m.pipe[0], PIPE);
	put(m.edge);
	CHECK(next(m.set, 0) == EDGE && next(m.set, 0) == 0);
	check_spent();
	check_level(MOVED_NOW, MOVED_NOW, MOVED);
	check_level(m.reused, m.reused, REUSED);
	put(m.inside);
	CHECK(next(m.set, 0) == NESTED && next(m.inner, 0) == INNER);
	drain(m.inside);
	check_level(m.exclusive, m.exclusive, EXCLUSIVE);
	check_signals();
	check_in_flight();
	check_crowd();
	kill(pid, SIGUSR1);
	CHECK(next(m.set, 5000) == CHILDS);
	CHECK(!epoll_ctl(m.set, EPOLL_CTL_DEL, m.pipe[0], NULL));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(next(m.set, 0) == 0);
	return passed();
}
