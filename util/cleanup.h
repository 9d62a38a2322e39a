/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scope-bound ownership. A variable declared with one of the cleanup attributes
 * is released when it goes out of scope; take_fd() and take_ptr() hand it on.
 * Releasing keeps errno, so that an error can be reported after it.
 */
#ifndef FIRN_UTIL_CLEANUP_H
#define FIRN_UTIL_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_free(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}

static inline void cleanup_file(FILE **f)
{
	int saved = errno;

	if (*f)
		fclose(*f);
	errno = saved;
}

static inline void cleanup_dir(DIR **d)
{
	int saved = errno;

	if (*d)
		closedir(*d);
	errno = saved;
}

#define __cleanup(fn)  __attribute__((cleanup(fn)))
#define __cleanup_fd   __cleanup(cleanup_fd)
#define __cleanup_free __cleanup(cleanup_free)
#define __cleanup_file __cleanup(cleanup_file)
#define __cleanup_dir  __cleanup(cleanup_dir)

/* Takes the descriptor out of *fd; the caller owns it, *fd becomes -1. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Takes the pointer out of the variable p; p becomes NULL. */
#define take_ptr(p)                                                                                \
	({                                                                                         \
		__typeof__(p) __taken = (p);                                                       \
		(p) = NULL;                                                                        \
		__taken;                                                                           \
	})

#endif
