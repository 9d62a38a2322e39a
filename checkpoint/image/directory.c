// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/image/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "checkpoint/image/manifest.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/fault.h"
#include "util/io.h"

#define TEMP_PREFIX ".firn-image-"

enum entry {
	ENTRY_OURS,
	ENTRY_ENGINE,	/* what container engines put beside an image, or want there */
	ENTRY_MANIFEST, /* manifest.json of a Firn image */
	ENTRY_MARKER,	/* manifest.json.tmp: an image that was begun */
	ENTRY_FOREIGN
};

static bool has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name), end = strlen(suffix);

	return len > end && !strcmp(name + len - end, suffix);
}

/* Looks at the beginning only: an image that was damaged may be replaced too. */
static bool is_manifest(int dirfd, const char *name)
{
	__cleanup_fd int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char start[256] = "";
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, start, sizeof(start));
	return n > 0 && memmem(start, n, MANIFEST_FORMAT, strlen(MANIFEST_FORMAT));
}

static enum entry classify(int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return ENTRY_FOREIGN;
	if (S_ISLNK(st.st_mode) && !strcmp(name, "parent"))
		return ENTRY_ENGINE;
	if (!S_ISREG(st.st_mode))
		return ENTRY_FOREIGN;
	if (has_suffix(name, ".log") || !strncmp(name, "stats-", 6) ||
	    !strcmp(name, "descriptors.json") || !strcmp(name, "inventory.img"))
		return ENTRY_ENGINE;
	if (!strcmp(name, MANIFEST_NAME))
		return is_manifest(dirfd, name) ? ENTRY_MANIFEST : ENTRY_FOREIGN;
	if (!strcmp(name, MANIFEST_TMP))
		return ENTRY_MARKER;
	return image_name_valid(name) ? ENTRY_OURS : ENTRY_FOREIGN;
}

/* Calls fn for each entry of a directory; stops at the first that does not return 0. */
static int walk(int dirfd, int (*fn)(int dirfd, const char *name, void *ctx), void *ctx)
{
	__cleanup_dir DIR *dir = open_dir_again(dirfd);
	struct dirent *e;
	int r = 0;

	if (!dir)
		return -errno;
	while (!r && (errno = 0, e = readdir(dir))) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			r = fn(dirfd, e->d_name, ctx);
	}
	return r ? r : -errno;
}

struct contents {
	bool manifest, marker;
	char ours[NAME_MAX + 1];    /* one of them */
	char foreign[NAME_MAX + 1]; /* the first by name, so that the message is always the same */
};

static void keep_first(char *kept, const char *name)
{
	if (!*kept || strcmp(name, kept) < 0)
		snprintf(kept, NAME_MAX + 1, "%s", name);
}

static int look_at_entry(int dirfd, const char *name, void *ctx)
{
	struct contents *c = ctx;

	switch (classify(dirfd, name)) {
	case ENTRY_MANIFEST:
		c->manifest = true;
		break;
	case ENTRY_MARKER:
		c->marker = true;
		break;
	case ENTRY_OURS:
		keep_first(c->ours, name);
		break;
	case ENTRY_ENGINE:
		break;
	case ENTRY_FOREIGN:
		keep_first(c->foreign, name);
	}
	return 0;
}

static int look(const char *path, int dirfd, struct contents *c, struct error **err)
{
	int r = walk(dirfd, look_at_entry, c);

	if (r)
		return error_errno(err, -r, "image \"%s\": reading the directory", path);
	/* config.json may be somebody's bundle: ours only beside what else we make */
	if (!*c->foreign && *c->ours && !c->manifest && !c->marker)
		keep_first(c->foreign, c->ours);
	if (!*c->foreign)
		return 0;
	error_set(err, ENOTEMPTY,
		  "image \"%s\": the directory has a file that is not of a checkpoint image: "
		  "\"%s\"",
		  path, c->foreign);
	return error_hint(err, "give an empty or a new directory");
}

static int remove_ours(int dirfd, const char *name, void *ctx)
{
	enum entry e = classify(dirfd, name);

	if (e == ENTRY_OURS)
		unlinkat(dirfd, name, 0);
	return 0;
}

/* The manifest goes first and the marker last: half removed is never taken for whole. */
static void remove_image(int dirfd)
{
	unlinkat(dirfd, MANIFEST_NAME, 0);
	walk(dirfd, remove_ours, NULL);
	unlinkat(dirfd, MANIFEST_TMP, 0);
}

