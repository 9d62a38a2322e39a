/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What programs about descriptors share: they say "ready", wait for the file GO,
 * look at what they have, and say PASS or FAIL. The checkpoint happens in between.
 */
#ifndef FIRN_TESTS_RES_H
#define FIRN_TESTS_RES_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("FAIL %s line %d: %s (errno %d)\n", __FILE__, __LINE__, #condition, \
			       errno);                                                             \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static inline void ready_and_wait(const char *go)
{
	struct timespec ms10 = {0, 10000000};

	puts("ready");
	fflush(stdout);
	while (access(go, F_OK))
		nanosleep(&ms10, NULL);
}

/* A child that plays a role, in which nothing is amiss if it ends with 0. */
static inline pid_t start_role(void (*role)(void))
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	role();
	_exit(0);
}

static inline void end_role(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid && !status);
}

static inline int passed(void)
{
	puts("PASS");
	fflush(stdout);
	return 0;
}

/* The next read gives exactly this text. */
static inline int reads(int fd, const char *text)
{
	char got[256];

	return read(fd, got, sizeof(got)) == (ssize_t)strlen(text) &&
	       !memcmp(got, text, strlen(text));
}

static inline int writes(int fd, const char *text)
{
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

#endif
