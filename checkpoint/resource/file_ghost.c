// SPDX-License-Identifier: GPL-2.0-only
/* Files without a name: their contents are in the image. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define GHOST_CHUNK (1024 * 1024)

static int dump_ghost(struct checkpoint *c, const struct description *d, struct error **err)
{
	__cleanup_fd int fd = reopen_fd(d->fd, O_RDONLY);
	__cleanup_free char *chunk = malloc(GHOST_CHUNK);
	struct image_file *f;
	char name[32];
	off_t at = 0;
	int r;

	if (fd < 0 || !chunk)
		return error_errno(err, fd < 0 ? -fd : ENOMEM, "reading the deleted file \"%s\"",
				   d->link);
	snprintf(name, sizeof(name), "ghost-%u", d->group);
	r = image_add_file(c->image, name, &f, err);
	while (!r) {
		ssize_t n = pread(fd, chunk, GHOST_CHUNK, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "reading the deleted file \"%s\"", d->link);
		if (!n)
			break;
		at += n;
		r = image_file_write(f, chunk, n, err);
		if (!r)
			r = checkpoint_cancelled(c->request->cancel, err);
	}
	return r;
}

static bool is_ghost(const struct description *d)
{
	return d->kind == &file_kind_file && d->file_kind == CKPT_FILE_REGULAR && d->group;
}

int files_dump_ghosts(struct checkpoint *c, struct error **err)
{
	__cleanup_free bool *done = calloc(c->files->groups + 1, sizeof(*done));
	int r = 0;

	if (!done)
		return error_errno(err, ENOMEM, "saving deleted files");
	for (size_t i = 0; !r && i < c->files->descriptions.count; i++) {
		const struct description *d = c->files->descriptions.items[i];

		if (!is_ghost(d) || done[d->group])
			continue;
		done[d->group] = true;
		r = dump_ghost(c, d, err);
	}
	return r;
}

/* --- a restore --- */

static int tmpfile_in(int rootfd, const char *dir)
{
	int fd = open_in_root(rootfd, dir, O_TMPFILE | O_RDWR, 0600);
	__cleanup_fd int dirfd = -1;
	char name[64];

	if (fd >= 0 || fd == -ENOENT || fd == -ENOTDIR)
		return fd;
	dirfd = open_in_root(rootfd, dir, O_PATH | O_DIRECTORY, 0);
	if (dirfd < 0)
		return dirfd;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), ".firn-%d-%u", getpid(), i);
		fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0)
			return -errno;
		unlinkat(dirfd, name, 0);
		return fd;
	}
	return -EEXIST;
}

/* Zeros stay holes. */
static int write_sparse(int fd, const char *data, size_t len, off_t at)
{
	static const char zeros[4096];
	int r = 0;

	for (size_t k = 0; !r && k < len; k += sizeof(zeros)) {
		size_t n = len - k < sizeof(zeros) ? len - k : sizeof(zeros);

		if (memcmp(data + k, zeros, n))
			r = pwrite_full(fd, data + k, n, at + k);
	}
	return r;
}

static int fill_ghost(struct restore *r, uint32_t number, int fd, struct error **err)
{
	__cleanup_free char *chunk = malloc(GHOST_CHUNK);
	char name[32];
	uint64_t size;
	int from, ret;

	snprintf(name, sizeof(name), "ghost-%u", number);
	ret = image_reader_file(r->image, name, &from, &size, err);
	if (ret)
		return ret;
	if (!chunk)
		return error_errno(err, ENOMEM, "loading %s", name);
	for (uint64_t at = 0; !ret && at < size; at += GHOST_CHUNK) {
		size_t n = size - at < GHOST_CHUNK ? size - at : GHOST_CHUNK;

		ret = pread_full(from, chunk, n, at);
		if (!ret)
			ret = write_sparse(fd, chunk, n, at);
	}
	if (!ret && ftruncate(fd, size))
		ret = -errno;
	return ret ? error_errno(err, -ret, "restoring the contents of %s", name) : 0;
}

static int make_ghost(struct restore *r, const struct file_object *o, int fd, struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	struct timespec times[2] = {
		{.tv_nsec = UTIME_OMIT},
		{rec->mtime / 1000000000, rec->mtime % 1000000000},
	};
	int ret = fill_ghost(r, rec->ghost, fd, err);

	if (ret)
		return ret;
	if (fchown(fd, rec->uid, rec->gid) || fchmod(fd, rec->mode & 07777) || futimens(fd, times))
		return error_errno(err, errno, "restoring the owner and mode of a deleted file");
	return 0;
}

int ghost_open(struct restore *r, const struct file_object *o, int *fd, struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	struct file_group *g = files_group(&r->files->ghosts, rec->ghost);
	char dir[PATH_MAX];

	if (g) {
		*fd = g->fd;
		return 0;
	}
	memcpy(dir, o->tail, o->tail_len);
	dir[o->tail_len] = '\0';
	strrchr(dir, '/')[dir[0] == '/' && strrchr(dir, '/') == dir] = '\0';
	*fd = tmpfile_in(r->rootfd, dir);
	if (*fd == -ENOENT || *fd == -ENOTDIR)
		*fd = tmpfile_in(r->rootfd, "/");
	if (*fd < 0)
		return error_errno(err, -*fd, "making a file in \"%s\" for the deleted \"%.*s\"",
				   dir, (int)o->tail_len, o->tail);
	g = vec_add(&r->files->ghosts);
	if (!g) {
		close(*fd);
		return error_errno(err, ENOMEM, "restoring");
	}
	*g = (struct file_group){.number = rec->ghost, .fd = *fd};
	return make_ghost(r, o, *fd, err);
}
