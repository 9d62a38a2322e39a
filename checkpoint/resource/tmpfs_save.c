// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tar archive of what is in a file system in memory, in pax format. Nothing of it is held in
 * memory but a chunk, the holes of one file, and one name of each file that has others yet to
 * come. What is frozen does not change; what others could have in it too is followed nowhere.
 */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/resource/tmpfs.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define PAGE	  4096ull /* no hole is shorter */
#define CHUNK	  (1 << 20)
#define BLOCK	  (128 << 10)
#define HOLE_STEP (1ul << 30)
#define LINKS_MAX (256 << 20)
/*
 * Of data in one file: with more of them, short holes are filled. libarchive needs 180 bytes for
 * each, 23 MiB.
 */
#define RUNS_MAX (128 << 10)

/* --- the walk --- */

struct walk {
	int (*fn)(void *ctx, const struct tmpfs_entry *e, struct error **err);
	void *ctx;
	const volatile int *cancel;
	char path[TMPFS_PATH_SIZE];
};

static int walk_directory(struct walk *w, int fd, size_t len, unsigned depth, struct error **err);

static int walk_error(const struct walk *w, int errnum, const char *doing, struct error **err)
{
	return error_errno(err, errnum, "%s \"%s\"", doing, *w->path ? w->path : ".");
}

/* Back in the directory afterwards, whatever was below. */
static int walk_below(struct walk *w, int dirfd, const char *name, size_t len, unsigned depth,
		      struct error **err)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? walk_error(w, errno, "opening", err)
		       : walk_directory(w, fd, len, depth + 1, err);

	if (!r && fchdir(dirfd))
		r = walk_error(w, errno, "going back to above", err);
	return r;
}

static int walk_entry(struct walk *w, int dirfd, const char *name, size_t len, unsigned depth,
		      struct error **err)
{
	struct tmpfs_entry e = {.path = w->path, .name = name};
	size_t left = sizeof(w->path) - len, more;
	int r = 0;

	more = snprintf(w->path + len, left, "%s%s", len ? "/" : "", name);
	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &e.st))
		return walk_error(w, errno, "looking at", err);
	e.unreachable = more >= left || (S_ISDIR(e.st.stx_mode) && depth == TMPFS_DEPTH_MAX);
	if (S_ISDIR(e.st.stx_mode) && !e.unreachable)
		r = walk_below(w, dirfd, name, len + more, depth, err);
	if (!r)
		r = checkpoint_cancelled(w->cancel, err);
	if (!r)
		r = w->fn(w->ctx, &e, err);
	w->path[len] = '\0';
	return r;
}

