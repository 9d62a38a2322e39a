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

#define KERNEL_LARGEFILE 0100000 /* O_LARGEFILE is 0 in 64-bit programs */
#define PIPE_LEN_MAX	 (64 << 20)
#define PACKET_MAX	 4096 /* PIPE_BUF: longer ones were several */

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

/* All descriptions of a pipe, by their ids. */
struct pipe_ends {
	struct description *const *all;
	size_t count;
	bool readers, writers;
	bool packets, streams; /* how its writers write */
};

static void add_end(struct pipe_ends *ends, const struct description *d)
{
	bool packets = d->open_flags & O_DIRECT;

	ends->readers |= reads(d);
	ends->writers |= writes(d);
	ends->packets |= writes(d) && packets;
	ends->streams |= writes(d) && !packets;
}

static bool has_writer_inside(struct checkpoint *c, const struct description *d)
{
	for (size_t i = 0; i < c->files->descriptions.count; i++) {
		const struct description *other = c->files->descriptions.items[i];

		if (is_fifo(other) && writes(other) && same_pipe(d, other))
			return true;
	}
	return false;
}

/*
 * Nothing is in it, and nobody could write: tee(2) says so where poll(2) does not, which
 * shows no hangup to a reader of a FIFO that no writer has opened yet.
 */
static bool has_no_writer(const struct description *d)
{
	__cleanup_fd int from = reopen_fd(d->fd, O_RDONLY | O_NONBLOCK);
	__cleanup_fd int in = -1, out = -1;
	int copy[2];

	if (from < 0 || pipe2(copy, O_CLOEXEC | O_NONBLOCK))
		return false;
	in = copy[1];
	out = copy[0];
	return tee(from, in, 1, SPLICE_F_NONBLOCK) == 0;
}

static short poll_end(const struct description *d)
{
	struct pollfd p = {.fd = d->fd, .events = POLLIN | POLLOUT};

	return poll(&p, 1, 0) < 0 ? 0 : p.revents;
}

bool fifo_is_alone(struct checkpoint *c, struct description *d)
{
	return is_fifo(d) && !description_is_pipe(d) && reads(d) && !has_writer_inside(c, d) &&
	       !(poll_end(d) & POLLHUP);
}

/* An end that nobody inside has open must be closed. */
static int admit_ends(struct checkpoint *c, struct description *d, const struct pipe_ends *ends)
{
	short events = poll_end(d);
	int waiting = 0;

	if ((!ends->writers && !(events & POLLHUP) &&
	     (description_is_pipe(d) || file_is_deleted(d) || !has_no_writer(d))) ||
	    (!ends->readers && !(events & POLLERR)))
		return description_block(c, d,
					 "connect both ends inside the container, or use its "
					 "standard streams",
					 "%s, whose other end is outside of the container",
					 d->link);
	if (ends->packets && ends->streams && !ioctl(d->fd, FIONREAD, &waiting) && waiting)
		return description_block(c, d, "let the reader empty it first",
					 "%s with %d bytes in it, written in packet mode and not",
					 d->link, waiting);
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

typedef int pipe_fn(struct checkpoint *c, const struct pipe_ends *ends, struct error **err);

/* Sorted once: there may be very many. */
static int for_each_pipe(struct checkpoint *c, pipe_fn *fn, struct error **err)
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
		struct pipe_ends ends = {.all = &all.items[i]};

		for (; i < all.count && same_pipe(ends.all[0], all.items[i]); i++) {
			add_end(&ends, all.items[i]);
			ends.count++;
		}
		r = fn(c, &ends, err);
	}
	vec_free(&all);
	return r;
}

static int admit_pipe(struct checkpoint *c, const struct pipe_ends *ends, struct error **err)
{
	uint32_t number = ++c->files->groups;

	for (size_t i = 0; i < ends->count; i++)
		ends->all[i]->group = number;
	return admit_ends(c, ends->all[0], ends);
}

int pipes_admit(struct checkpoint *c, struct error **err)
{
	return for_each_pipe(c, admit_pipe, err);
}

typedef VEC(uint32_t) length_vec;

/* The copy has the packets too: each read gives one, and everything where there are none. */
static int read_copy(const struct description *d, int fd, size_t waiting, struct buf *contents,
		     length_vec *packets, struct error **err)
{
	uint8_t *to = buf_add(contents, NULL, waiting);
	size_t done = 0;

	while (to && done < waiting) {
		ssize_t n = read(fd, to + done, waiting - done);
		uint32_t *packet = n > 0 ? vec_add(packets) : NULL;

		if (n <= 0)
			return error_errno(err, n ? errno : EIO, "copying the contents of %s",
					   d->link);
		if (!packet)
			return error_errno(err, ENOMEM, "copying the contents of %s", d->link);
		*packet = n;
		done += n;
	}
	return to ? 0 : error_errno(err, ENOMEM, "copying the contents of %s", d->link);
}

