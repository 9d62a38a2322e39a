// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_leasetime GO SECONDS SLACK: a lease for writing that nobody gives up, and a child that
 * breaks it. "ready" when it waits, and "PASS" if it has waited for as long as the kernel
 * gives leases, by the container's clock, or at most SLACK seconds longer. Without SECONDS: only
 * the lease, for others to break.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "res.h"

static double seconds(void)
{
	struct timespec t;

	CHECK(!clock_gettime(CLOCK_MONOTONIC, &t));
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	volatile double *waited;
	double wanted, begin;
	pid_t pid;
	int fd;

	CHECK(argc == 2 || argc == 4);
	waited = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(signal(SIGIO, SIG_IGN) != SIG_ERR);
	fd = open("/tmp/leased", O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && !fcntl(fd, F_SETLEASE, F_WRLCK));
	if (argc == 2) {
		ready_and_wait(argv[1]);
		return passed();
	}
	wanted = atof(argv[2]);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		close(fd);
		begin = seconds();
		puts("ready");
		fflush(stdout);
		CHECK(open("/tmp/leased", O_RDONLY) >= 0);
		*waited = seconds() - begin;
		_exit(0);
	}
	CHECK(waitpid(pid, NULL, 0) == pid);
	printf("waited %.2f s\n", *waited);
	CHECK(*waited > wanted - 0.5 && *waited < wanted + atof(argv[3]));
	CHECK(fcntl(fd, F_GETLEASE) == F_RDLCK);
	return passed();
}
