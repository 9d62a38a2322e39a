// SPDX-License-Identifier: GPL-2.0-only
#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"

int read_full(int fd, void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read(fd, (char *)data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		done += n;
	}
	return 0;
}

int write_full(int fd, const void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const char *)data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += n;
	}
	return 0;
}

int pread_full(int fd, void *data, size_t len, off_t offset)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (char *)data + done, len - done, offset + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		done += n;
	}
	return 0;
}

int pwrite_full(int fd, const void *data, size_t len, off_t offset)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, (const char *)data + done, len - done, offset + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += n;
	}
	return 0;
}

/* Files of /proc say nothing about their size: read until the end. */
static int read_all(int fd, size_t max, char **data, size_t *len)
{
	__cleanup_free char *text = NULL;
	size_t size = 0, used = 0;

	for (;;) {
		ssize_t n;

		if (used + 1 >= size) {
			size_t grown = size ? size * 4 : 4096;
			char *p = realloc(text, grown);

			if (!p)
				return -ENOMEM;
			text = p;
			size = grown;
		}
		n = read(fd, text + used, size - used - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += n;
		if (used > max)
			return -EFBIG;
	}
	text[used] = '\0';
	*data = take_ptr(text);
	if (len)
		*len = used;
	return 0;
}

int read_file(int dirfd, const char *path, size_t max, char **data, size_t *len)
{
	__cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return read_all(fd, max, data, len);
}

int read_regular(int dirfd, const char *path, size_t max, char **data, size_t *len)
{
	__cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	return S_ISREG(st.st_mode) ? read_all(fd, max, data, len) : -EINVAL;
}

int read_input(int dirfd, const char *path, size_t max, char **data, size_t *len)
{
	__cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	/* only the opening must not wait: who has the other end open may take his time */
	if (fd < 0 || fcntl(fd, F_SETFL, 0))
		return -errno;
	return read_all(fd, max, data, len);
}

int proc_read(char **data, size_t *len, const char *fmt, ...)
{
	char path[128] = "/proc/";
	va_list args;

	va_start(args, fmt);
	vsnprintf(path + 6, sizeof(path) - 6, fmt, args);
	va_end(args);
	return read_file(AT_FDCWD, path, SIZE_MAX / 2, data, len);
}

int open_fmt(int flags, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list args;
	int fd;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	fd = open(path, flags | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

int write_file(int dirfd, const char *path, const char *text)
{
	__cleanup_fd int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int open_in_root(int rootfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	/* EAGAIN: a rename raced with the walk below the root, see openat2(2) */
	do
		fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return fd < 0 ? -errno : (int)fd;
}

int reopen_fd(int fd, int flags)
{
	return open_fmt(flags, "/proc/self/fd/%d", fd);
}

/* No longer than the target: there may be one for each of very many descriptors. */
char *read_link(int dirfd, const char *path)
{
	char target[PATH_MAX + 64];
	ssize_t n = readlinkat(dirfd, path, target, sizeof(target));

	return n < 0 ? NULL : text_copy(target, n);
}

DIR *open_dir_again(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	int code = errno;

	if (!dir && copy >= 0)
		close(copy);
	errno = code;
	return dir;
}

int stdio_hold(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_PATH | O_CLOEXEC) != fd)
			return -errno;
	return 0;
}

bool stdio_given(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && !(flags & O_PATH);
}