/* Copies what is in the pipe. */
static int read_contents(const struct description *d, int size, struct buf *contents,
			 length_vec *packets, struct error **err)
{
	__cleanup_fd int from = reopen_fd(d->fd, O_RDONLY | O_NONBLOCK);
	__cleanup_fd int in = -1, out = -1;
	int waiting, copy[2];
	ssize_t n;

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
	return read_copy(d, out, waiting, contents, packets, err);
}

static int record_pipe(struct checkpoint *c, const struct description *d, struct ckpt_pipe *rec,
		       const struct buf *contents, const length_vec *packets, struct error **err)
{
	__cleanup_buf struct buf tail = {0};

	rec->len = contents->len;
	if ((rec->packets && !buf_add(&tail, packets->items, rec->packets * sizeof(uint32_t))) ||
	    (rec->len && !buf_add(&tail, contents->data, contents->len)) ||
	    !record_add2(&c->records, CKPT_PIPE, rec, sizeof(*rec), tail.data, tail.len))
		return error_errno(err, ENOMEM, "recording %s", d->link);
	return 0;
}

static int dump_pipe(struct checkpoint *c, const struct pipe_ends *ends, struct error **err)
{
	const struct description *d = ends->all[0];
	__cleanup_buf struct buf contents = {0};
	struct ckpt_pipe rec = {.pipe = d->group};
	int size = fcntl(d->fd, F_GETPIPE_SZ), r;
	length_vec packets = {0};

	if (size < 0)
		return error_errno(err, errno, "asking for the size of %s", d->link);
	rec.size = size;
	r = read_contents(d, size, &contents, &packets, err);
	/* one packet looks like none, but for the flag of who writes */
	if (!r && (packets.count > 1 || (packets.count && ends->packets)))
		rec.packets = packets.count;
	if (!r)
		r = record_pipe(c, d, &rec, &contents, &packets, err);
	vec_free(&packets);
	return r;
}

