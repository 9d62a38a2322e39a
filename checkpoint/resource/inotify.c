// SPDX-License-Identifier: GPL-2.0-only
/*
 * inotify: the watches with their numbers and masks. Events that wait to be read cannot
 * be looked at without taking them, nor put into a queue; so with some there is
 * no checkpoint. Watches are made last of all, when no file is opened any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "checkpoint/resource/inotify.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#ifndef INOTIFY_IOC_SETNEXTWD
#define INOTIFY_IOC_SETNEXTWD _IOW('I', 0, __s32)
#endif

#define MASKS (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK)
/* What reading a directory makes. */
#define NOISE	 (IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE)
#define PATH_LEN 4096

static bool matches(const struct description *d)
{
	return !strcmp(d->link, "anon_inode:inotify");
}

static void free_state(void *state)
{
	watches_free(state);
	free(state);
}

/* --- a checkpoint --- */

int watch_parse_handle(const char *line, struct watch *w)
{
	const char *at = strstr(line, "f_handle:"), *end = strchrnul(line, '\n');
	unsigned bytes, type;

	if (!at || at > end || !strstr(line, "fhandle-bytes:") ||
	    sscanf(strstr(line, "fhandle-bytes:"), "fhandle-bytes:%x fhandle-type:%x", &bytes,
		   &type) != 2)
		return 0;
	if (bytes > sizeof(w->handle))
		return -E2BIG;
	at += strlen("f_handle:");
	for (unsigned i = 0; i < bytes; i++) {
		unsigned byte;

		if (sscanf(at + 2 * i, "%2x", &byte) != 1)
			return -EPROTO;
		w->handle[i] = byte;
	}
	w->handle_len = bytes;
	w->handle_type = type;
	return 0;
}

/* "inotify wd:1 ino:9e7e sdev:800013 mask:800afce ignored_mask:0 fhandle-bytes:8 ..." */
static int parse_watches(const struct description *d, watch_vec *watches, struct error **err)
{
	for (const char *line = d->fdinfo; line && *line;) {
		unsigned long long ino;
		struct watch w = {0}, *slot;

		if (sscanf(line, "inotify wd:%x ino:%llx sdev:%x mask:%x", &w.wd, &ino, &w.dev,
			   &w.mask) == 4) {
			w.ino = ino;
			w.mask &= MASKS;
			if (watch_parse_handle(line, &w))
				return error_set(err, EPROTO, "a watch is not understood: %.80s",
						 line);
			slot = vec_add(watches);
			if (!slot)
				return error_errno(err, ENOMEM, "looking at watches");
			*slot = w;
		}
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return 0;
}

/* Of a mount or a file system everything is seen: ino is that of any then. */
static bool parse_seen(const char *line, unsigned long long *ino, unsigned *dev, unsigned *mask)
{
	if (sscanf(line, "inotify wd:%*x ino:%llx sdev:%x mask:%x", ino, dev, mask) == 3 ||
	    sscanf(line, "fanotify ino:%llx sdev:%x mflags:%*x mask:%x", ino, dev, mask) == 3)
		return true;
	*dev = 0;
	return sscanf(line, "fanotify mnt_id:%*x mflags:%*x mask:%x", mask) == 1 ||
	       sscanf(line, "fanotify sdev:%*x mflags:%*x mask:%x", mask) == 1;
}

static bool is_blind(const char *fdinfo, uint32_t dev, uint64_t ino)
{
	for (const char *line = fdinfo; line && *line;) {
		unsigned long long watched = 0;
		unsigned mask = 0, sdev = 0;

		if (parse_seen(line, &watched, &sdev, &mask) && mask & NOISE &&
		    (!dev || !sdev || (dev == sdev && ino == watched)))
			return false;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return true;
}

bool watches_blind(const struct checkpoint *c, uint32_t dev, uint64_t ino)
{
	for (size_t i = 0; i < c->files->descriptions.count; i++) {
		const struct description *d = c->files->descriptions.items[i];

		if (d->number >= 0 && !strncmp(d->link, "anon_inode:", 11) &&
		    !is_blind(d->fdinfo, dev, ino))
			return false;
	}
	return true;
}

/* An open that asks for permission would wait for who is frozen. */
#define ASKS (FAN_OPEN_PERM | FAN_ACCESS_PERM | FAN_OPEN_EXEC_PERM)

/* Marks of a mount are not looked at: they are of that mount alone. */
static bool is_blind_in(const char *fdinfo, uint32_t dev)
{
	for (const char *line = fdinfo; line && *line;) {
		unsigned mask = 0, sdev = 0;

		if ((sscanf(line, "inotify wd:%*x ino:%*x sdev:%x mask:%x", &sdev, &mask) == 2 ||
		     sscanf(line, "fanotify ino:%*x sdev:%x mflags:%*x mask:%x", &sdev, &mask) ==
			     2 ||
		     sscanf(line, "fanotify sdev:%x mflags:%*x mask:%x", &sdev, &mask) == 2) &&
		    sdev == dev && mask & (NOISE | ASKS))
			return false;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return true;
}

bool watches_blind_in(const struct checkpoint *c, dev_t dev)
{
	for (size_t i = 0; i < c->files->descriptions.count; i++) {
		const struct description *d = c->files->descriptions.items[i];

		if (d->number >= 0 && !strncmp(d->link, "anon_inode:", 11) &&
		    !is_blind_in(d->fdinfo, major(dev) << 20 | minor(dev)))
			return false;
	}
	return true;
}

static int compare_wds(const void *pa, const void *pb)
{
	const struct watch *a = pa, *b = pb;

	return a->wd < b->wd ? -1 : a->wd > b->wd;
}

static int inotify_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	watch_vec *watches = calloc(1, sizeof(*watches));
	int waiting = 0, r;

	if (!watches)
		return error_errno(err, ENOMEM, "looking at watches");
	d->state = watches;
	d->state_free = free_state;
	if (ioctl(d->fd, FIONREAD, &waiting) || waiting)
		description_block(c, d, "let the program read them",
				  "inotify descriptor with events that were not read (%d bytes)",
				  waiting);
	r = parse_watches(d, watches, err);
	if (!r)
		r = watches_find(c, watches, err);
	if (r || !watches->count)
		return r;
	qsort(watches->items, watches->count, sizeof(*watches->items), compare_wds);
	vec_for_each (w, watches)
		if (!w->path || strlen(w->path) > PATH_LEN)
			description_block(
				c, d, "remove the watch, or recreate what it watches",
				"inotify watch %u of inode %llu, whose path cannot be found", w->wd,
				(unsigned long long)w->ino);
	return 0;
}

static int inotify_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	const watch_vec *watches = d->state;
	struct ckpt_inotify rec = {
		.id = d->id, .open_flags = d->open_flags, .watches = watches->count};
	__cleanup_buf struct buf tail = {0};

	vec_for_each (w, watches) {
		struct ckpt_inotify_watch row = {w->wd, w->mask, strlen(w->path), 0};

		if (!buf_add(&tail, &row, sizeof(row)) || !buf_add(&tail, w->path, row.path_len) ||
		    buf_align(&tail, 8))
			return error_errno(err, ENOMEM, "recording watches");
	}
	if (!record_add2(&c->records, CKPT_INOTIFY, &rec, sizeof(rec), tail.data, tail.len))
		return error_errno(err, ENOMEM, "recording watches");
	return 0;
}

/* --- a restore --- */

/* Row by row: NULL at the end and for what is malformed, which *left tells apart. */
static const struct ckpt_inotify_watch *next_row(const char **tail, size_t *left)
{
	const struct ckpt_inotify_watch *row = (const void *)*tail;
	size_t len;

	if (*left < sizeof(*row))
		return NULL;
	len = sizeof(*row) + ((row->path_len + 7ull) & ~7ull);
	if (!row->path_len || row->path_len > PATH_LEN || *left < len)
		return NULL;
	*tail += len;
	*left -= len;
	return row;
}

static int inotify_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_inotify *rec = o->rec;
	const struct ckpt_inotify_watch *row;
	const char *tail = o->tail;
	size_t left = o->tail_len;
	uint32_t last = 0, count = 0;

	for (; (row = next_row(&tail, &left)); count++) {
		const char *path = (const char *)(row + 1);

		if (row->wd <= last || row->wd > INT32_MAX || !(row->mask & IN_ALL_EVENTS) ||
		    row->mask & ~MASKS || *path != '/' || memchr(path, 0, row->path_len))
			return error_set(err, EBADMSG, "watch %u is malformed", row->wd);
		last = row->wd;
	}
	if (left || count != rec->watches)
		return error_set(err, EBADMSG, "inotify %u is malformed", o->id);
	return 0;
}

