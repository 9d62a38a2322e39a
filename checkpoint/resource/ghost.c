// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contents of deleted files. Their holes are kept: a file of a terabyte with nothing in it is as
 * small in the image, and takes no room when it is made again.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define GHOST_CHUNK (1 << 20)

/* --- a checkpoint --- */

static int save_run(struct checkpoint *c, int fd, const struct ckpt_ghost_run *run,
		    struct image_file *f, char *chunk, struct error **err)
{
	int r = 0;

	for (uint64_t at = 0; !r && at < run->len;) {
		size_t n = run->len - at < GHOST_CHUNK ? run->len - at : GHOST_CHUNK;
		int e = pread_full(fd, chunk, n, run->offset + at);

		if (e)
			return error_errno(err, -e, "reading a deleted file");
		r = checkpoint_cancelled(c->request->cancel, err);
		if (!r)
			r = image_file_write(f, chunk, n, err);
		at += n;
	}
	return r;
}

/* A file system that knows no holes calls everything data. */
static int save_runs(struct checkpoint *c, int fd, uint64_t size, struct image_file *f,
		     struct buf *runs, struct error **err)
{
	__cleanup_free char *chunk = malloc(GHOST_CHUNK);
	off_t start = 0, end = 0;
	int r = 0;

	if (!chunk)
		return error_errno(err, ENOMEM, "saving a deleted file");
	while (!r && (uint64_t)start < size && (start = lseek(fd, start, SEEK_DATA)) >= 0) {
		struct ckpt_ghost_run run;

		end = lseek(fd, start, SEEK_HOLE);
		if (end < 0)
			break;
		run = (struct ckpt_ghost_run){start, end - start};
		if (!buf_add(runs, &run, sizeof(run)))
			return error_errno(err, ENOMEM, "saving a deleted file");
		r = save_run(c, fd, &run, f, chunk, err);
		start = end;
	}
	/* ENXIO: a hole up to the end */
	if (!r && (start < 0 || end < 0) && errno != ENXIO)
		r = error_errno(err, errno, "looking for holes in a deleted file");
	return r;
}

static int save_file(struct checkpoint *c, const struct description *d, struct image_file *f,
		     struct buf *runs, struct error **err)
{
	__cleanup_fd int fd = reopen_fd(d->fd, O_RDONLY);

	if (fd < 0)
		return error_errno(err, -fd, "opening the deleted file");
	return save_runs(c, fd, d->st.st_size, f, runs, err);
}

/* Its contents are the target. Some file systems tell no size of it, or another one. */
static int save_link(const struct description *d, struct image_file *f, struct buf *runs,
		     struct ckpt_ghost *rec, struct error **err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(d->fd, "", target, sizeof(target));
	struct ckpt_ghost_run run = {.len = n};

	if (n < 0)
		return error_errno(err, errno, "reading the deleted symbolic link");
	rec->size = n;
	if (!buf_add(runs, &run, sizeof(run)))
		return error_errno(err, ENOMEM, "saving a deleted symbolic link");
	return image_file_write(f, target, n, err);
}

int ghost_save(struct checkpoint *c, const struct description *d, struct error **err)
{
	struct ckpt_ghost rec = {.ghost = d->group, .size = d->st.st_size};
	__cleanup_buf struct buf runs = {0};
	struct image_file *f;
	char name[32];
	int r;

	snprintf(name, sizeof(name), "ghost-%u", d->group);
	r = image_add_file(c->image, name, &f, err);
	if (!r)
		r = S_ISLNK(d->st.st_mode) ? save_link(d, f, &runs, &rec, err)
					   : save_file(c, d, f, &runs, err);
	if (r)
		return error_wrap(err, "\"%s\"", d->link);
	rec.runs = runs.len / sizeof(struct ckpt_ghost_run);
	if (!record_add2(&c->records, CKPT_GHOST, &rec, sizeof(rec), runs.data, runs.len))
		return error_errno(err, ENOMEM, "recording the deleted \"%s\"", d->link);
	return 0;
}

