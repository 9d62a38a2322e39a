// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_locks GO: POSIX locks of two processes on one description, flock on descriptions
 * that are shared by fork and on others, locks of descriptions (OFD), and a process that
 * waits for a lock. "ready", and with the file GO "PASS" if all is as it was.
 */
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "res.h"

enum { POSIX = 20, FLOCKED, SHARED, SHARED2, OFD };

static volatile int *told; /* of the children */

static int keep(int number, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	CHECK(fd >= 0 && dup2(fd, number) == number && !close(fd));
	return number;
}

static int lock(int fd, int cmd, short type, long start, long len)
{
	struct flock f = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

	return fcntl(fd, cmd, &f);
}

/* Who has the first lock in the way of one for writing; 0: nobody, -1: a description. */
static pid_t holder(const char *path, long start, long len, struct flock *found)
{
	struct flock f = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
	int fd = open(path, O_RDWR);

	CHECK(fd >= 0 && !fcntl(fd, F_OFD_GETLK, &f) && !close(fd));
	if (found)
		*found = f;
	return f.l_type == F_UNLCK ? 0 : f.l_pid;
}

static int can_flock(const char *path, int how)
{
	int fd = open(path, O_RDWR), r = flock(fd, how | LOCK_NB);

	CHECK(fd >= 0 && (!r || errno == EWOULDBLOCK));
	close(fd);
	return !r;
}

static void wait_told(int value)
{
	while (*told != value)
		usleep(1000);
}

/* Has a lock of its own, and lets go of the flock when it is told to. */
static void child(void)
{
	CHECK(!lock(POSIX, F_SETLK, F_WRLCK, 120, 10));
	*told = 1;
	wait_told(2);
	CHECK(!flock(FLOCKED, LOCK_UN));
	*told = 3;
	pause();
}

static void waiter(void)
{
	/* held by its parent */
	CHECK(!lock(POSIX, F_SETLKW, F_WRLCK, 0, 10));
	*told = 5;
	pause();
}

static pid_t start(void (*run)(void))
{
	pid_t pid = fork();

	if (!pid) {
		run();
		_exit(1);
	}
	CHECK(pid > 0);
	return pid;
}

static void check_posix(pid_t one)
{
	struct flock f;

	/* closing what holder() opens would drop this process's own locks: a child asks */
	pid_t pid = fork();

	if (!pid) {
		CHECK(holder("/tmp/posix", 0, 50, &f) == getppid());
		CHECK(f.l_type == F_WRLCK && f.l_start == 0 && f.l_len == 100);
		CHECK(holder("/tmp/posix", 110, 30, &f) == one);
		CHECK(f.l_type == F_WRLCK && f.l_start == 120 && f.l_len == 10);
		CHECK(holder("/tmp/posix", 150, 0, &f) == getppid());
		CHECK(f.l_type == F_RDLCK && f.l_start == 200 && f.l_len == 0);
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(int argc, char **argv)
{
	struct flock f;
	pid_t one, two;

	CHECK(argc >= 2);
	told = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	keep(POSIX, "/tmp/posix");
	keep(FLOCKED, "/tmp/flocked");
	keep(SHARED, "/tmp/shared");
	keep(SHARED2, "/tmp/shared");
	keep(OFD, "/tmp/ofd");
	CHECK(!lock(POSIX, F_SETLK, F_WRLCK, 0, 100) && !lock(POSIX, F_SETLK, F_RDLCK, 200, 0));
	CHECK(!flock(FLOCKED, LOCK_EX) && !flock(SHARED, LOCK_SH) && !flock(SHARED2, LOCK_SH));
	CHECK(!lock(OFD, F_OFD_SETLK, F_WRLCK, 5, 5) && !lock(OFD, F_OFD_SETLK, F_RDLCK, 50, 0));
	one = start(child);
	wait_told(1);
	two = start(waiter);
	usleep(100000);
	ready_and_wait(argv[1]);

	check_posix(one);
	CHECK(*told == 1);
	CHECK(!lock(POSIX, F_SETLK, F_UNLCK, 0, 10));
	wait_told(5);
	CHECK(holder("/tmp/ofd", 0, 20, &f) == -1 && f.l_type == F_WRLCK && f.l_start == 5 &&
	      f.l_len == 5);
	CHECK(holder("/tmp/ofd", 20, 0, &f) == -1 && f.l_type == F_RDLCK && f.l_start == 50 &&
	      f.l_len == 0);
	CHECK(!can_flock("/tmp/flocked", LOCK_SH));
	*told = 2;
	wait_told(3);
	CHECK(can_flock("/tmp/flocked", LOCK_EX));
	CHECK(can_flock("/tmp/shared", LOCK_SH) && !can_flock("/tmp/shared", LOCK_EX));
	CHECK(!flock(SHARED, LOCK_UN) && !can_flock("/tmp/shared", LOCK_EX));
	CHECK(!flock(SHARED2, LOCK_UN) && can_flock("/tmp/shared", LOCK_EX));
	kill(one, SIGKILL);
	kill(two, SIGKILL);
	return passed();
}
