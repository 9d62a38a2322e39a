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
