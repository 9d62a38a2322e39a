// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_refused GO: what a checkpoint cannot save, under descriptors 20 and up in this order;
 * 21, 24 and 25 (a memory file, a file that has lost a name, a removed directory) it can.
 * 28 to 31 are handles (O_PATH) of a pipe, of an eventfd, of a socket and of standard output; 32 is
 * a file in the working directory, whose path is longer than the kernel tells; 33 is secret memory,
 * if the kernel has that, and another one is only mapped.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "res.h"

static int next = 20;

static int keep(int fd)
{
	CHECK(fd >= 0 && dup2(fd, next) == next && !close(fd));
	return next++;
}

static void *sleep_forever(void *tid)
{
	*(volatile pid_t *)tid = gettid();
	for (;;)
		pause();
	return NULL;
}

/* since 6.9 */
static int pidfd_of_thread(void)
{
	static volatile pid_t tid;
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, sleep_forever, (void *)&tid));
	while (!tid)
		;
	return syscall(SYS_pidfd_open, tid, O_EXCL /* PIDFD_THREAD */);
}

/* Closes fd, but standard output. */
static int handle_of(int fd)
{
	char path[64];
	int handle;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	handle = open(path, O_PATH);
	CHECK(handle >= 0 && (fd == 1 || !close(fd)));
	return handle;
}

static void keep_handles(void)
{
	int ends[2];

	CHECK(!pipe(ends));
	keep(handle_of(ends[0]));
	keep(handle_of(eventfd(1, 0)));
	keep(handle_of(socket(AF_UNIX, SOCK_STREAM, 0)));
	keep(handle_of(1));
}

static void keep_deep(void)
{
	char name[256];

	memset(name, 'd', 255);
	name[255] = '\0';
	CHECK(!chdir("/tmp"));
	for (int i = 0; i < 17; i++)
		CHECK(!mkdir(name, 0755) && !chdir(name));
	keep(open("file", O_RDWR | O_CREAT, 0600));
}

static void keep_secret(void)
{
	int fd = syscall(SYS_memfd_secret, 0);

	if (fd < 0)
		return;
	CHECK(!ftruncate(fd, 4096));
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
	keep(fd);
	/* another one, of which there is only the mapping */
	fd = syscall(SYS_memfd_secret, 0);
	CHECK(fd >= 0 && !ftruncate(fd, 4096));
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
	CHECK(!close(fd));
}

/* Of one that has ended, which has the same table of descriptors: it tells the number. */
static int other_namespace(void)
{
	pid_t pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	int status;

	if (!pid)
		_exit(unshare(CLONE_NEWUSER | CLONE_NEWUTS) ? 255
							    : open("/proc/self/ns/uts", O_RDONLY));
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) != 255);
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	CHECK(inotify_add_watch(keep(inotify_init()), "/tmp", IN_CREATE) == 1);
	CHECK(open("/tmp/new", O_RDWR | O_CREAT, 0600) >= 0);
	keep(memfd_create("x", 0));
	keep(pidfd_of_thread());
	CHECK(!fcntl(keep(open("/tmp", O_RDONLY)), F_NOTIFY, DN_CREATE | DN_MULTISHOT));
	signal(SIGIO, SIG_IGN);
	keep(open("/tmp/renamed", O_RDWR | O_CREAT, 0600));
	CHECK(!link("/tmp/renamed", "/tmp/other") && !unlink("/tmp/renamed"));
	CHECK(!mkdir("/tmp/removed", 0755));
	keep(open("/tmp/removed", O_RDONLY | O_DIRECTORY));
	CHECK(!rmdir("/tmp/removed"));
	keep(socket(AF_NETLINK, SOCK_RAW, 12 /* NETLINK_NETFILTER */));
	keep(other_namespace());
	keep_handles();
	keep_deep();
	keep_secret();
	ready_and_wait(argv[1]);
	return passed();
}
