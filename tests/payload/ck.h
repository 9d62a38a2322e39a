/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the checkpoint payloads share. Each sets something up, tells by /tmp/ready,
 * waits for /tmp/go, looks at what it has, and writes "ok" or what is wrong, a
 * line each, to /tmp/result. The checkpoint happens between ready and go.
 */
#ifndef FIRN_TESTS_CK_H
#define FIRN_TESTS_CK_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char ck_text[8192];
static size_t ck_len;

static inline void ck_file(const char *path, const char *text)
{
	char temp[128];
	int fd;

	snprintf(temp, sizeof(temp), "%s.%d", path, getpid());
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) || rename(temp, path))
		abort();
}

static inline void ck_ready(void)
{
	ck_file("/tmp/ready", "ready\n");
}

static inline int ck_go(void)
{
	return access("/tmp/go", F_OK) == 0;
}

static inline void ck_wait_go(void)
{
	struct timespec pause = {.tv_nsec = 5000000};

	while (!ck_go())
		nanosleep(&pause, NULL);
}

/* Not for signal handlers. */
static inline void __attribute__((format(printf, 1, 2))) ck_bad(const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(ck_text + ck_len, sizeof(ck_text) - ck_len, fmt, args);
	va_end(args);
	if (n > 0 && ck_len + n + 1 < sizeof(ck_text)) {
		ck_len += n;
		ck_text[ck_len++] = '\n';
		ck_text[ck_len] = '\0';
	}
}

#define ck_check(condition)                                                                        \
	((condition) ? (void)0 : ck_bad("line %d: not %s (errno %d)", __LINE__, #condition, errno))

static inline int ck_end(void)
{
	ck_file("/tmp/result", ck_len ? ck_text : "ok\n");
	return ck_len ? 1 : 0;
}

/* Milliseconds of a clock. */
static inline long ck_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif
