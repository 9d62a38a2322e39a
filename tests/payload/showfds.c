// SPDX-License-Identifier: GPL-2.0-only
/*
 * showfds NAME: prints "NAME: FD TARGET, FD TARGET, ...": what it has open, in one line.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char line[65536], target[PATH_MAX];
	DIR *dir = opendir("/proc/self/fd");
	size_t len;
	struct dirent *e;

	if (argc < 2 || !dir)
		return 1;
	len = snprintf(line, sizeof(line), "%s:", argv[1]);
	while ((e = readdir(dir)) && len < sizeof(line) / 2) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);

		if (e->d_name[0] == '.' || n < 0 || atoi(e->d_name) == dirfd(dir))
			continue;
		target[n] = '\0';
		len += snprintf(line + len, sizeof(line) - len, " %s %s,", e->d_name, target);
	}
	line[len++] = '\n';
	return write(STDOUT_FILENO, line, len) != (ssize_t)len;
}