static int remove_engine(int dirfd, const char *name, void *ctx)
{
	if (classify(dirfd, name) == ENTRY_ENGINE)
		unlinkat(dirfd, name, 0);
	return 0;
}

/* mkdir -p that remembers what it made. */
static int make_dirs(struct image_dir *d, struct error **err)
{
	__cleanup_free char *path = strdup(d->path);

	if (!path)
		return error_errno(err, ENOMEM, "image \"%s\"", d->path);
	for (char *end = path + 1; *path && end;) {
		char **made;

		end = strchr(end, '/');
		if (end)
			*end = '\0';
		if (!mkdir(path, 0700)) {
			made = vec_add(&d->made);
			if (made)
				*made = strdup(path);
			if (!made || !*made)
				return error_errno(err, ENOMEM, "image \"%s\"", d->path);
		} else if (errno != EEXIST) {
			return error_errno(err, errno, "image \"%s\": making \"%s\"", d->path,
					   path);
		}
		if (end)
			*end++ = '/';
	}
	return 0;
}

static int open_locked(const char *path, int dirfd, const char *name, int *fd, struct error **err)
{
	*fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return error_errno(err, errno, "image \"%s\": opening the directory", path);
	if (!flock(*fd, LOCK_EX | LOCK_NB))
		return 0;
	if (errno == EWOULDBLOCK)
		return error_set(err, EBUSY, "image \"%s\": another checkpoint is writing to it",
				 path);
	/* a file system without locks is no reason to refuse */
	return 0;
}

/* A directory of a killed writer: nobody holds its lock. A foreign one of that name stays. */
static int remove_stale(int dirfd, const char *name, void *ctx)
{
	__cleanup_fd int fd = -1;
	struct contents c = {0};

	if (strncmp(name, TEMP_PREFIX, strlen(TEMP_PREFIX)))
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) || walk(fd, look_at_entry, &c) || *c.foreign)
		return 0;
	remove_image(fd);
	walk(fd, remove_engine, NULL);
	unlinkat(dirfd, name, AT_REMOVEDIR);
	return 0;
}

static int make_temp(struct image_dir *d, struct error **err)
{
	unsigned int number;
	int r;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return error_errno(err, errno, "image \"%s\": getrandom", d->path);
	snprintf(d->temp, sizeof(d->temp), TEMP_PREFIX "%08x", number);
	if (mkdirat(d->parent_fd, d->temp, 0700)) {
		r = error_errno(err, errno,
				"image \"%s\": making a directory beside it to replace it safely",
				d->path);
		d->temp[0] = '\0';
		error_hint(err, "checkpoint to a new directory");
		return r;
	}
	return open_locked(d->path, d->parent_fd, d->temp, &d->fd, err);
}

/* Prepares for replacing the image in old_fd, or says why that cannot be. */
static int open_beside(struct image_dir *d, struct error **err)
{
	__cleanup_free char *real = realpath(d->path, NULL);
	char *slash = real ? strrchr(real, '/') : NULL;
	struct statx own, parent;

	if (!slash)
		return error_errno(err, errno, "image \"%s\"", d->path);
	d->name = strdup(slash + 1);
	if (!d->name)
		return error_errno(err, ENOMEM, "image \"%s\"", d->path);
	slash[slash == real] = '\0';
	d->parent_fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->parent_fd < 0)
		return error_errno(err, errno, "image \"%s\": opening \"%s\"", d->path, real);
	if (statx(d->old_fd, "", AT_EMPTY_PATH, STATX_INO, &own) ||
	    statx(d->parent_fd, "", AT_EMPTY_PATH, STATX_INO, &parent))
		return error_errno(err, errno, "image \"%s\": statx", d->path);
	/* the attribute tells a bind mount of the same file system too */
	if ((own.stx_attributes & STATX_ATTR_MOUNT_ROOT) ||
	    own.stx_dev_major != parent.stx_dev_major ||
	    own.stx_dev_minor != parent.stx_dev_minor) {
		error_set(err, EBUSY,
			  "image \"%s\": the directory is a mount point, so the image in it cannot "
			  "be replaced",
			  d->path);
		return error_hint(err, "checkpoint to a new directory below it");
	}
	walk(d->parent_fd, remove_stale, NULL);
	return make_temp(d, err);
}

