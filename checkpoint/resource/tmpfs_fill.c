// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes again what an archive says was in a file system in memory. The archive is hostile input:
 * each step of a path is entered by itself, by no link, in a mount that leads nowhere else; and
 * device nodes are those that the start makes, or that programs of the container may make.
 * Whatever is found amiss late ends the restore, and what was made goes with the container.
 */
#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <xxhash.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/image/reader.h"
#include "checkpoint/resource/files.h"
#include "checkpoint/resource/tmpfs.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define CHUNK (256 << 10)

/* A device node that the start has made. */
struct node {
	char *path;
	bool wanted; /* or removed; then path is the directory that was left */
};

struct filling {
	const struct restore *r;
	int root;
	char parent[TMPFS_PATH_SIZE]; /* the working directory */
	VEC(struct node) nodes;
	/* the archive */
	int fd;
	uint64_t size, pos;
	char *chunk;
	XXH3_state_t *sum;
	int failed; /* a negative errno of reading it */
};

bool tmpfs_path_is_sound(const char *path)
{
	if (strlen(path) >= TMPFS_PATH_SIZE)
		return false;
	for (const char *step = path;; step++) {
		size_t len = strcspn(step, "/");

		if (!len || (step[0] == '.' && (len == 1 || (len == 2 && step[1] == '.'))))
			return false;
		step += len;
		if (!*step)
			return true;
	}
}

/* --- what the start has made --- */

static int clear_directory(struct filling *f, int fd, const char *path, struct error **err);

/* What something is mounted on stays, and so does the way there. */
static int removed(int ret)
{
	return ret && errno != EBUSY && errno != ENOTEMPTY ? -errno : 0;
}

static int clear_below(struct filling *f, int dirfd, const char *name, const char *path,
		       struct error **err)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int ret = fd < 0 ? error_errno(err, errno, "opening \"%s\"", path)
			 : clear_directory(f, fd, path, err);

	if (!ret)
		ret = removed(unlinkat(dirfd, name, AT_REMOVEDIR));
	return ret && !*err ? error_errno(err, -ret, "removing \"%s\"", path) : ret;
}

static int clear_entry(struct filling *f, int dirfd, const char *dir, const char *name,
		       struct error **err)
{
	__cleanup_free char *path = NULL;
	struct node *node;
	struct stat st;
	int ret;

	if (asprintf(&path, "%s%s%s", dir, *dir ? "/" : "", name) < 0)
		return error_errno(err, ENOMEM, "removing \"%s\"", name);
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return error_errno(err, errno, "looking at \"%s\"", path);
	if (S_ISDIR(st.st_mode))
		return clear_below(f, dirfd, name, path, err);
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
		node = vec_add(&f->nodes);
		if (!node)
			return error_errno(err, ENOMEM, "remembering \"%s\"", path);
		node->path = take_ptr(path);
		return 0;
	}
	ret = removed(unlinkat(dirfd, name, 0));
	return ret ? error_errno(err, -ret, "removing \"%s\"", path) : 0;
}