int pipes_dump(struct checkpoint *c, struct error **err)
{
	return for_each_pipe(c, dump_pipe, err);
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

static bool packets_are_sound(const struct ckpt_pipe *pipe, size_t tail)
{
	const uint32_t *lengths = (const void *)(pipe + 1);
	uint64_t total = 0;

	if (pipe->len > PIPE_LEN_MAX || pipe->packets > pipe->len ||
	    tail != pipe->packets * sizeof(*lengths) + pipe->len)
		return false;
	for (uint32_t i = 0; i < pipe->packets; i++) {
		total += lengths[i];
		if (!lengths[i] || lengths[i] > PACKET_MAX)
			return false;
	}
	return !pipe->packets || total == pipe->len;
}

int pipe_load(struct restore *r, const struct record *rec, struct error **err)
{
	const struct ckpt_pipe *pipe = record_head(rec, sizeof(*pipe), err);
	struct file_group *g;

	if (!pipe)
		return -EBADMSG;
	if (!pipe->pipe || !packets_are_sound(pipe, rec->len - sizeof(*pipe)) ||
	    pipe->size > PIPE_LEN_MAX || pipe->len > pipe->size ||
	    files_group(&r->files->pipes, pipe->pipe))
		return error_set(err, EBADMSG, "pipe %u is malformed", pipe->pipe);
	g = vec_add(&r->files->pipes);
	if (!g)
		return error_errno(err, ENOMEM, "loading");
	*g = (struct file_group){.number = pipe->pipe, .fd = -1, .ends = {-1, -1}, .pipe = pipe};
	return 0;
}

static int open_fifo(struct restore *r, const struct file_object *o, struct file_group *g,
		     struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	__cleanup_fd int handle = -1;
	int ret;

	if (!(rec->flags & CKPT_FILE_DELETED))
		return file_open_object(r, o, O_RDWR | O_NONBLOCK, &g->fd, err);
	ret = file_make_deleted(r, o, &handle, err);
	if (ret)
		return ret;
	g->fd = reopen_fd(handle, O_RDWR | O_NONBLOCK);
	return g->fd < 0 ? error_errno(err, -g->fd, "opening a deleted FIFO") : 0;
}

static int set_size(int fd, const struct file_group *g, struct error **err)
{
	if (g->pipe->size != (uint32_t)fcntl(fd, F_GETPIPE_SZ) &&
	    fcntl(fd, F_SETPIPE_SZ, g->pipe->size) < 0)
		return error_errno(err, errno, "making a pipe of %u bytes", g->pipe->size);
	return 0;
}

/* Both ends stay open in ours until the contents are written: so no open waits. */
static int make_pipe(struct restore *r, const struct file_object *o, struct file_group *g,
		     struct error **err)
{
	if (o->tail_len) {
		int ret = open_fifo(r, o, g, err);

		if (ret)
			return ret;
	} else {
		if (pipe2(g->ends, O_CLOEXEC))
			return error_errno(err, errno, "making a pipe");
		g->fd = reopen_fd(g->ends[0], O_RDWR | O_NONBLOCK);
		if (g->fd < 0)
			return error_errno(err, -g->fd, "opening both ends of a pipe");
	}
	return set_size(g->fd, g, err);
}

/* Without anybody to write, as it was opened: a writer that leaves is a hangup. */
static int open_alone(struct restore *r, const struct file_object *o, const struct file_group *g,
		      int *fd, struct error **err)
{
	int ret = file_open_object(r, o, O_RDONLY | O_NONBLOCK, fd, err);

	return ret ? ret : set_size(*fd, g, err);
}

/*
 * The ends that pipe(2) gives are the only ones without O_LARGEFILE, which every open(2) adds.
 * Returns the end that fits the flags, or -1.
 */
static int take_end(struct file_group *g, uint32_t flags)
{
	int *end = &g->ends[(flags & O_ACCMODE) == O_WRONLY];

	if (flags & KERNEL_LARGEFILE || (flags & O_ACCMODE) == O_RDWR)
		return -1;
	return take_fd(end);
}

void pipe_forget(struct file_group *g)
{
	int *const fds[] = {&g->fd, &g->ends[0], &g->ends[1]};

	for (unsigned i = 0; i < 3; i++) {
		cleanup_fd(fds[i]);
		*fds[i] = -1;
	}
}

int pipe_open(struct restore *r, const struct file_object *o, int *fd, struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	struct file_group *g = files_group(&r->files->pipes, rec->ghost);
	int ret = 0;

	if (!g)
		return error_set(err, EBADMSG, "there is no pipe %u", rec->ghost);
	if (g->fd < 0 && rec->flags & CKPT_FILE_ALONE) {
		ret = open_alone(r, o, g, fd, err);
	} else {
		if (g->fd < 0)
			ret = make_pipe(r, o, g, err);
		if (ret)
			return ret;
		/* packet mode can be set, but not opened with */
		/* O_ASYNC given to open(2) could neither work nor be taken away: owners.c sets it
		 */
		*fd = take_end(g, rec->open_flags);
		if (*fd < 0)
			*fd = reopen_fd(g->fd, rec->open_flags & ~(O_NOFOLLOW | O_DIRECTORY |
								   O_PATH | O_DIRECT | O_ASYNC));
		ret = *fd < 0 ? error_errno(err, -*fd, "opening an end of a pipe") : 0;
	}
	if (!ret && fcntl(*fd, F_SETFL, rec->open_flags & (O_NONBLOCK | O_APPEND | O_DIRECT)))
		ret = error_errno(err, errno, "setting the flags of a pipe");
	return ret;
}

/* Returns an errno. */
static int fill_pipe(const struct file_group *g)
{
	const uint32_t *lengths = (const void *)(g->pipe + 1);
	const char *at = (const char *)(lengths + g->pipe->packets);
	int ret = 0;

	if (!g->pipe->packets)
		return -write_full(g->fd, at, g->pipe->len);
	if (fcntl(g->fd, F_SETFL, O_NONBLOCK | O_DIRECT))
		return errno;
	for (uint32_t i = 0; !ret && i < g->pipe->packets; i++) {
		ret = write_full(g->fd, at, lengths[i]);
		at += lengths[i];
	}
	return -ret;
}

int pipes_fill(struct restore *r, struct error **err)
{
	vec_for_each (g, &r->files->pipes) {
		int ret;

		if (g->fd < 0)
			continue;
		ret = fill_pipe(g);
		if (ret)
			return error_errno(err, ret, "writing %u bytes into a pipe of %u",
					   g->pipe->len, g->pipe->size);
		pipe_forget(g);
	}
	return 0;
}
