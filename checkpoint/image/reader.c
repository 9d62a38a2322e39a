// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/image/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define CONFIG_MAX (16U << 20)

struct image_reader {
	char *path;
	int dir;
	struct manifest manifest;
	int *fds; /* of manifest.files, opened when asked for; -1 */
	void *records, *config;
	size_t records_len, config_len;
};

const struct manifest *image_reader_manifest(const struct image_reader *r)
{
	return &r->manifest;
}

const char *image_reader_path(const struct image_reader *r)
{
	return r->path;
}

const struct image_info *image_reader_info(const struct image_reader *r)
{
	return &r->manifest.info;
}

int image_reader_wrap(const struct image_reader *r, const char *name, int code, struct error **err)
{
	error_wrap(err, "image \"%s\": %s", r->path, name);
	return code;
}

void image_reader_free(struct image_reader *r)
{
	if (!r)
		return;
	for (size_t i = 0; r->fds && i < r->manifest.files.count; i++)
		cleanup_fd(&r->fds[i]);
	free(r->fds);
	cleanup_fd(&r->dir);
	free(r->records);
	free(r->config);
	manifest_free(&r->manifest);
	free(r->path);
	free(r);
}

/* Neither a link out of the image nor a FIFO that would block: regular files only. */
static int open_regular(int dir, const char *name, uint64_t *size, struct error **err)
{
	__cleanup_fd int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return error_set(err, ENOENT, "the file is missing");
	if (fd < 0 && errno == ELOOP)
		return error_set(err, EBADMSG, "not a regular file");
	if (fd < 0 || fstat(fd, &st))
		return error_errno(err, errno, "opening");
	if (!S_ISREG(st.st_mode))
		return error_set(err, EBADMSG, "not a regular file");
	*size = st.st_size;
	return take_fd(&fd);
}

static int open_file(struct image_reader *r, const struct manifest_file *f, int *fd,
		     struct error **err)
{
	size_t i = f - r->manifest.files.items;
	uint64_t size;
	int opened;

	if (r->fds[i] < 0) {
		opened = open_regular(r->dir, f->name, &size, err);
		if (opened < 0)
			return opened;
		if (size != f->size) {
			close(opened);
			return error_set(err, EBADMSG, "%s: %" PRIu64 " bytes instead of %" PRIu64,
					 size < f->size ? "truncated" : "has changed", size,
					 f->size);
		}
		r->fds[i] = opened;
	}
	*fd = r->fds[i];
	return 0;
}

static int mismatch(struct error **err)
{
	return error_set(err, EBADMSG, "checksum does not match, the file was changed or damaged");
}

static int hash_range(XXH3_state_t *state, int fd, uint64_t from, uint64_t to, struct error **err)
{
	char data[64 * 1024];

	while (from < to) {
		size_t len = to - from < sizeof(data) ? to - from : sizeof(data);
		int r = pread_full(fd, data, len, from);

		if (r == -ENODATA)
			return error_set(err, EBADMSG, "truncated while it was read");
		if (r)
			return error_errno(err, -r, "reading");
		XXH3_64bits_update(state, data, len);
		from += len;
	}
	return 0;
}

struct kept {
	char *at, *end; /* where what is read goes, as far as there is room */
};

static int load_range(XXH3_state_t *state, int fd, uint64_t from, uint64_t to, struct kept *kept,
		      struct error **err)
{
	size_t room = kept->end - kept->at, len = to - from < room ? to - from : room;
	int r = pread_full(fd, kept->at, len, from);

	if (r == -ENODATA)
		return error_set(err, EBADMSG, "truncated while it was read");
	if (r)
		return error_errno(err, -r, "reading");
	XXH3_64bits_update(state, kept->at, len);
	kept->at += len;
	return hash_range(state, fd, from + len, to, err);
}

/* What is in front of the data area, and what is behind it, compared with its checksum. */
static int load_checked(struct image_reader *r, const struct manifest_file *f, struct kept *kept,
			struct error **err)
{
	uint64_t before = f->data_len ? f->data_offset : 0;
	XXH3_state_t *state;
	int fd, ret = open_file(r, f, &fd, err);

