// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pipes and FIFOs. A pipe's contents are copied by tee(2), which leaves them
 * where they are. Every description of an end is opened anew from the one pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define PIPE_LEN_MAX (64 << 20)

bool description_is_pipe(const struct description *d)
{
	return !strncmp(d->link, "pipe:[", 6);
}

static bool is_fifo(const struct description *d)
{
	return d->kind == &file_kind_file && d->file_kind == CKPT_FILE_FIFO && d->number >= 0;
}

static bool same_pipe(const struct description *a, const struct description *b)
{
	return a->st.st_dev == b->st.st_dev && a->st.st_ino == b->st.st_ino;
}

static bool reads(const struct description *d)
{
	return (d->open_flags & O_ACCMODE) != O_WRONLY;
}

static bool writes(const struct description *d)
{
	return (d->open_flags & O_ACCMODE) != O_RDONLY;
}

struct pipe_ends {
	struct description *first;
	bool readers, writers, packets;
};

static struct pipe_ends ends_of(struct checkpoint *c, struct description *d)
{
	struct pipe_ends ends = {0};

	for (size_t i = 0; i < c->files->descriptions.count; i++) {
		struct description *other = c->files->descriptions.items[i];

		if (!is_fifo(other) || !same_pipe(d, other))
			continue;
		if (!ends.first)
			ends.first = other;
		ends.readers |= reads(other);
		ends.writers |= writes(other);
		ends.packets |= !!(other->open_flags & O_DIRECT);
	}
	return ends;
}

/* An end that nobody inside has open must be closed: poll tells. */
static int admit_ends(struct checkpoint *c, struct description *d, const struct pipe_ends *ends)
{
	struct pollfd p = {.fd = d->fd, .events = POLLIN | POLLOUT};
	int waiting = 0;

	if (poll(&p, 1, 0) < 0)
		p.revents = 0;
	if ((!ends->writers && !(p.revents & POLLHUP)) ||
	    (!ends->readers && !(p.revents & POLLERR)))
		return description_block(c, d,
					 "connect both ends inside the container, or use its "
					 "standard streams",
					 "%s, whose other end is outside of the container",
					 d->link);
	if (ends->packets && !ioctl(d->fd, FIONREAD, &waiting) && waiting)
		return description_block(c, d, "let the reader empty it first",
					 "%s in packet mode with %d bytes in it", d->link, waiting);
	return 0;
}