/* A default ACL would be inherited by what is made there. */
static int clear_xattrs(struct filling *f, int fd)
{
	ssize_t len = flistxattr(fd, f->chunk, CHUNK);

	if (len < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (const char *name = f->chunk; name < f->chunk + len; name += strlen(name) + 1)
		if (tmpfs_xattr_is_kept(name) && fremovexattr(fd, name))
			return -errno;
	return 0;
}

static int clear_directory(struct filling *f, int fd, const char *path, struct error **err)
{
	__cleanup_dir DIR *dir = fdopendir(fd);
	struct dirent *d;
	int ret;

	if (!dir) {
		close(fd);
		return error_errno(err, ENOMEM, "reading \"%s\"", path);
	}
	ret = clear_xattrs(f, fd);
	if (ret)
		return error_errno(err, -ret, "removing extended attributes of \"%s\"", path);
	while (!ret && (errno = 0, d = readdir(dir)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			ret = clear_entry(f, fd, path, d->d_name, err);
	return ret || !errno ? ret : error_errno(err, errno, "reading \"%s\"", path);
}

static int clear(struct filling *f, struct error **err)
{
	int fd = openat(f->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, errno, "opening it");
	return clear_directory(f, fd, "", err);
}

static struct node *find_node(struct filling *f, const char *path)
{
	vec_for_each (node, &f->nodes)
		if (!strcmp(node->path, path))
			return node;
	return NULL;
}

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strcmp(dir, ".") || (!strncmp(path, dir, len) && path[len] == '/');
}

/*
 * Those that the container had removed, with directories of their own, go before dir gets its
 * times: what is below it has all come.
 */
static int drop_nodes(struct filling *f, const char *dir)
{
	ptrdiff_t stays = strcmp(dir, ".") ? strlen(dir) : 0;

	vec_for_each (node, &f->nodes) {
		char *slash;

		if (node->wanted || !is_below(node->path, dir))
			continue;
		if (removed(unlinkat(f->root, node->path, 0)))
			return -errno;
		node->wanted = true;
		while ((slash = strrchr(node->path, '/')) && slash - node->path > stays) {
			*slash = '\0';
			if (unlinkat(f->root, node->path, AT_REMOVEDIR))
				break;
		}
	}
	return 0;
}

/* --- one entry, by its name in the working directory --- */

/* Directories come behind what is in them: they are made on the way. */
static int enter_step(const char *name)
{
	const int how = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	__cleanup_fd int fd = openat(AT_FDCWD, name, how);

	if (fd < 0 && errno == ENOENT && !mkdirat(AT_FDCWD, name, 0700))
		fd = openat(AT_FDCWD, name, how);
	return fd < 0 || fchdir(fd) ? -errno : 0;
}

/* Enters the directory that path, which is sound, is in; *name is the rest. */
static int enter_parent(struct filling *f, const char *path, const char **name, struct error **err)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? slash - path : 0;
	char steps[TMPFS_PATH_SIZE], *rest = steps, *step;
	int ret = 0;

	*name = slash ? slash + 1 : path;
	if (!strncmp(f->parent, path, len) && !f->parent[len])
		return 0;
	memcpy(steps, path, len);
	steps[len] = '\0';
	if (fchdir(f->root))
		ret = -errno;
	while (!ret && len && (step = strsep(&rest, "/")))
		ret = enter_step(step);
	memcpy(f->parent, path, len);
	f->parent[len] = '\0';
	return ret ? error_errno(err, -ret, "entering \"%s\"", f->parent) : 0;
}

static int make_link(const struct filling *f, const char *name, const char *target)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	__cleanup_fd int fd = -1;

	if (!tmpfs_path_is_sound(target))
		return -EBADMSG;
	fd = syscall(SYS_openat2, f->root, target, &how, sizeof(how));
	return fd < 0 || linkat(fd, "", AT_FDCWD, name, AT_EMPTY_PATH) ? -errno : 0;
}

static bool may_make_devices(const struct restore *r)
{
	return !r->request->caps_bounded || r->request->caps_allowed & (1ull << CAP_MKNOD);
}

/* In the container's cgroups, whose rules for devices hold for this process too. */
static int make_device(struct filling *f, const char *path, const char *name, mode_t mode,
		       dev_t rdev)
{
	struct node *node = find_node(f, path);
	struct stat st;

	if (node && !fstatat(AT_FDCWD, name, &st, AT_SYMLINK_NOFOLLOW)) {
		node->wanted = true;
		if ((st.st_mode & S_IFMT) == (mode & S_IFMT) && st.st_rdev == rdev)
			return 0;
		if (unlinkat(AT_FDCWD, name, 0))
			return -errno;
	}
	if (!file_is_memory_device(mode, rdev) && !may_make_devices(f->r))
		return -EPERM;
	return mknodat(AT_FDCWD, name, (mode & S_IFMT) | 0600, rdev) ? -errno : 0;
}