static int walk_directory(struct walk *w, int fd, size_t len, unsigned depth, struct error **err)
{
	__cleanup_dir DIR *dir = fdopendir(fd);
	struct dirent *d;
	int r = 0;

	if (!dir) {
		close(fd);
		return error_errno(err, ENOMEM, "reading a directory");
	}
	if (fchdir(fd))
		return walk_error(w, errno, "entering", err);
	while (!r && (errno = 0, d = readdir(dir)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			r = walk_entry(w, fd, d->d_name, len, depth, err);
	return r || !errno ? r : walk_error(w, errno, "reading", err);
}

int tmpfs_walk(int root, int (*fn)(void *ctx, const struct tmpfs_entry *e, struct error **err),
	       void *ctx, const volatile int *cancel, struct error **err)
{
	struct walk w = {.fn = fn, .ctx = ctx, .cancel = cancel};
	struct tmpfs_entry e = {.path = ".", .name = "."};
	int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return walk_error(&w, errno, "opening", err);
	r = walk_directory(&w, fd, 0, 0, err);
	if (r)
		return r;
	if (fchdir(root) || statx(root, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &e.st))
		return walk_error(&w, errno, "looking at", err);
	return fn(ctx, &e, err);
}

bool tmpfs_xattr_is_kept(const char *name)
{
	static const char *const whole[] = {"system.posix_acl_access", "system.posix_acl_default",
					    "security.capability"};
	static const char *const prefixes[] = {"user.", "trusted."};

	for (size_t i = 0; i < sizeof(whole) / sizeof(*whole); i++)
		if (!strcmp(name, whole[i]))
			return true;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

/* --- the archive --- */

struct run {
	uint64_t start, end;
};

struct saving {
	struct checkpoint *c;
	struct image_file *file;
	struct archive *archive;
	struct archive_entry *entry;
	struct error **err; /* of who calls libarchive */
	char *chunk;
	void *hole;	   /* HOLE_STEP bytes that are never read */
	void *links;	   /* a tsearch(3) tree of struct link */
	size_t links_size; /* bytes of them */
	VEC(struct run) runs;
};

static int failed(const struct saving *s, const char *doing, struct error **err)
{
	const char *why = archive_error_string(s->archive);
	int errnum = archive_errno(s->archive);

	/* writing to the image has said more */
	if (err && *err)
		return -error_code(*err);
	return error_set(err, errnum > 0 ? errnum : EIO, "%s: %s", doing,
			 why ? why : "the archive cannot have it");
}

static la_ssize_t write_block(struct archive *a, void *ctx, const void *data, size_t len)
{
	struct saving *s = ctx;
	int r = image_file_write(s->file, data, len, s->err);

	if (!r)
		return len;
	archive_set_error(a, -r, "writing");
	return -1;
}

/* --- names of the same file --- */

struct link {
	uint64_t ino;
	uint32_t left; /* names that are yet to come */
	char path[];
};

static int by_ino(const void *pa, const void *pb)
{
	const struct link *a = pa, *b = pb;

	return a->ino < b->ino ? -1 : a->ino > b->ino;
}

static size_t link_size(const char *path)
{
	return sizeof(struct link) + strlen(path) + 1;
}

/* 1: the archive has it by another name, which the entry is told; 0: it has not. */
static int find_link(struct saving *s, const struct tmpfs_entry *e, struct error **err)
{
	struct link key = {.ino = e->st.stx_ino}, *link;
	void *found = tfind(&key, &s->links, by_ino);

	if (found) {
		link = *(struct link **)found;
		archive_entry_copy_hardlink(s->entry, link->path);
		if (!--link->left) {
			tdelete(link, &s->links, by_ino);
			s->links_size -= link_size(link->path);
			free(link);
		}
		return 1;
	}
	/* which the container's limit of memory does not hold for */
	s->links_size += link_size(e->path);
	if (s->links_size > LINKS_MAX)
		return error_set(err, E2BIG,
				 "too many files with several names and long paths, as \"%s\"",
				 e->path);
	link = malloc(link_size(e->path));
	if (link) {
		link->ino = e->st.stx_ino;
		link->left = e->st.stx_nlink - 1;
		strcpy(link->path, e->path);
	}
	if (!link || !tsearch(link, &s->links, by_ino)) {
		free(link);
		return error_errno(err, ENOMEM, "saving \"%s\"", e->path);
	}
	return 0;
}

/* --- contents --- */

/* Holes shorter than gap count as data. -E2BIG: there are too many of the others. */
static int find_runs(struct saving *s, int fd, uint64_t size, uint64_t gap)
{
	off_t start = 0, end = 0;

	s->runs.count = 0;
	while ((uint64_t)end < size) {
		struct run *last = s->runs.count ? &s->runs.items[s->runs.count - 1] : NULL;

		start = lseek(fd, end, SEEK_DATA);
		if (start < 0)
			return errno == ENXIO ? 0 : -errno;
		end = lseek(fd, start, SEEK_HOLE);
		if (end < 0)
			return -errno;
		if (!last || start - last->end >= gap) {
			if (s->runs.count == RUNS_MAX)
				return -E2BIG;
			last = vec_add(&s->runs);
			if (!last)
				return -ENOMEM;
			last->start = start;
		}
		last->end = end;
	}
	return 0;
}

/*
 * What has no holes on the disk has none in the archive: zeros that were never written, but
 * whose room is reserved (posix_fallocate), look like holes.
 */
static int find_contents(struct saving *s, int fd, const struct tmpfs_entry *e, struct error **err)
{
	uint64_t size = e->st.stx_size;
	bool full = e->st.stx_blocks * 512 >= size;
	struct run *all;
	int r = full ? 0 : -E2BIG;

	s->runs.count = 0;
	for (uint64_t gap = PAGE; r == -E2BIG; gap *= 2)
		r = find_runs(s, fd, size, gap);
	if (r)
		return error_errno(err, -r, "looking for holes in \"%s\"", e->path);
	if (full) {
		all = size ? vec_add(&s->runs) : NULL;
		if (all)
			*all = (struct run){0, size};
		return all || !size ? 0 : error_errno(err, ENOMEM, "saving \"%s\"", e->path);
	}
	vec_for_each (run, &s->runs)
		archive_entry_sparse_add_entry(s->entry, run->start, run->end - run->start);
	/* nothing but a hole */
	if (size && !s->runs.count)
		archive_entry_sparse_add_entry(s->entry, size, 0);
	return 0;
}

/* libarchive wants the bytes of holes too, and does not look at them. */
static int pass_hole(struct saving *s, uint64_t len, struct error **err)
{
	while (len) {
		size_t n = len < HOLE_STEP ? len : HOLE_STEP;

		if (archive_write_data(s->archive, s->hole, n) != (la_ssize_t)n)
			return failed(s, "writing", err);
		len -= n;
	}
	return 0;
}

static int write_run(struct saving *s, int fd, const struct run *run, struct error **err)
{
	int r = 0;

	for (uint64_t at = run->start; !r && at < run->end;) {
		size_t n = run->end - at < CHUNK ? run->end - at : CHUNK;
		int e = pread_full(fd, s->chunk, n, at);

		if (e)
			return error_errno(err, -e, "reading");
		r = checkpoint_cancelled(s->c->request->cancel, err);
		if (!r && archive_write_data(s->archive, s->chunk, n) != (la_ssize_t)n)
			r = failed(s, "writing", err);
		at += n;
	}
	return r;
}

/* To the end: without a single byte libarchive forgets the table of what is data. */
static int write_contents(struct saving *s, int fd, uint64_t size, struct error **err)
{
	uint64_t at = 0;
	int r = 0;

	vec_for_each (run, &s->runs) {
		if (!r)
			r = pass_hole(s, run->start - at, err);
		if (!r)
			r = write_run(s, fd, run, err);
		at = run->end;
	}
	return r ? r : pass_hole(s, size - at, err);
}

/* Not a FIFO that somebody has put there since: it would be waited for. */
static int open_file(const struct tmpfs_entry *e, struct error **err)
{
	__cleanup_fd int fd = openat(AT_FDCWD, e->name,
				     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return error_errno(err, errno, "opening \"%s\"", e->path);
	if (!S_ISREG(st.st_mode) || st.st_ino != e->st.stx_ino ||
	    (uint64_t)st.st_size != e->st.stx_size)
		return error_set(err, EBUSY, "\"%s\" was changed by others meanwhile", e->path);
	return take_fd(&fd);
}

/* --- everything else --- */

static int add_xattr(struct saving *s, const struct tmpfs_entry *e, const char *name, size_t *sum,
		     struct error **err)
{
	ssize_t len = lgetxattr(e->name, name, s->chunk, XATTR_SIZE_MAX);

	if (len < 0)
		return error_errno(err, errno, "reading \"%s\" of \"%s\"", name, e->path);
	*sum += strlen(name) + len;
	if (*sum > TMPFS_XATTRS_MAX)
		return error_set(err, E2BIG, "\"%s\" has more than %d bytes of extended attributes",
				 e->path, TMPFS_XATTRS_MAX);
	archive_entry_xattr_add_entry(s->entry, name, s->chunk, len);
	return 0;
}

static int add_xattrs(struct saving *s, const struct tmpfs_entry *e, struct error **err)
{
	/* values are read into the front of the chunk */
	char *names = s->chunk + XATTR_SIZE_MAX;
	ssize_t len = llistxattr(e->name, names, XATTR_LIST_MAX);
	size_t sum = 0;
	int r = 0;

	if (len < 0 && errno != EOPNOTSUPP)
		return error_errno(err, errno, "listing the extended attributes of \"%s\"",
				   e->path);
	for (char *name = names; !r && len > 0 && name < names + len; name += strlen(name) + 1)
		if (tmpfs_xattr_is_kept(name))
			r = add_xattr(s, e, name, &sum, err);
	return r;
}

static int add_target(struct saving *s, const struct tmpfs_entry *e, struct error **err)
{
	ssize_t len = readlinkat(AT_FDCWD, e->name, s->chunk, PATH_MAX);

	if (len < 0)
		return error_errno(err, errno, "reading the symbolic link \"%s\"", e->path);
	s->chunk[len] = '\0';
	archive_entry_copy_symlink(s->entry, s->chunk);
	return 0;
}

static void describe(struct archive_entry *entry, const struct tmpfs_entry *e)
{
	const struct statx *st = &e->st;

	archive_entry_clear(entry);
	archive_entry_copy_pathname(entry, e->path);
	archive_entry_set_mode(entry, st->stx_mode);
	archive_entry_set_uid(entry, st->stx_uid);
	archive_entry_set_gid(entry, st->stx_gid);
	archive_entry_set_atime(entry, st->stx_atime.tv_sec, st->stx_atime.tv_nsec);
	archive_entry_set_mtime(entry, st->stx_mtime.tv_sec, st->stx_mtime.tv_nsec);
	if (S_ISCHR(st->stx_mode) || S_ISBLK(st->stx_mode))
		archive_entry_set_rdev(entry, makedev(st->stx_rdev_major, st->stx_rdev_minor));
}

static bool is_ascii(const char *text)
{
	for (; text && *text; text++)
		if (*text & 0x80)
			return false;
	return true;
}

/* Where names are not ASCII it says that it takes them for bytes, which they are. */
static int write_header(struct saving *s, const struct tmpfs_entry *e, struct error **err)
{
	int got = archive_write_header(s->archive, s->entry);

	if (got == ARCHIVE_OK ||
	    (got == ARCHIVE_WARN &&
	     !(is_ascii(e->path) && is_ascii(archive_entry_symlink(s->entry)) &&
	       is_ascii(archive_entry_hardlink(s->entry)))))
		return 0;
	failed(s, "writing", err);
	return error_wrap(err, "\"%s\"", e->path);
}

static int save_file(struct saving *s, const struct tmpfs_entry *e, struct error **err)
{
	__cleanup_fd int fd = open_file(e, err);
	int r;

	if (fd < 0)
		return fd;
	archive_entry_set_size(s->entry, e->st.stx_size);
	r = find_contents(s, fd, e, err);
	if (!r)
		r = write_header(s, e, err);
	if (r)
		return r;
	r = write_contents(s, fd, e->st.stx_size, err);
	return r ? error_wrap(err, "\"%s\"", e->path) : 0;
}

static int save_entry(void *ctx, const struct tmpfs_entry *e, struct error **err)
{
	struct saving *s = ctx;
	int r = 0, is_link = 0;

	s->err = err;
	/* their listeners bind them again */
	if (S_ISSOCK(e->st.stx_mode))
		return 0;
	if (e->unreachable)
		return error_set(err, ENAMETOOLONG, "\"%s\" has too long a path", e->path);
	describe(s->entry, e);
	if (!S_ISDIR(e->st.stx_mode) && e->st.stx_nlink > 1)
		is_link = find_link(s, e, err);
	if (is_link)
		return is_link < 0 ? is_link : write_header(s, e, err);
	r = add_xattrs(s, e, err);
	if (!r && S_ISLNK(e->st.stx_mode))
		r = add_target(s, e, err);
	if (r)
		return r;
	return S_ISREG(e->st.stx_mode) ? save_file(s, e, err) : write_header(s, e, err);
}

static int open_archive(struct saving *s, struct error **err)
{
	struct archive *a = s->archive;

	if (archive_write_set_format_pax(a) == ARCHIVE_OK &&
	    archive_write_set_format_option(a, "pax", "xattrheader", "SCHILY") == ARCHIVE_OK &&
	    archive_write_set_bytes_per_block(a, BLOCK) == ARCHIVE_OK &&
	    archive_write_set_bytes_in_last_block(a, 1) == ARCHIVE_OK &&
	    archive_write_open(a, s, NULL, write_block, NULL) == ARCHIVE_OK)
		return 0;
	return failed(s, "beginning it", err);
}

static void saving_free(struct saving *s)
{
	archive_entry_free(s->entry);
	archive_write_free(s->archive);
	tdestroy(s->links, free);
	if (s->hole != MAP_FAILED)
		munmap(s->hole, HOLE_STEP);
	free(s->chunk);
	vec_free(&s->runs);
}

static int save(struct saving *s, int root, struct error **err)
{
	int r;

	s->err = err;
	if (!s->archive || !s->entry || !s->chunk || s->hole == MAP_FAILED)
		return error_errno(err, ENOMEM, "making it");
	r = open_archive(s, err);
	if (!r)
		r = tmpfs_walk(root, save_entry, s, s->c->request->cancel, err);
	s->err = err;
	if (!r && archive_write_close(s->archive) != ARCHIVE_OK)
		r = failed(s, "ending it", err);
	/* freeing it writes no more */
	if (r)
		archive_write_fail(s->archive);
	return r;
}

int tmpfs_save(struct checkpoint *c, uint32_t number, int root, struct error **err)
{
	struct saving s = {.c = c};
	char name[32];
	int r;

	snprintf(name, sizeof(name), TMPFS_NAME, number);
	r = image_add_file(c->image, name, &s.file, err);
	if (r)
		return r;
	s.archive = archive_write_new();
	s.entry = archive_entry_new();
	s.chunk = malloc(CHUNK);
	s.hole = mmap(NULL, HOLE_STEP, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		      0);
	r = save(&s, root, err);
	saving_free(&s);
	return r;
}
