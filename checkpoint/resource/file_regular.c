// SPDX-License-Identifier: GPL-2.0-only
/*
 * What has a path: regular files, directories, memory devices, files of /proc
 * and /sys, FIFOs, O_PATH descriptors; and anonymous pipes, which differ from
 * FIFOs by that alone. A path is believed only where opening it below the container's
 * root gives the same inode. A deleted file is saved with its contents.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "checkpoint/resource/memory_object.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define GHOST_CHUNK    (1 << 20)
#define MEM_MAJOR      1
#define DELETED	       " (deleted)"
#define PATH_BYTES_MAX 4096

/* What an image may ask for: nothing that creates or truncates. */
#define OPEN_FLAGS                                                                                 \
	(O_ACCMODE | O_APPEND | O_NONBLOCK | O_DIRECT | O_SYNC | O_DSYNC | O_NOATIME |             \
	 O_DIRECTORY | O_NOFOLLOW | O_PATH | O_LARGEFILE)

static bool is_memory_device(mode_t mode, dev_t rdev)
{
	static const unsigned minors[] = {3, 5, 7, 8, 9}; /* null zero full random urandom */

	if (!S_ISCHR(mode) || major(rdev) != MEM_MAJOR)
		return false;
	for (size_t i = 0; i < sizeof(minors) / sizeof(*minors); i++)
		if (minor(rdev) == minors[i])
			return true;
	return false;
}

static bool matches(const struct description *d)
{
	if (description_is_pipe(d))
		return true;
	return d->link[0] == '/' && (!S_ISSOCK(d->st.st_mode) || d->open_flags & O_PATH);
}

static bool is_memfd(const struct description *d)
{
	return !d->st.st_nlink && S_ISREG(d->st.st_mode) &&
	       !strncmp(d->link, MEMFD_PREFIX, sizeof(MEMFD_PREFIX) - 1);
}

/* memfd_secret(2): nobody else can read it */
static bool is_secret(const struct description *d)
{
	struct statfs fs;

	return d->fd >= 0 && !fstatfs(d->fd, &fs) && fs.f_type == SECRETMEM_MAGIC;
}

static enum ckpt_file_kind kind_of(const struct description *d)
{
	struct statfs fs;

	if (is_memfd(d))
		return CKPT_FILE_MEMFD;
	if (d->open_flags & O_PATH)
		return CKPT_FILE_PATH;
	if (S_ISFIFO(d->st.st_mode))
		return CKPT_FILE_FIFO;
	if (S_ISDIR(d->st.st_mode))
		return CKPT_FILE_DIRECTORY;
	if (S_ISCHR(d->st.st_mode) || S_ISBLK(d->st.st_mode))
		return CKPT_FILE_DEVICE;
	if (d->fd >= 0 && !fstatfs(d->fd, &fs) &&
	    (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC))
		return CKPT_FILE_PROC;
	return CKPT_FILE_REGULAR;
}

static bool is_deleted(const struct description *d)
{
	return d->st.st_nlink == 0;
}

static int admit_path(struct checkpoint *c, struct description *d, struct error **err)
{
	__cleanup_fd int fd = open_in_root(c->rootfd, d->link, O_PATH | O_NOFOLLOW, 0);
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && st.st_dev == d->st.st_dev && st.st_ino == d->st.st_ino)
		return 0;
	return description_block(
		c, d, "close it: its name was changed, or something is mounted over it",
		"\"%s\", which is not to be found by that path in the container", d->link);
}

static int block_device(struct checkpoint *c, const struct description *d)
{
	unsigned n = major(d->st.st_rdev);

	/* consoles, /dev/tty, pseudo terminals */
	if (S_ISCHR(d->st.st_mode) && (n == 4 || n == 5 || (n >= 136 && n <= 143)))
		return description_block(c, d, "run the container without a terminal",
					 "terminal %s", d->link);
	return description_block(c, d, "close it for the checkpoint", "device %s (%u:%u)", d->link,
				 n, minor(d->st.st_rdev));
}

static int file_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	d->file_kind = kind_of(d);
	if (description_is_pipe(d))
		return 0;
	if (d->file_kind == CKPT_FILE_MEMFD)
		return memory_object_register(c, d->fd, d->st.st_size, &d->group, err);
	if (strlen(d->link) > PATH_BYTES_MAX)
		return description_block(c, d, "use a shorter path", "a file with a long path");
	if (d->file_kind == CKPT_FILE_DEVICE && !is_memory_device(d->st.st_mode, d->st.st_rdev))
		return block_device(c, d);
	if (!is_deleted(d))
		return admit_path(c, d, err);
	if (is_secret(d))
		return description_block(c, d, "let the program close it", "secret memory");
	if (!S_ISREG(d->st.st_mode) || d->file_kind == CKPT_FILE_PROC)
		return description_block(c, d, "close it, or leave the directory",
					 "\"%s\", deleted and not a regular file", d->link);
	return 0;
}

