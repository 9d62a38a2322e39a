// SPDX-License-Identifier: GPL-2.0-only
/* res_pidfd GO: pidfds of itself, of children that live, are zombies, or were reaped. */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "res.h"

#define PIDFD_THREAD   O_EXCL
#define PIDFD_NONBLOCK O_NONBLOCK

struct info {
	uint64_t mask;
	uint64_t unused[6];
	uint32_t more;
	int32_t exit_code;
};
#define GET_INFO _IOWR(0xff, 11, struct info)

static pid_t parent, alive, zombie;
static int self, living, shared, undead, gone, gone_again, other_gone, thread = -1, set;

static int pidfd(pid_t pid, unsigned flags)
{
	return syscall(SYS_pidfd_open, pid, flags);
}

static int has_ended(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

static long send_nothing(int fd)
{
	return syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0);
}

static int fdinfo_pid(int fd)
{
	char path[64], text[1024], *line;
	int file;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = open(path, O_RDONLY);
	n = read(file, text, sizeof(text) - 1);
	CHECK(n > 0);
	text[n] = '\0';
	close(file);
	line = strstr(text, "\nPid:");
	CHECK(line);
	return atoi(line + 5);
}

/* 0: the kernel does not tell */
static int exit_code(int fd, int *code)
{
	struct info info = {.mask = 8};

	if (ioctl(fd, GET_INFO, &info) || !(info.mask & 8))
		return 0;
	*code = info.exit_code;
	return 1;
}

static pid_t child(int status)
{
	pid_t pid = fork();

	if (!pid && status < 0)
		for (;;)
			pause();
	if (!pid)
		_exit(status);
	return pid;
}

static void set_up(void)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 77};
	siginfo_t info;
	pid_t pid;

	parent = getpid();
	alive = child(-1);
	zombie = child(3);
	self = pidfd(parent, 0);
	living = pidfd(alive, PIDFD_NONBLOCK);
	shared = dup(living);
	undead = pidfd(zombie, 0);
	thread = pidfd(alive, PIDFD_THREAD);
	CHECK(self >= 0 && living >= 0 && undead >= 0);
	CHECK(!waitid(P_PID, zombie, &info, WEXITED | WNOWAIT));
	pid = child(5);
	gone = pidfd(pid, 0);
	gone_again = pidfd(pid, PIDFD_NONBLOCK);
	CHECK(waitpid(pid, NULL, 0) == pid);
	pid = child(-1);
	other_gone = pidfd(pid, 0);
	CHECK(!kill(pid, SIGUSR1) && waitpid(pid, NULL, 0) == pid);
	set = epoll_create1(0);
	CHECK(!epoll_ctl(set, EPOLL_CTL_ADD, living, &event));
}

static void check_ended(void)
{
	struct stat a, b, c, own;
	siginfo_t info;
	int code;

	CHECK(has_ended(gone) && has_ended(gone_again) && has_ended(other_gone));
	CHECK(send_nothing(gone) == -1 && errno == ESRCH);
	CHECK(waitid(P_PIDFD, gone, &info, WEXITED) == -1 && errno == ECHILD);
	CHECK(fdinfo_pid(gone) == -1 && fdinfo_pid(other_gone) == -1);
	CHECK(fcntl(gone_again, F_GETFL) & O_NONBLOCK && !(fcntl(gone, F_GETFL) & O_NONBLOCK));
	if (exit_code(gone, &code)) {
		CHECK(code == 5 << 8);
		CHECK(exit_code(other_gone, &code) && (code & 0x7f) == SIGUSR1);
	}
	CHECK(!fstat(gone, &a) && !fstat(gone_again, &b) && !fstat(other_gone, &c) &&
	      !fstat(self, &own));
	if (own.st_ino != c.st_ino) /* before 6.9 all have one inode */
		CHECK(a.st_ino == b.st_ino && a.st_ino != c.st_ino);
}

static void check(void)
{
	struct epoll_event event;
	siginfo_t info = {0};

	CHECK(fdinfo_pid(self) == parent && !has_ended(self) && !send_nothing(self));
	CHECK(fdinfo_pid(living) == alive && !has_ended(living));
	CHECK(fcntl(living, F_GETFL) & O_NONBLOCK && !(fcntl(self, F_GETFL) & O_NONBLOCK));
	CHECK(syscall(SYS_kcmp, parent, parent, 0 /* KCMP_FILE */, living, shared) == 0);
	if (thread >= 0)
		CHECK(fdinfo_pid(thread) == alive && fcntl(thread, F_GETFL) & O_EXCL);
	CHECK(fdinfo_pid(undead) == zombie && has_ended(undead));
	CHECK(!waitid(P_PIDFD, undead, &info, WEXITED) && info.si_pid == zombie &&
	      info.si_status == 3);
	check_ended();
	CHECK(epoll_wait(set, &event, 1, 0) == 0);
	CHECK(!syscall(SYS_pidfd_send_signal, living, SIGKILL, NULL, 0));
	CHECK(epoll_wait(set, &event, 1, -1) == 1 && event.data.u64 == 77);
	CHECK(waitpid(alive, NULL, 0) == alive && has_ended(shared));
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	set_up();
	ready_and_wait(argv[1]);
	check();
	return passed();
}
