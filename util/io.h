/* SPDX-License-Identifier: GPL-2.0-only */
/* Whole reads and writes, small files, and paths that cannot leave a root. */
#ifndef FIRN_UTIL_IO_H
#define FIRN_UTIL_IO_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All of it or a negative errno (-ENODATA when the file ends first). Interrupted calls go on. */
int read_full(int fd, void *data, size_t len);
int write_full(int fd, const void *data, size_t len);
int pread_full(int fd, void *data, size_t len, off_t offset);
int pwrite_full(int fd, const void *data, size_t len, off_t offset);

/*
 * Reads a whole file of at most max bytes, NUL-terminated; *data is the
 * caller's to free. len may be NULL. Returns 0, -EFBIG, or a negative errno.
 * path is relative to dirfd (AT_FDCWD as usual).
 */
int read_file(int dirfd, const char *path, size_t max, char **data, size_t *len);

/*
 * read_file() of what may be anything, and must not be waited for. The first reads regular files
 * alone (-EINVAL); the second also a pipe that its user has made, as in --process <(jq ...): a FIFO
 * that nobody writes to is empty.
 */
int read_regular(int dirfd, const char *path, size_t max, char **data, size_t *len);
int read_input(int dirfd, const char *path, size_t max, char **data, size_t *len);

/* read_file() with a path made by a format: proc_read(&text, "%d/status", pid) under /proc. */
int proc_read(char **data, size_t *len, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Opens a path made by a format, O_CLOEXEC added. Negative errno on failure. */
int open_fmt(int flags, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Writes a string to an existing file (a sysctl, a cgroup file) in one write. */
int write_file(int dirfd, const char *path, const char *text);

/*
 * openat2() with RESOLVE_IN_ROOT (absolute paths and symlinks stay below
 * rootfd) and RESOLVE_NO_MAGICLINKS; O_CLOEXEC is added. Negative errno on failure.
 */
int open_in_root(int rootfd, const char *path, int flags, mode_t mode);

/* A directory that is open (not by O_PATH), to be read from its beginning; NULL with errno set. */
DIR *open_dir_again(int fd);

/* A fd to /proc/self/fd/FD reopened with other flags. Negative errno on failure. */
int reopen_fd(int fd, int flags);

/*
 * Holds the numbers 0 to 2 that the caller has closed: else the next files that are opened would
 * have them, be printed into, and be given to containers as their streams. Nothing can be read or
 * written there, and no program gets it. Negative errno on failure.
 */
int stdio_hold(void);

/* Whether the caller has given us this one of 0 to 2. */
bool stdio_given(int fd);

/* The target of /proc/PID/fd/FD and the like: a malloc'ed string, or NULL with errno set. */
char *read_link(int dirfd, const char *path);

#endif
