// SPDX-License-Identifier: GPL-2.0-only
/* inrepair PID: how many of its descriptors are TCP connections in repair mode. */
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_in_repair(int pidfd, int number)
{
	int fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);
	int value = 0;
	socklen_t len = sizeof(value);
	int is = fd >= 0 && !getsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &value, &len) && value;

	close(fd);
	return is;
}

int main(int argc, char **argv)
{
	pid_t pid = argc == 2 ? atoi(argv[1]) : 0;
	int pidfd = syscall(SYS_pidfd_open, pid, 0), found = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (pidfd < 0 || !dir) {
		perror(path);
		return 1;
	}
	for (struct dirent *e; (e = readdir(dir));)
		found += is_in_repair(pidfd, atoi(e->d_name));
	printf("%d\n", found);
	return 0;
}