/* --- a checkpoint --- */

static int save_ghost(struct checkpoint *c, const struct description *d, struct error **err)
{
	__cleanup_free char *chunk = malloc(GHOST_CHUNK);
	__cleanup_fd int fd = reopen_fd(d->fd, O_RDONLY);
	struct image_file *f;
	char name[32];
	int r;

	if (!chunk || fd < 0)
		return error_errno(err, chunk ? -fd : ENOMEM, "opening the deleted \"%s\"",
				   d->link);
	snprintf(name, sizeof(name), "ghost-%u", d->group);
	r = image_add_file(c->image, name, &f, err);
	while (!r) {
		ssize_t n = read(fd, chunk, GHOST_CHUNK);

		if (n < 0)
			return error_errno(err, errno, "reading the deleted \"%s\"", d->link);
		if (n == 0)
			break;
		r = checkpoint_cancelled(c->request->cancel, err);
		if (!r)
			r = image_file_write(f, chunk, n, err);
	}
	return r;
}

static bool has_ghost(const struct description *d)
{
	return d->kind == &file_kind_file && is_deleted(d) && !description_is_pipe(d) &&
	       d->file_kind != CKPT_FILE_MEMFD;
}

/* The same deleted file may be open, or mapped, more than once. */
int files_dump_ghosts(struct checkpoint *c, struct error **err)
{
	struct description **all = c->files->descriptions.items;
	int r = 0;

	for (size_t i = 0; !r && i < c->files->descriptions.count; i++) {
		if (!has_ghost(all[i]))
			continue;
		for (size_t k = 0; k < i && !all[i]->group; k++)
			if (has_ghost(all[k]) && all[k]->st.st_dev == all[i]->st.st_dev &&
			    all[k]->st.st_ino == all[i]->st.st_ino)
				all[i]->group = all[k]->group;
		if (all[i]->group)
			continue;
		all[i]->group = ++c->files->groups;
		r = save_ghost(c, all[i], err);
	}
	return r;
}

static size_t path_len(const struct description *d)
{
	size_t len = strlen(d->link), cut = sizeof(DELETED) - 1;

	if (description_is_pipe(d))
		return 0;
	if (is_deleted(d) && len > cut && !strcmp(d->link + len - cut, DELETED))
		len -= cut;
	return len;
}

static int file_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	bool seekable = !(d->open_flags & O_PATH) && d->file_kind != CKPT_FILE_FIFO;
	off_t pos = d->number >= 0 && seekable ? lseek(d->fd, 0, SEEK_CUR) : 0;
	struct ckpt_file rec = {
		.id = d->id,
		.kind = d->file_kind,
		.flags = (has_ghost(d) ? CKPT_FILE_DELETED : 0) |
			 (d->number < 0 ? CKPT_FILE_MAPPING : 0),
		.open_flags = d->open_flags,
		.pos = pos < 0 ? 0 : pos,
		.size = d->st.st_size,
		.mtime = d->st.st_mtim.tv_sec * 1000000000ull + d->st.st_mtim.tv_nsec,
		.rdev = d->st.st_rdev,
		.mode = d->st.st_mode,
		.uid = d->st.st_uid,
		.gid = d->st.st_gid,
		.ghost = d->group,
		.path_len = path_len(d),
	};

	if (!record_add2(&c->records, CKPT_FILE, &rec, sizeof(rec), d->link, rec.path_len))
		return error_errno(err, ENOMEM, "recording a file");
	return 0;
}

/* --- a restore --- */

static mode_t kind_mode(const struct ckpt_file *rec)
{
	switch (rec->kind) {
	case CKPT_FILE_REGULAR:
	case CKPT_FILE_PROC:
	case CKPT_FILE_MEMFD:
		return S_IFREG;
	case CKPT_FILE_DIRECTORY:
		return S_IFDIR;
	case CKPT_FILE_DEVICE:
		return S_IFCHR;
	case CKPT_FILE_FIFO:
		return S_IFIFO;
	default:
		return rec->mode & S_IFMT;
	}
}

