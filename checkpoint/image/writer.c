// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/image/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <xxhash.h>

#include "checkpoint/image/directory.h"
#include "checkpoint/image/manifest.h"
#include "checkpoint/image/reader.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/fault.h"
#include "util/io.h"

struct image_file {
	struct image_writer *writer;
	int fd;
	struct manifest_file entry;
	XXH3_state_t *state; /* of what image_file_write() wrote; NULL before */
	uint64_t written;
	bool checked; /* entry says what of it is checked */
};

struct image_writer {
	struct image_dir dir;
	VEC(struct image_file *) files;
	bool committed;
};

int image_file_error(const struct image_file *f, int errnum, const char *what, struct error **err)
{
	return error_errno(err, errnum, "image \"%s\": %s: %s", f->writer->dir.path, f->entry.name,
			   what);
}

static void image_file_free(struct image_file *f)
{
	cleanup_fd(&f->fd);
	XXH3_freeState(f->state);
	free(f);
}

static void writer_free(struct image_writer *w)
{
	vec_for_each (f, &w->files)
		image_file_free(*f);
	vec_free(&w->files);
	image_dir_free(&w->dir);
	free(w);
}

void image_close(struct image_writer *w)
{
	if (!w)
		return;
	if (!w->committed)
		image_dir_discard(&w->dir);
	writer_free(w);
}

void image_withdraw(struct image_writer *w)
{
	if (w->dir.old_fd < 0)
		w->committed = false;
}

