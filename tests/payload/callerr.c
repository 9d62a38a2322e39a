// SPDX-License-Identifier: GPL-2.0-only
/* Says what errno a system call that gets bad arguments has: callerr NUMBER... */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		errno = 0;
		syscall(atol(argv[i]), -1L, -1L, -1L, -1L, -1L, -1L);
		printf("%s\n", strerrorname_np(errno));
	}
	return 0;
}