static int open_any(struct image_dir *d, struct error **err)
{
	struct contents c = {0};
	int r = make_dirs(d, err);

	if (!r)
		r = open_locked(d->path, AT_FDCWD, d->path, &d->fd, err);
	if (!r)
		r = look(d->path, d->fd, &c, err);
	if (r)
		return r;
	if (c.manifest) {
		d->old_fd = take_fd(&d->fd);
		return open_beside(d, err);
	}
	if (c.marker)
		remove_image(d->fd);
	return 0;
}

int image_dir_open(const char *path, struct image_dir *d, struct error **err)
{
	int r;

	*d = (struct image_dir){.fd = -1, .old_fd = -1, .parent_fd = -1};
	d->path = strdup(path);
	if (!d->path)
		return error_errno(err, ENOMEM, "image \"%s\"", path);
	r = open_any(d, err);
	if (r) {
		/* a refused directory is not ours to clean: only what was made goes */
		if (d->temp[0])
			unlinkat(d->parent_fd, d->temp, AT_REMOVEDIR);
		for (size_t i = d->made.count; i-- > 0;)
			if (d->made.items[i])
				rmdir(d->made.items[i]);
		image_dir_free(d);
	}
	return r;
}

struct carry {
	int to;
	struct image_dir *d;
	struct error **err;
};

/* Hard links: whoever is writing a log goes on writing to it. A link to a symlink is one. */
static int carry_over(int dirfd, const char *name, void *ctx)
{
	struct carry *c = ctx;

	if (classify(dirfd, name) != ENTRY_ENGINE || !linkat(dirfd, name, c->to, name, 0))
		return 0;
	return error_errno(c->err, errno, "image \"%s\": taking \"%s\" over from the old one",
			   c->d->path, name);
}

static int exchange(struct image_dir *d)
{
	return renameat2(d->parent_fd, d->temp, d->parent_fd, d->name, RENAME_EXCHANGE) ? -errno
											: 0;
}

static int swap(struct image_dir *d, struct error **err)
{
	struct carry carry = {.to = d->fd, .d = d, .err = err};
	int r = walk(d->old_fd, carry_over, &carry);

	if (r && !(err && *err))
		error_errno(err, -r, "image \"%s\": reading the directory", d->path);
	if (!r)
		r = fault_point("image-exchange", err);
	if (r)
		return r;
	if (fsync(d->fd))
		return error_errno(err, errno, "image \"%s\": fsync", d->path);
	r = exchange(d);
	if (r) {
		error_errno(err, -r, "image \"%s\": exchanging the old image for the new", d->path);
		return error_hint(err, "checkpoint to a new directory");
	}
	r = fault_point("image-exchanged", err);
	if (!r && fsync(d->parent_fd))
		r = error_errno(err, errno, "image \"%s\": fsync of its parent", d->path);
	if (r)
		exchange(d);
	return r;
}

/* The entries of the directories that were made have to be on the disk as well. */
static int sync_parents(struct image_dir *d, struct error **err)
{
	__cleanup_fd int fd = dup(d->fd);

	for (size_t i = 0; i < d->made.count; i++) {
		int up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		cleanup_fd(&fd);
		fd = up;
		if (fd < 0 || fsync(fd))
			return error_errno(err, errno, "image \"%s\": fsync of its parent",
					   d->path);
	}
	return 0;
}

int image_dir_publish(struct image_dir *d, struct error **err)
{
	int r;

	if (d->old_fd < 0)
		return sync_parents(d, err);
	r = swap(d, err);
	if (r)
		return r;
	remove_image(d->old_fd);
	walk(d->old_fd, remove_engine, NULL);
	unlinkat(d->parent_fd, d->temp, AT_REMOVEDIR);
	d->temp[0] = '\0';
	return 0;
}

void image_dir_discard(struct image_dir *d)
{
	remove_image(d->fd);
	if (d->temp[0]) {
		walk(d->fd, remove_engine, NULL);
		unlinkat(d->parent_fd, d->temp, AT_REMOVEDIR);
	}
	for (size_t i = d->made.count; i-- > 0;)
		rmdir(d->made.items[i]);
}

void image_dir_free(struct image_dir *d)
{
	cleanup_fd(&d->fd);
	cleanup_fd(&d->old_fd);
	cleanup_fd(&d->parent_fd);
	vec_for_each (made, &d->made)
		free(*made);
	vec_free(&d->made);
	free(d->name);
	free(d->path);
	*d = (struct image_dir){.fd = -1, .old_fd = -1, .parent_fd = -1};
}