static int inotify_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_inotify *rec = o->rec;
	const struct ckpt_inotify_watch *row;
	const char *tail = o->tail;
	size_t left = o->tail_len;
	int ret = 0;

	while (!ret && (row = next_row(&tail, &left)))
		ret = file_check_readable(r, (const char *)(row + 1), row->path_len, err);
	if (ret)
		return ret;
	o->fd = inotify_init1(IN_CLOEXEC);
	if (o->fd < 0)
		return error_errno(err, errno, "making an inotify descriptor");
	return files_set_flags(o->fd, rec->open_flags, err);
}

static int add_watch(struct restore *r, int fd, const struct ckpt_inotify_watch *row,
		     struct error **err)
{
	__cleanup_free char *path = strndup((const char *)(row + 1), row->path_len);
	__cleanup_fd int target =
		path ? open_in_root(r->rootfd, path, O_PATH | O_NOFOLLOW, 0) : -ENOMEM;
	char self[64];
	int wd;

	if (target < 0) {
		error_errno(err, -target, "opening \"%s\" for watch %u", path ? path : "?",
			    row->wd);
		return error_hint(err, "the root file system must be as at the checkpoint");
	}
	/* without it the number may still be the right one */
	ioctl(fd, INOTIFY_IOC_SETNEXTWD, row->wd);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", target);
	wd = inotify_add_watch(fd, self, row->mask);
	if (wd < 0)
		return error_errno(err, errno, "watching \"%s\"", path);
	if (wd != (int)row->wd)
		return error_set(err, EOPNOTSUPP, "watch %u of \"%s\" has become %d", row->wd, path,
				 wd);
	return 0;
}

static int inotify_arm(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_inotify_watch *row;
	const char *tail = o->tail;
	size_t left = o->tail_len;
	int ret = 0;

	while (!ret && (row = next_row(&tail, &left)))
		ret = add_watch(r, o->fd, row, err);
	return ret;
}

const struct file_kind file_kind_inotify = {
	.type = CKPT_INOTIFY,
	.size = sizeof(struct ckpt_inotify),
	.matches = matches,
	.admit = inotify_admit,
	.dump = inotify_dump,
	.load = inotify_load,
	.open = inotify_open,
	.arm = inotify_arm,
};
