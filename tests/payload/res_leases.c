// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_leases GO: leases for reading and writing, and two that are being broken, by
 * children that wait in open(2). "ready", and with the file GO "PASS" if all is as it
 * was, the children still wait, and no signal came twice.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "res.h"

enum { READING = 20, WRITING, BROKEN, DOWNGRADED };

static volatile int *opened;
static volatile sig_atomic_t signals;

static void count_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	signals += info->si_fd == BROKEN || info->si_fd == DOWNGRADED ? 1 : 100;
}

static void lease(int number, const char *path, int flags, int type)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	CHECK(fd >= 0 && !close(fd));
	fd = open(path, flags);
	CHECK(fd >= 0 && dup2(fd, number) == number && !close(fd));
	CHECK(!fcntl(number, F_SETSIG, SIGRTMIN + 1) && !fcntl(number, F_SETLEASE, type));
	CHECK(fcntl(number, F_GETLEASE) == type);
}

static pid_t open_in_child(const char *path, int flags, int which)
{
	pid_t pid = fork();

	if (!pid) {
		/* an own description of a leased file would be in the way of the lease itself */
		for (int fd = READING; fd <= DOWNGRADED; fd++)
			close(fd);
		opened[which] = open(path, flags) >= 0 ? 1 : -errno;
		_exit(0);
	}
	CHECK(pid > 0);
	return pid;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_sigaction = count_signal,
				   .sa_flags = SA_SIGINFO | SA_RESTART};
	struct f_owner_ex owner;
	pid_t one, two;

	CHECK(argc == 2);
	opened = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(!sigaction(SIGRTMIN + 1, &action, NULL));
	lease(READING, "/tmp/reading", O_RDONLY, F_RDLCK);
	lease(WRITING, "/tmp/writing", O_RDWR, F_WRLCK);
	lease(BROKEN, "/tmp/broken", O_RDONLY, F_WRLCK);
	lease(DOWNGRADED, "/tmp/downgraded", O_RDONLY, F_WRLCK);
	one = open_in_child("/tmp/broken", O_RDWR, 0);
	two = open_in_child("/tmp/downgraded", O_RDONLY, 1);
	while (signals < 2)
		usleep(1000);
	ready_and_wait(argv[1]);

	CHECK(signals == 2);
	CHECK(fcntl(READING, F_GETLEASE) == F_RDLCK && fcntl(WRITING, F_GETLEASE) == F_WRLCK);
	CHECK(fcntl(BROKEN, F_GETLEASE) == F_UNLCK && fcntl(DOWNGRADED, F_GETLEASE) == F_RDLCK);
	CHECK(!opened[0] && !opened[1]);
	/* was one for writing: a reader has to wait as well */
	CHECK(open("/tmp/broken", O_RDONLY | O_NONBLOCK) == -1 && errno == EWOULDBLOCK);
	for (int fd = READING; fd <= DOWNGRADED; fd++)
		CHECK(!fcntl(fd, F_GETOWN_EX, &owner) && owner.type == F_OWNER_PID &&
		      owner.pid == getpid() && fcntl(fd, F_GETSIG) == SIGRTMIN + 1);
	CHECK(!fcntl(BROKEN, F_SETLEASE, F_UNLCK) && !fcntl(DOWNGRADED, F_SETLEASE, F_RDLCK));
	CHECK(waitpid(one, NULL, 0) == one && waitpid(two, NULL, 0) == two);
	CHECK(opened[0] == 1 && opened[1] == 1 && signals == 2);
	CHECK(fcntl(DOWNGRADED, F_GETLEASE) == F_RDLCK);
	CHECK(open("/tmp/writing", O_RDONLY | O_NONBLOCK) == -1 && errno == EWOULDBLOCK);
	CHECK(signals == 102 && fcntl(WRITING, F_GETLEASE) == F_RDLCK);
	return passed();
}