/* One that something is mounted on is there already; a device would be opened. */
static int open_new(const char *name)
{
	const int how = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	int fd = openat(AT_FDCWD, name, how | O_CREAT | O_EXCL, 0600);
	struct stat st;

	if (fd >= 0)
		return fd;
	if (errno != EEXIST || fstatat(AT_FDCWD, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EEXIST;
	fd = openat(AT_FDCWD, name, how | O_TRUNC);
	return fd < 0 ? -errno : fd;
}

static int make_file(struct archive *a, struct archive_entry *e, const char *name)
{
	__cleanup_fd int fd = open_new(name);
	int64_t size = archive_entry_size(e), at;
	const void *data;
	int ret = 0, got = ARCHIVE_OK;
	size_t len;

	if (fd < 0)
		return fd;
	if (size < 0 || (uint64_t)size > TMPFS_FILE_MAX)
		return -EFBIG;
	while (!ret && (got = archive_read_data_block(a, &data, &len, &at)) == ARCHIVE_OK)
		ret = at < 0 || at > size || len > (uint64_t)(size - at)
			      ? -EBADMSG
			      : pwrite_full(fd, data, len, at);
	if (!ret && got != ARCHIVE_EOF)
		ret = -EBADMSG;
	return ret || !ftruncate(fd, size) ? ret : -errno;
}

static int make_directory(const char *name)
{
	struct stat st;

	if (!mkdirat(AT_FDCWD, name, 0700))
		return 0;
	if (errno != EEXIST || fstatat(AT_FDCWD, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -EEXIST;
}

static int make(struct filling *f, struct archive *a, struct archive_entry *e, const char *path,
		const char *name)
{
	const char *target = archive_entry_symlink(e);
	mode_t mode = archive_entry_mode(e);
	int ret;

	switch (mode & S_IFMT) {
	case S_IFREG:
		return make_file(a, e, name);
	case S_IFDIR:
		ret = make_directory(name);
		return ret ? ret : drop_nodes(f, path);
	case S_IFLNK:
		return !target || symlinkat(target, AT_FDCWD, name) ? -errno : 0;
	case S_IFIFO:
		return mkfifoat(AT_FDCWD, name, 0600) ? -errno : 0;
	case S_IFCHR:
	case S_IFBLK:
		return make_device(f, path, name, mode, archive_entry_rdev(e));
	default:
		return -EBADMSG;
	}
}

/* --- its attributes --- */

/* libarchive writes them as in a URL, "%" always, and reads them as they are. */
static int decode_key(const char *from, char to[XATTR_NAME_MAX + 1])
{
	size_t len = 0;

	for (; *from; from++) {
		char byte = *from, hex[3] = "";

		if (byte == '%') {
			if (!isxdigit((unsigned char)from[1]) || !isxdigit((unsigned char)from[2]))
				return -EBADMSG;
			memcpy(hex, from + 1, 2);
			byte = strtoul(hex, NULL, 16);
			from += 2;
		}
		if (!byte || len == XATTR_NAME_MAX)
			return -EBADMSG;
		to[len++] = byte;
	}
	to[len] = '\0';
	return 0;
}

static int set_xattrs(struct archive_entry *e, const char *name)
{
	char key[XATTR_NAME_MAX + 1];
	const char *encoded;
	const void *value;
	size_t len;

	archive_entry_xattr_reset(e);
	while (archive_entry_xattr_next(e, &encoded, &value, &len) == ARCHIVE_OK) {
		if (decode_key(encoded, key) || !tmpfs_xattr_is_kept(key))
			return -EBADMSG;
		if (lsetxattr(name, key, value, len, 0))
			return -errno;
	}
	return 0;
}

/* A change of owner takes set-id bits and capabilities away, a new mode that of an ACL. */
static int set_attributes(struct archive_entry *e, const char *name)
{
	const struct timespec times[2] = {
		{archive_entry_atime(e), archive_entry_atime_nsec(e)},
		{archive_entry_mtime(e), archive_entry_mtime_nsec(e)},
	};
	int64_t uid = archive_entry_uid(e), gid = archive_entry_gid(e);
	int ret;

	/* -1 and two values of nanoseconds mean something else */
	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX ||
	    times[0].tv_nsec >= 1000000000 || times[1].tv_nsec >= 1000000000)
		return -EBADMSG;
	if (fchownat(AT_FDCWD, name, uid, gid, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (!S_ISLNK(archive_entry_mode(e)) &&
	    fchmodat(AT_FDCWD, name, archive_entry_mode(e) & 07777, 0))
		return -errno;
	ret = set_xattrs(e, name);
	return ret || !utimensat(AT_FDCWD, name, times, AT_SYMLINK_NOFOLLOW) ? ret : -errno;
}

static int explain(int ret, struct archive_entry *e, const char *path, struct error **err)
{
	error_errno(err, -ret, "making \"%s\"", path);
	switch (ret) {
	case -ENOSPC:
		error_hint(err, "its option size= or nr_inodes= in config.json is too small, or "
				"this machine has less memory");
		break;
	case -EOVERFLOW:
	case -EINVAL:
		error_hint(err, "the user namespace must have uid %lld and gid %lld",
			   (long long)archive_entry_uid(e), (long long)archive_entry_gid(e));
		break;
	case -EPERM:
		if (S_ISCHR(archive_entry_mode(e)) || S_ISBLK(archive_entry_mode(e)))
			error_hint(err, "config.json makes no such device, and gives no "
					"CAP_MKNOD to make it by");
		break;
	}
	return ret;
}

static int fill_entry(struct filling *f, struct archive *a, struct archive_entry *e,
		      struct error **err)
{
	const char *given = archive_entry_pathname(e), *name, *target = archive_entry_hardlink(e);
	size_t len = given ? strlen(given) : 0;
	char path[TMPFS_PATH_SIZE];
	int ret;

	/* directories end with a slash */
	if (len && given[len - 1] == '/')
		len--;
	if (len >= sizeof(path))
		return error_set(err, EBADMSG, "a path of %zu bytes", len);
	memcpy(path, given ? given : "", len);
	path[len] = '\0';
	if (strcmp(path, ".") && !tmpfs_path_is_sound(path))
		return error_set(err, EBADMSG, "a path that cannot be: \"%s\"", path);
	ret = enter_parent(f, path, &name, err);
	if (ret)
		return ret;
	ret = target ? make_link(f, name, target) : make(f, a, e, path, name);
	if (!ret && !target)
		ret = set_attributes(e, name);
	return ret && !f->failed ? explain(ret, e, path, err) : ret;
}

/* --- the archive --- */

/* What is read is what the sum is of, whatever has become of the file since it was checked. */
static size_t read_chunk(struct filling *f)
{
	size_t n = f->size - f->pos < CHUNK ? f->size - f->pos : CHUNK;

	f->failed = pread_full(f->fd, f->chunk, n, f->pos);
	if (f->failed)
		return 0;
	XXH3_64bits_update(f->sum, f->chunk, n);
	f->pos += n;
	return n;
}

static la_ssize_t read_block(struct archive *a, void *ctx, const void **data)
{
	struct filling *f = ctx;
	size_t n = read_chunk(f);

	*data = f->chunk;
	if (!f->failed)
		return n;
	archive_set_error(a, -f->failed, "reading");
	return -1;
}

static int fill_all(struct filling *f, struct archive *a, struct error **err)
{
	struct archive_entry *e;
	int ret = 0, got = ARCHIVE_OK;

	if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_open(a, f, NULL, read_block, NULL) != ARCHIVE_OK)
		got = ARCHIVE_FATAL;
	while (!ret && got == ARCHIVE_OK && (got = archive_read_next_header(a, &e)) == ARCHIVE_OK)
		ret = fill_entry(f, a, e, err);
	if (f->failed)
		return error_errno(err, -f->failed, "reading the archive");
	if (ret || got == ARCHIVE_EOF)
		return ret;
	return error_set(err, EBADMSG, "malformed: %s",
			 archive_error_string(a) ? archive_error_string(a) : "no archive");
}

/* The rest too: nobody has seen anything of it yet. */
static int check_sum(struct filling *f, uint64_t wanted, struct error **err)
{
	while (!f->failed && f->pos < f->size)
		read_chunk(f);
	if (f->failed)
		return error_errno(err, -f->failed, "reading the archive");
	if (XXH3_64bits_digest(f->sum) != wanted)
		return error_set(err, EBADMSG,
				 "checksum does not match, the file was changed or damaged");
	return 0;
}

static void filling_free(struct filling *f)
{
	vec_for_each (node, &f->nodes)
		free(node->path);
	vec_free(&f->nodes);
	XXH3_freeState(f->sum);
	free(f->chunk);
}

static int fill(struct filling *f, uint64_t checksum, struct error **err)
{
	struct archive *a = archive_read_new();
	struct stat st;
	int ret = 0;

	if (!a || !f->chunk || !f->sum)
		ret = error_errno(err, ENOMEM, "beginning");
	else if (fchdir(f->root) || fstat(f->root, &st))
		ret = error_errno(err, errno, "entering it");
	/* its owner can make files in it, whose user namespace it is */
	if (!ret)
		ret = take_fs_ids(st.st_uid, st.st_gid, err);
	if (!ret) {
		XXH3_64bits_reset(f->sum);
		ret = clear(f, err);
	}
	if (!ret)
		ret = fill_all(f, a, err);
	archive_read_free(a);
	if (!ret)
		ret = check_sum(f, checksum, err);
	/* an archive without its root is no checkpoint's, but may be made by hand */
	if (ret)
		return ret;
	ret = drop_nodes(f, ".");
	return ret ? error_errno(err, -ret, "removing device nodes") : 0;
}

int tmpfs_fill(struct restore *r, uint32_t number, int root, struct error **err)
{
	struct filling f = {.r = r, .root = root};
	char name[32];
	int ret;

	snprintf(name, sizeof(name), TMPFS_NAME, number);
	ret = image_reader_file(r->image, name, &f.fd, &f.size, err);
	if (ret)
		return ret;
	f.chunk = malloc(CHUNK);
	f.sum = XXH3_createState();
	ret = fill(&f, manifest_find(image_reader_manifest(r->image), name)->checksum, err);
	filling_free(&f);
	return ret ? error_wrap(err, "%s", name) : 0;
}