	if (ret)
		return ret;
	state = XXH3_createState();
	if (!state)
		return error_errno(err, ENOMEM, "reading");
	XXH3_64bits_reset(state);
	ret = load_range(state, fd, 0, before, kept, err);
	if (!ret)
		ret = load_range(state, fd, before + f->data_len, f->size, kept, err);
	if (!ret && XXH3_64bits_digest(state) != f->checksum)
		ret = mismatch(err);
	XXH3_freeState(state);
	return ret;
}

static int verify_file(struct image_reader *r, const struct manifest_file *f, struct error **err)
{
	struct kept nothing = {0};

	return load_checked(r, f, &nothing, err);
}

int image_reader_load(struct image_reader *r, const struct manifest_file *f, size_t max,
		      size_t keep, void **data, size_t *len, struct error **err)
{
	uint64_t size = f->size - f->data_len;
	__cleanup_free char *text = NULL;
	struct kept kept;
	int ret;

	if (size > max)
		return error_set(err, EFBIG, "%" PRIu64 " bytes, at most %zu are read", size, max);
	if (size > keep)
		size = keep;
	/* one more: config.json is handed out as a string */
	text = malloc(size + 1);
	if (!text)
		return error_errno(err, ENOMEM, "reading");
	text[size] = '\0';
	kept = (struct kept){text, text + size};
	ret = load_checked(r, f, &kept, err);
	if (ret)
		return ret;
	*data = take_ptr(text);
	*len = size;
	return 0;
}

static int read_manifest(struct image_reader *r, struct error **err)
{
	__cleanup_free char *text = NULL;
	__cleanup_fd int fd = -1;
	uint64_t size;
	int ret;

	fd = open_regular(r->dir, MANIFEST_NAME, &size, err);
	if (fd == -ENOENT)
		return error_hint(err, "the checkpoint was not finished, or this is no image");
	if (fd < 0)
		return fd;
	if (size > MANIFEST_MAX)
		return error_set(err, EFBIG, "too large");
	text = malloc(size + 1);
	if (!text)
		return error_errno(err, ENOMEM, "reading");
	ret = pread_full(fd, text, size, 0);
	if (ret)
		return error_errno(err, -ret, "reading");
	text[size] = '\0';
	return manifest_parse(text, size, &r->manifest, err);
}

/* Loads a file that is no data area. */
static int load_whole(struct image_reader *r, const char *name, size_t max, void **data,
		      size_t *len, struct error **err)
{
	const struct manifest_file *f = manifest_find(&r->manifest, name);
	int ret;

	if (!f)
		ret = error_set(err, EBADMSG, "the manifest does not name it");
	else if (f->data_len)
		ret = error_set(err, EBADMSG, "the manifest says that it has page data");
	else
		ret = image_reader_load(r, f, max, max, data, len, err);
	return ret ? image_reader_wrap(r, name, ret, err) : 0;
}

static int check_task(struct image_reader *r, const struct record *rec, struct error **err)
{
	const struct ckpt_task *t = record_head(rec, sizeof(*t), err);
	char name[IMAGE_NAME_MAX];

	if (!t)
		return -EBADMSG;
	snprintf(name, sizeof(name), "task-%u.core", t->pid);
	if (t->state != CKPT_TASK_ZOMBIE && !manifest_find(&r->manifest, name))
		return error_set(err, EBADMSG, "process %u has no %s in the manifest", t->pid,
				 name);
	return 0;
}

/* The frame of container.rec: begin first, end last with the right count, tasks with their cores.
 */
static int check_records(struct image_reader *r, struct error **err)
{
	uint64_t count = 0, tasks = 0, wanted = 0;
	const struct ckpt_end *end = NULL;
	struct record rec;
	size_t pos = 0;
	int ret;

	while ((ret = record_next(r->records, r->records_len, &pos, &rec)) > 0) {
		const struct ckpt_begin *begin;

		if (end)
			return error_set(err, EBADMSG, "records follow the last one");
		if ((rec.type == CKPT_BEGIN) != !count)
			return error_set(err, EBADMSG, "does not begin with record \"begin\"");
		if (rec.type == CKPT_BEGIN) {
			begin = record_head(&rec, sizeof(*begin), err);
			if (!begin)
				return -EBADMSG;
			if (begin->magic != CKPT_MAGIC || begin->format != CKPT_FORMAT_VERSION)
				return error_set(err, EBADMSG, "of another format");
			wanted = begin->tasks;
		} else if (rec.type == CKPT_TASK) {
			tasks++;
			ret = check_task(r, &rec, err);
			if (ret)
				return ret;
		} else if (rec.type == CKPT_END) {
			end = record_head(&rec, sizeof(*end), err);
			if (!end)
				return -EBADMSG;
			if (end->records != count)
				return error_set(err, EBADMSG, "records are missing");
		}
		count++;
	}
	if (ret < 0)
		return error_set(err, EBADMSG, "malformed record at offset %zu", pos);
	if (!end)
		return error_set(err, EBADMSG, "records are missing");
	if (tasks != wanted)
		return error_set(err, EBADMSG, "%" PRIu64 " processes instead of %" PRIu64, tasks,
				 wanted);
	return 0;
}