static int compare_pipes(const void *pa, const void *pb)
{
	const struct description *a = *(struct description *const *)pa;
	const struct description *b = *(struct description *const *)pb;

	if (a->st.st_dev != b->st.st_dev)
		return a->st.st_dev < b->st.st_dev ? -1 : 1;
	if (a->st.st_ino != b->st.st_ino)
		return a->st.st_ino < b->st.st_ino ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

int pipes_admit(struct checkpoint *c, struct error **err)
{
	VEC(struct description *) all = {0};
	int r = 0;

	for (size_t i = 0; i < c->files->descriptions.count; i++) {
		struct description **slot, *d = c->files->descriptions.items[i];

		if (!is_fifo(d))
			continue;
		slot = vec_add(&all);
		if (!slot) {
			vec_free(&all);
			return error_errno(err, ENOMEM, "looking at pipes");
		}
		*slot = d;
	}
	if (all.count)
		qsort(all.items, all.count, sizeof(*all.items), compare_pipes);
	for (size_t i = 0; !r && i < all.count;) {
		struct pipe_ends ends = {.first = all.items[i]};
		uint32_t number = ++c->files->groups;

		for (; i < all.count && same_pipe(ends.first, all.items[i]); i++) {
			all.items[i]->group = number;
			ends.readers |= reads(all.items[i]);
			ends.writers |= writes(all.items[i]);
			ends.packets |= !!(all.items[i]->open_flags & O_DIRECT);
		}
		r = admit_ends(c, ends.first, &ends);
	}
	vec_free(&all);
	return r;
}

/* Copies what is in the pipe. */
static int read_contents(const struct description *d, int size, struct buf *contents,
			 struct error **err)
{
	__cleanup_fd int from = reopen_fd(d->fd, O_RDONLY | O_NONBLOCK);
	__cleanup_fd int in = -1, out = -1;
	int waiting, copy[2];
	ssize_t n;
	char *to;

	if (from < 0)
		return error_errno(err, -from, "opening %s to read", d->link);
	if (ioctl(from, FIONREAD, &waiting))
		return error_errno(err, errno, "asking for the contents of %s", d->link);
	if (!waiting)
		return 0;
	if (pipe2(copy, O_CLOEXEC | O_NONBLOCK))
		return error_errno(err, errno, "making a pipe");
	in = copy[1];
	out = copy[0];
	if (fcntl(in, F_SETPIPE_SZ, size) < size)
		return error_errno(err, errno, "making a pipe of %d bytes", size);
	n = tee(from, in, waiting, SPLICE_F_NONBLOCK);
	if (n != waiting)
		return error_errno(err, n < 0 ? errno : EIO, "copying the contents of %s", d->link);
	to = buf_add(contents, NULL, waiting);
	if (!to)
		return error_errno(err, ENOMEM, "copying the contents of %s", d->link);
	n = read_full(out, to, waiting);
	return n ? error_errno(err, -n, "copying the contents of %s", d->link) : 0;
}

static int dump_pipe(struct checkpoint *c, const struct description *d, struct error **err)
{
	struct buf contents __cleanup_buf = {0};
	struct ckpt_pipe rec = {.pipe = d->group};
	int size = fcntl(d->fd, F_GETPIPE_SZ), r;

	if (size < 0)
		return error_errno(err, errno, "asking for the size of %s", d->link);
	r = read_contents(d, size, &contents, err);
	if (r)
		return r;
	rec.size = size;
	rec.len = contents.len;
	if (!record_add2(&c->records, CKPT_PIPE, &rec, sizeof(rec), contents.data, contents.len))
		return error_errno(err, ENOMEM, "recording %s", d->link);
	return 0;
}

int pipes_dump(struct checkpoint *c, struct error **err)
{
	int r = 0;

	for (size_t i = 0; !r && i < c->files->descriptions.count; i++) {
		struct description *d = c->files->descriptions.items[i];

		if (is_fifo(d) && ends_of(c, d).first == d)
			r = dump_pipe(c, d, err);
	}
	return r;
}

/* --- a restore --- */

struct file_group *files_group(void *vec, uint32_t number)
{
	VEC(struct file_group) *groups = vec;

	for (size_t i = 0; i < groups->count; i++)
		if (groups->items[i].number == number)
			return &groups->items[i];
	return NULL;
}

int pipe_load(struct restore *r, const struct record *rec, struct error **err)
{
	const struct ckpt_pipe *pipe = record_head(rec, sizeof(*pipe), err);
	struct file_group *g;

	if (!pipe)
		return -EBADMSG;
	if (!pipe->pipe || pipe->len != rec->len - sizeof(*pipe) || pipe->len > PIPE_LEN_MAX ||
	    pipe->size > PIPE_LEN_MAX || pipe->len > pipe->size ||
	    files_group(&r->files->pipes, pipe->pipe))
		return error_set(err, EBADMSG, "pipe %u is malformed", pipe->pipe);
	g = vec_add(&r->files->pipes);
	if (!g)
		return error_errno(err, ENOMEM, "loading");
	*g = (struct file_group){.number = pipe->pipe, .fd = -1, .pipe = pipe};
	return 0;
}

/* Both ends stay open in ours until the contents are written: so no open waits. */
static int make_pipe(struct restore *r, const struct file_object *o, struct file_group *g,
		     struct error **err)
{
	int ends[2];

	if (o->tail_len) {
		int ret = file_open_object(r, o, O_RDWR | O_NONBLOCK, &g->fd, err);

		if (ret)
			return ret;
	} else {
		if (pipe2(ends, O_CLOEXEC))
			return error_errno(err, errno, "making a pipe");
		g->fd = reopen_fd(ends[0], O_RDWR | O_NONBLOCK);
		close(ends[0]);
		close(ends[1]);
		if (g->fd < 0)
			return error_errno(err, -g->fd, "opening both ends of a pipe");
	}
	if (g->pipe->size != (uint32_t)fcntl(g->fd, F_GETPIPE_SZ) &&
	    fcntl(g->fd, F_SETPIPE_SZ, g->pipe->size) < 0)
		return error_errno(err, errno, "making a pipe of %u bytes", g->pipe->size);
	return 0;
}

int pipe_open(struct restore *r, const struct file_object *o, int *fd, struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	struct file_group *g = files_group(&r->files->pipes, rec->ghost);
	int ret = 0;

	if (!g)
		return error_set(err, EBADMSG, "there is no pipe %u", rec->ghost);
	if (g->fd < 0)
		ret = make_pipe(r, o, g, err);
	if (ret)
		return ret;
	/* O_ASYNC given to open(2) could neither work nor be taken away again: owners.c sets it */
	*fd = reopen_fd(g->fd, rec->open_flags & ~(O_NOFOLLOW | O_DIRECTORY | O_PATH | O_ASYNC));
	return *fd < 0 ? error_errno(err, -*fd, "opening an end of a pipe") : 0;
}

int pipes_fill(struct restore *r, struct error **err)
{
	vec_for_each (g, &r->files->pipes) {
		int ret;

		if (g->fd < 0)
			continue;
		ret = write_full(g->fd, g->pipe + 1, g->pipe->len);
		if (ret)
			return error_errno(err, -ret, "writing %u bytes into a pipe of %u",
					   g->pipe->len, g->pipe->size);
		close(g->fd);
		g->fd = -1;
	}
	return 0;
}