static int file_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	bool opened = !(rec->flags & CKPT_FILE_MAPPING);
	struct file_group *g;

	if (rec->path_len != o->tail_len || rec->path_len > PATH_BYTES_MAX ||
	    rec->kind > CKPT_FILE_MEMFD || rec->pos > INT64_MAX || rec->owner ||
	    rec->flags & ~(CKPT_FILE_DELETED | CKPT_FILE_MAPPING) ||
	    (rec->mode & S_IFMT) != kind_mode(rec) ||
	    (opened && rec->kind != CKPT_FILE_MEMFD &&
	     !(rec->open_flags & O_PATH) == (rec->kind == CKPT_FILE_PATH)) ||
	    (rec->kind == CKPT_FILE_DEVICE && !is_memory_device(rec->mode, rec->rdev)))
		return error_set(err, EBADMSG, "file %u is malformed", o->id);
	if (rec->path_len ? *o->tail != '/' || memchr(o->tail, 0, o->tail_len)
			  : rec->kind != CKPT_FILE_FIFO)
		return error_set(err, EBADMSG, "file %u has a malformed path", o->id);
	if (!(rec->flags & CKPT_FILE_DELETED))
		return 0;
	if (!rec->ghost || rec->kind != CKPT_FILE_REGULAR)
		return error_set(err, EBADMSG, "file %u is malformed", o->id);
	if (files_group(&r->files->ghosts, rec->ghost))
		return 0;
	g = vec_add(&r->files->ghosts);
	if (!g)
		return error_errno(err, ENOMEM, "loading");
	*g = (struct file_group){.number = rec->ghost, .fd = -1};
	return 0;
}

static int check_opened(const struct ckpt_file *rec, const char *path, int fd, struct error **err)
{
	struct stat st;

	if (fstat(fd, &st))
		return error_errno(err, errno, "looking at \"%s\"", path);
	if ((st.st_mode & S_IFMT) != (rec->mode & S_IFMT) ||
	    (S_ISCHR(st.st_mode) && st.st_rdev != rec->rdev)) {
		error_set(err, EXDEV, "\"%s\" is of another type than at the checkpoint", path);
		return error_hint(err, "the root file system must be as at the checkpoint");
	}
	/* code is mapped where it was: another build would crash. A log may have grown */
	if (rec->flags & CKPT_FILE_MAPPING && S_ISREG(st.st_mode) &&
	    (uint64_t)st.st_size != rec->size) {
		error_set(err, EXDEV, "\"%s\" has %lld bytes, and had %llu at the checkpoint", path,
			  (long long)st.st_size, (unsigned long long)rec->size);
		return error_hint(err, "the root file system must be as at the checkpoint");
	}
	return 0;
}

int file_open_object(struct restore *r, const struct file_object *o, int flags, int *fd,
		     struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	__cleanup_free char *path = strndup(o->tail, o->tail_len);
	__cleanup_fd int handle = -1;
	int ret;

	if (!path)
		return error_errno(err, ENOMEM, "opening a file");
	/* opening what is not what it was may wait forever, or set a device going */
	handle = open_in_root(r->rootfd, path, O_PATH | O_NOFOLLOW, 0);
	if (handle < 0) {
		error_errno(err, -handle, "opening \"%s\" in the container", path);
		return error_hint(err, "the root file system must be as at the checkpoint");
	}
	ret = check_opened(rec, path, handle, err);
	if (ret)
		return ret;
	flags &= OPEN_FLAGS;
	*fd = flags & O_PATH ? take_fd(&handle) : reopen_fd(handle, flags & ~O_NOFOLLOW);
	return *fd < 0 ? error_errno(err, -*fd, "opening \"%s\" in the container", path) : 0;
}

/* Without a name, in the directory where it was: on the same file system. */
static int make_nameless(struct restore *r, const struct file_object *o, int *fd,
			 struct error **err)
{
	__cleanup_free char *dir = strndup(o->tail, o->tail_len);
	__cleanup_fd int dirfd = -1;
	char *slash = dir ? strrchr(dir, '/') : NULL;
	char name[64];

	if (!slash)
		return error_errno(err, ENOMEM, "making a deleted file");
	slash[slash == dir] = '\0';
	dirfd = open_in_root(r->rootfd, dir, O_RDONLY | O_DIRECTORY, 0);
	if (dirfd < 0)
		return error_errno(err, -dirfd, "opening \"%s\" for a deleted file", dir);
	/* O_EXCL: nobody can link it to a name, whatever its mode and owner become */
	*fd = openat(dirfd, ".", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (*fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR)
		return error_errno(err, errno, "making a deleted file in \"%s\"", dir);
	snprintf(name, sizeof(name), ".firn-ghost-%d-%u", getpid(), o->id);
	*fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*fd < 0)
		return error_errno(err, errno, "making a deleted file in \"%s\"", dir);
	unlinkat(dirfd, name, 0);
	return 0;
}