static int no_file_open(struct image_reader *r, struct error **err)
{
	size_t size = (r->manifest.files.count + 1) * sizeof(*r->fds);

	r->fds = malloc(size);
	if (!r->fds)
		return error_errno(err, ENOMEM, "image \"%s\"", r->path);
	memset(r->fds, 0xff, size);
	return 0;
}

static int read_all(struct image_reader *r, struct error **err)
{
	int ret = read_manifest(r, err);

	if (ret)
		return image_reader_wrap(r, MANIFEST_NAME, ret, err);
	ret = no_file_open(r, err);
	if (ret)
		return ret;
	vec_for_each (f, &r->manifest.files) {
		ret = verify_file(r, f, err);
		if (ret)
			return image_reader_wrap(r, f->name, ret, err);
		/* thousands of tasks must not need thousands of descriptors here */
		cleanup_fd(&r->fds[f - r->manifest.files.items]);
		r->fds[f - r->manifest.files.items] = -1;
	}
	ret = load_whole(r, "container.rec", CONTAINER_MAX, &r->records, &r->records_len, err);
	if (!ret)
		ret = load_whole(r, "config.json", CONFIG_MAX, &r->config, &r->config_len, err);
	if (ret)
		return ret;
	ret = check_records(r, err);
	return ret ? image_reader_wrap(r, "container.rec", ret, err) : 0;
}

int image_open(const char *path, struct image_reader **r, struct error **err)
{
	struct image_reader *n = calloc(1, sizeof(*n));
	int ret;

	if (!n)
		return error_errno(err, ENOMEM, "image \"%s\"", path);
	n->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	n->path = strdup(path);
	if (n->dir < 0)
		ret = error_errno(err, errno, "image \"%s\"", path);
	else
		ret = n->path ? read_all(n, err) : error_errno(err, ENOMEM, "image \"%s\"", path);
	if (ret) {
		image_reader_free(n);
		return ret;
	}
	*r = n;
	return 0;
}

int image_reader_unchecked(const char *path, int dir, struct manifest *m, struct image_reader **r,
			   struct error **err)
{
	struct image_reader *n = calloc(1, sizeof(*n));
	int ret;

	if (!n)
		return error_errno(err, ENOMEM, "image \"%s\"", path);
	n->manifest = *m;
	*m = (struct manifest){0};
	manifest_sort(&n->manifest);
	n->dir = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	n->path = strdup(path);
	if (n->dir < 0)
		ret = error_errno(err, errno, "image \"%s\"", path);
	else
		ret = n->path ? no_file_open(n, err)
			      : error_errno(err, ENOMEM, "image \"%s\"", path);
	if (ret) {
		image_reader_free(n);
		return ret;
	}
	*r = n;
	return 0;
}

int image_reader_file(struct image_reader *r, const char *name, int *fd, uint64_t *size,
		      struct error **err)
{
	const struct manifest_file *f = manifest_find(&r->manifest, name);
	int ret = f ? open_file(r, f, fd, err)
		    : error_set(err, ENOENT, "the manifest does not name it");

	if (ret)
		return image_reader_wrap(r, name, ret, err);
	*size = f->size;
	return 0;
}

int image_reader_records(struct image_reader *r, const void **stream, size_t *len,
			 struct error **err)
{
	*stream = r->records;
	*len = r->records_len;
	return 0;
}

int image_reader_config(struct image_reader *r, const char **json, size_t *len, struct error **err)
{
	*json = r->config;
	*len = r->config_len;
	return 0;
}
