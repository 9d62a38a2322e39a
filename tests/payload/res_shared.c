// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_shared GO: two processes, pipes between them in use, a file whose offset
 * they share, one and a half thousand descriptors, and a limit far below.
 */
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "res.h"

#define MANY 1500

static void child(int in, int out, int file)
{
	struct rlimit low = {64, 64};
	char order, text[64];
	ssize_t n;

	CHECK(!chdir("/tmp/sub") && !setrlimit(RLIMIT_NOFILE, &low));
	while (read(in, &order, 1) == 1) {
		n = order == 'f' ? read(file, text, 3) : 0;
		if (order == 'd')
			n = getcwd(text, sizeof(text)) ? (ssize_t)strlen(text) : 0;
		if (write(out, text, n) != n)
			_exit(1);
	}
	_exit(7);
}

int main(int argc, char **argv)
{
	int orders[2], answers[2], file, other, last = -1, status;
	struct rlimit limit;
	uint64_t count;
	pid_t pid;

	CHECK(argc == 2 && !pipe(orders) && !pipe(answers) && !mkdir("/tmp/sub", 0755));
	CHECK(!getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max;
	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	file = open("/tmp/shared", O_RDWR | O_CREAT, 0644);
	other = open("/tmp/shared", O_RDONLY);
	CHECK(file >= 0 && other >= 0 && writes(file, "0123456789") && !lseek(file, 0, SEEK_SET));
	for (int i = 0; i < MANY; i++)
		CHECK((last = eventfd(i, 0)) >= 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		close(orders[1]);
		close(answers[0]);
		child(orders[0], answers[1], file);
	}
	close(orders[0]);
	close(answers[1]);
	CHECK(writes(orders[1], "f") && reads(answers[0], "012"));
	CHECK(writes(orders[1], "f"));
	ready_and_wait(argv[1]);

	/* the answer was on its way */
	CHECK(reads(answers[0], "345") && lseek(file, 0, SEEK_CUR) == 6);
	CHECK(lseek(other, 0, SEEK_CUR) == 0);
	CHECK(writes(orders[1], "f") && reads(answers[0], "678"));
	CHECK(writes(orders[1], "d") && reads(answers[0], "/tmp/sub"));
	CHECK(read(last, &count, sizeof(count)) == sizeof(count) && count == MANY - 1);
	CHECK(fcntl(last + 1, F_GETFD) < 0);
	/* no copy of our end is open elsewhere */
	CHECK(!close(orders[1]) && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	return passed();
}