static int create(struct image_writer *w, const char *name, struct error **err)
{
	int fd = openat(w->dir.fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_errno(err, errno, "image \"%s\": making \"%s\"", w->dir.path, name);
	return fd;
}

int image_create(const char *path, struct image_writer **w, struct error **err)
{
	struct image_writer *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return error_errno(err, ENOMEM, "image \"%s\"", path);
	r = image_dir_open(path, &n->dir, err);
	if (r) {
		free(n);
		return r;
	}
	/* first, so that whatever is found beside it later is known to be ours */
	r = create(n, MANIFEST_TMP, err);
	if (r < 0) {
		image_close(n);
		return r;
	}
	close(r);
	*w = n;
	return 0;
}

int image_add_file(struct image_writer *w, const char *name, struct image_file **f,
		   struct error **err)
{
	struct image_file **slot, *n;
	int fd;

	if (strlen(name) >= IMAGE_NAME_MAX || !image_name_valid(name))
		return error_set(err, EINVAL, "image \"%s\": \"%s\" is no file of an image",
				 w->dir.path, name);
	fd = create(w, name, err);
	if (fd < 0)
		return fd;
	n = calloc(1, sizeof(*n));
	slot = n ? vec_add(&w->files) : NULL;
	if (!slot) {
		free(n);
		close(fd);
		return error_errno(err, ENOMEM, "image \"%s\": %s", w->dir.path, name);
	}
	*slot = n;
	n->writer = w;
	n->fd = fd;
	strcpy(n->entry.name, name);
	*f = n;
	return 0;
}

int image_file_fd(const struct image_file *f)
{
	return f->fd;
}

int image_file_write(struct image_file *f, const void *data, size_t len, struct error **err)
{
	int r;

	if (!f->state) {
		f->state = XXH3_createState();
		if (!f->state)
			return image_file_error(f, ENOMEM, "writing", err);
		XXH3_64bits_reset(f->state);
	}
	r = pwrite_full(f->fd, data, len, f->written);
	if (r)
		return image_file_error(f, -r, "writing", err);
	XXH3_64bits_update(f->state, data, len);
	f->written += len;
	return 0;
}

int image_file_checked(struct image_file *f, uint64_t data_offset, uint64_t data_len,
		       uint64_t checksum, struct error **err)
{
	struct stat st;

	if (fstat(f->fd, &st))
		return image_file_error(f, errno, "fstat", err);
	if ((data_offset | data_len) % IMAGE_PAGE_SIZE || data_offset > (uint64_t)st.st_size ||
	    data_len > (uint64_t)st.st_size - data_offset)
		return image_file_error(f, EINVAL, "its data area", err);
	if (data_len == (uint64_t)st.st_size)
		checksum = XXH3_64bits("", 0);
	f->entry.data_offset = data_offset;
	f->entry.data_len = data_len;
	f->entry.checksum = checksum;
	f->checked = true;
	return 0;
}

/* Settles size and checksum of a file, and puts it on the disk. */
static int finish_file(struct image_file *f, struct error **err)
{
	struct stat st;

	if (fstat(f->fd, &st))
		return image_file_error(f, errno, "fstat", err);
	f->entry.size = st.st_size;
	if (!f->checked) {
		if ((uint64_t)st.st_size != f->written)
			return image_file_error(f, EIO, "its size is not what was written", err);
		f->entry.checksum = f->state ? XXH3_64bits_digest(f->state) : XXH3_64bits("", 0);
	}
	if (fsync(f->fd))
		return image_file_error(f, errno, "fsync", err);
	return 0;
}

static int finish_files(struct image_writer *w, struct manifest *m, struct error **err)
{
	/* all of them on their way before the first is waited for */
	vec_for_each (f, &w->files)
		sync_file_range((*f)->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	vec_for_each (f, &w->files) {
		struct manifest_file *entry;
		int r = finish_file(*f, err);

		if (r)
			return r;
		entry = vec_add(&m->files);
		if (!entry)
			return image_file_error(*f, ENOMEM, "committing", err);
		*entry = (*f)->entry;
	}
	return 0;
}

int image_review(const struct image_writer *w, struct image_reader **r, struct error **err)
{
	struct manifest m = {0};
	int ret = 0;

	vec_for_each (f, &w->files) {
		struct manifest_file *entry = ret ? NULL : vec_add(&m.files);
		struct stat st;

		if (ret)
			break;
		if (!entry || fstat((*f)->fd, &st))
			ret = image_file_error(*f, entry ? errno : ENOMEM, "looking at it", err);
		else
			*entry = (*f)->entry;
		if (!ret)
			entry->size = st.st_size;
	}
	if (!ret)
		ret = image_reader_unchecked(w->dir.path, w->dir.fd, &m, r, err);
	manifest_free(&m);
	return ret;
}

static int make_id(struct manifest *m, struct error **err)
{
	uint8_t id[IMAGE_ID_LEN / 2];

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return error_errno(err, errno, "getrandom");
	for (size_t i = 0; i < sizeof(id); i++)
		sprintf(m->id + 2 * i, "%02x", id[i]);
	return 0;
}

static int write_manifest(struct image_writer *w, const struct manifest *m, struct error **err)
{
	__cleanup_free char *text = NULL;
	__cleanup_fd int fd = -1;
	size_t len;
	int r;

	text = manifest_text(m, &len);
	if (!text)
		return error_errno(err, ENOMEM, "image \"%s\": " MANIFEST_NAME, w->dir.path);
	fd = openat(w->dir.fd, MANIFEST_TMP, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	r = fd < 0 ? -errno : write_full(fd, text, len);
	if (!r && fsync(fd))
		r = -errno;
	if (r)
		return error_errno(err, -r, "image \"%s\": " MANIFEST_NAME ": writing",
				   w->dir.path);
	r = fault_point("image-manifest", err);
	if (r)
		return r;
	if (renameat(w->dir.fd, MANIFEST_TMP, w->dir.fd, MANIFEST_NAME))
		return error_errno(err, errno, "image \"%s\": " MANIFEST_NAME ": renaming",
				   w->dir.path);
	return 0;
}

static int sync_dir(struct image_writer *w, struct error **err)
{
	if (fsync(w->dir.fd))
		return error_errno(err, errno, "image \"%s\": fsync", w->dir.path);
	return 0;
}

static int commit(struct image_writer *w, struct manifest *m, struct error **err)
{
	int r = make_id(m, err);

	if (!r)
		r = fault_point("image-commit", err);
	if (!r)
		r = finish_files(w, m, err);
	if (!r)
		r = sync_dir(w, err);
	if (!r)
		r = write_manifest(w, m, err);
	if (!r)
		r = sync_dir(w, err);
	return r ? r : image_dir_publish(&w->dir, err);
}

int image_commit(struct image_writer *w, const struct image_info *info, struct error **err)
{
	struct manifest m = {.info = *info};
	struct utsname uts;
	int r;

	if (!m.info.kernel && !uname(&uts))
		m.info.kernel = uts.release;
	if (!m.info.id)
		m.info.id = "";
	if (!m.info.provider)
		m.info.provider = "user";
	r = commit(w, &m, err);
	manifest_free(&m);
	if (!r)
		w->committed = true;
	return r;
}