static int copy_ghost(struct restore *r, uint32_t number, int to, struct error **err)
{
	__cleanup_free char *chunk = malloc(GHOST_CHUNK);
	char name[32];
	uint64_t size, at = 0;
	int from, ret;

	if (!chunk)
		return error_errno(err, ENOMEM, "restoring a deleted file");
	snprintf(name, sizeof(name), "ghost-%u", number);
	ret = image_reader_file(r->image, name, &from, &size, err);
	while (!ret && at < size) {
		size_t n = size - at < GHOST_CHUNK ? size - at : GHOST_CHUNK;
		int e = pread_full(from, chunk, n, at);

		if (!e)
			e = write_full(to, chunk, n);
		if (e)
			return error_errno(err, -e, "copying %s", name);
		at += n;
	}
	return ret;
}

static int make_ghost(struct restore *r, const struct file_object *o, struct file_group *g,
		      struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
				    {rec->mtime / 1000000000, rec->mtime % 1000000000}};
	int ret = ids_mapped(r->request->init, rec->uid, rec->gid, err);

	if (!ret)
		ret = make_nameless(r, o, &g->fd, err);
	if (!ret)
		ret = copy_ghost(r, rec->ghost, g->fd, err);
	if (!ret && (fchown(g->fd, rec->uid, rec->gid) || fchmod(g->fd, rec->mode & 07777) ||
		     futimens(g->fd, times)))
		ret = error_errno(err, errno, "setting owner and times of a deleted file");
	return ret;
}

static int open_ghost(struct restore *r, const struct file_object *o, int flags, int *fd,
		      struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	struct file_group *g = files_group(&r->files->ghosts, rec->ghost);
	int ret = 0;

	if (g->fd < 0)
		ret = make_ghost(r, o, g, err);
	if (ret)
		return ret;
	*fd = reopen_fd(g->fd, flags & OPEN_FLAGS & ~(O_NOFOLLOW | O_DIRECTORY));
	return *fd < 0 ? error_errno(err, -*fd, "opening a deleted file") : 0;
}

static int open_memfd(struct restore *r, const struct ckpt_file *rec, int flags, int *fd,
		      struct error **err)
{
	__cleanup_fd int object = -1;
	int ret = memory_object_open(r, rec->ghost, &object, err);

	if (ret)
		return ret;
	*fd = reopen_fd(object, flags & OPEN_FLAGS & ~(O_NOFOLLOW | O_DIRECTORY));
	return *fd < 0 ? error_errno(err, -*fd, "opening memory file %u", rec->ghost) : 0;
}

static int file_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	int ret;

	/* mapped files are opened for each mapping; files of /proc when there are tasks */
	if (rec->flags & CKPT_FILE_MAPPING)
		return 0;
	if (rec->kind == CKPT_FILE_PROC && !r->files->late_opened)
		return 0;
	if (rec->kind == CKPT_FILE_FIFO)
		return pipe_open(r, o, &o->fd, err);
	if (rec->kind == CKPT_FILE_MEMFD)
		ret = open_memfd(r, rec, rec->open_flags, &o->fd, err);
	else if (rec->flags & CKPT_FILE_DELETED)
		ret = open_ghost(r, o, rec->open_flags, &o->fd, err);
	else
		ret = file_open_object(r, o, rec->open_flags, &o->fd, err);
	if (!ret && rec->pos && !(rec->open_flags & O_PATH) &&
	    lseek(o->fd, rec->pos, SEEK_SET) < 0 && errno != ESPIPE)
		ret = error_errno(err, errno, "seeking in a file");
	return ret;
}

int files_open(struct restore *r, uint32_t id, int flags, int *fd, struct error **err)
{
	struct file_object *o = files_object(r, id);
	const struct ckpt_file *rec = o && o->kind == &file_kind_file ? o->rec : NULL;

	if (!rec || !rec->path_len)
		return error_set(err, EBADMSG, "file %u is missing", id);
	if (rec->kind == CKPT_FILE_MEMFD)
		return open_memfd(r, rec, flags, fd, err);
	if (rec->flags & CKPT_FILE_DELETED)
		return open_ghost(r, o, flags, fd, err);
	return file_open_object(r, o, flags, fd, err);
}

const struct file_kind file_kind_file = {
	.type = CKPT_FILE,
	.size = sizeof(struct ckpt_file),
	.matches = matches,
	.admit = file_admit,
	.dump = file_dump,
	.load = file_load,
	.open = file_open,
};