/* --- a restore --- */

static bool runs_are_sound(const struct ckpt_ghost *ghost, uint64_t *sum)
{
	const struct ckpt_ghost_run *run = (const void *)(ghost + 1);
	uint64_t at = 0;

	*sum = 0;

	for (uint32_t i = 0; i < ghost->runs; i++) {
		if (run[i].offset < at || run[i].offset > ghost->size ||
		    run[i].len > ghost->size - run[i].offset)
			return false;
		at = run[i].offset + run[i].len;
		*sum += run[i].len; /* disjoint, so at most size */
	}
	return true;
}

int ghost_load_contents(struct restore *r, const struct record *rec, struct error **err)
{
	const struct ckpt_ghost *ghost = record_head(rec, sizeof(*ghost), err);
	struct file_group *g;
	uint64_t size, sum;
	char name[32];
	int fd, ret;

	if (!ghost)
		return -EBADMSG;
	if (!ghost->ghost || ghost->size > INT64_MAX ||
	    files_group(&r->files->ghosts, ghost->ghost) ||
	    rec->len != sizeof(*ghost) + ghost->runs * sizeof(struct ckpt_ghost_run) ||
	    !runs_are_sound(ghost, &sum))
		return error_set(err, EBADMSG, "deleted file %u is malformed", ghost->ghost);
	snprintf(name, sizeof(name), "ghost-%u", ghost->ghost);
	ret = image_reader_file(r->image, name, &fd, &size, err);
	if (ret)
		return ret;
	if (size != sum)
		return error_set(err, EBADMSG, "%s has not the bytes of its runs", name);
	g = vec_add(&r->files->ghosts);
	if (!g)
		return error_errno(err, ENOMEM, "loading");
	*g = (struct file_group){.number = ghost->ghost, .fd = -1, .ghost = ghost};
	return 0;
}

static int fill_run(int from, uint64_t source, int to, const struct ckpt_ghost_run *run,
		    char *chunk)
{
	int e = 0;

	for (uint64_t at = 0; !e && at < run->len;) {
		size_t n = run->len - at < GHOST_CHUNK ? run->len - at : GHOST_CHUNK;

		e = pread_full(from, chunk, n, source + at);
		if (!e)
			e = pwrite_full(to, chunk, n, run->offset + at);
		at += n;
	}
	return e;
}

int ghost_fill(struct restore *r, const struct file_group *g, int to, struct error **err)
{
	const struct ckpt_ghost_run *run = (const void *)(g->ghost + 1);
	__cleanup_free char *chunk = malloc(GHOST_CHUNK);
	uint64_t size, source = 0;
	char name[32];
	int from, ret;

	if (!chunk)
		return error_errno(err, ENOMEM, "restoring a deleted file");
	snprintf(name, sizeof(name), "ghost-%u", g->number);
	ret = image_reader_file(r->image, name, &from, &size, err);
	if (ret)
		return ret;
	for (uint32_t i = 0; !ret && i < g->ghost->runs; i++) {
		ret = fill_run(from, source, to, &run[i], chunk);
		source += run[i].len;
	}
	if (!ret && ftruncate(to, g->ghost->size))
		ret = -errno;
	return ret ? error_errno(err, -ret, "copying %s", name) : 0;
}

int ghost_read_link(struct restore *r, const struct file_group *g, char *target, struct error **err)
{
	uint64_t size;
	char name[32];
	int from, ret;

	snprintf(name, sizeof(name), "ghost-%u", g->number);
	ret = image_reader_file(r->image, name, &from, &size, err);
	if (ret)
		return ret;
	/* shorter than PATH_MAX: ghost_load(). Holes would make the file shorter than this */
	ret = pread_full(from, target, g->ghost->size, 0);
	if (ret)
		return error_errno(err, -ret, "reading %s", name);
	target[g->ghost->size] = '\0';
	return 0;
}
