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

#define MEM_MAJOR      1
#define DELETED	       " (deleted)"
#define PATH_BYTES_MAX 4096

bool file_is_memory_device(mode_t mode, dev_t rdev)
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

bool file_is_secret(int fd)
{
	struct statfs fs;

	return fd >= 0 && !fstatfs(fd, &fs) && fs.f_type == SECRETMEM_MAGIC;
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

/*
 * Which of a proc's sysctls one finds, and so the inode, depends on the namespaces of who looks
 * (fs/proc/proc_sysctl.c, proc_sys_compare()). The restore has them opened by the init.
 */
static bool is_sysctl(const struct description *d)
{
	return d->file_kind == CKPT_FILE_PROC && !strncmp(d->link, "/proc/sys/", 10);
}

static bool is_same(const struct description *d, const struct stat *st)
{
	return st->st_dev == d->st.st_dev && st->st_mode == d->st.st_mode &&
	       (st->st_ino == d->st.st_ino || is_sysctl(d));
}

static int admit_path(struct checkpoint *c, struct description *d, struct error **err)
{
	__cleanup_fd int fd = open_in_root(c->rootfd, d->link, O_PATH | O_NOFOLLOW, 0);
	const struct own_root own = {c->rootfd, c->init, c->tasks.items[0].rec.pid};
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && is_same(d, &st)) {
		if (!file_proc_is_foreign(&own, d->link, fd))
			return 0;
		return description_block(c, d, "close it for the checkpoint",
					 "\"%s\", of a proc of another pid namespace", d->link);
	}
	if (file_is_gone(c, d))
		return file_gone_admit(c, d, err);
	if (fd == -ENOENT && file_find_name(c, d))
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
	if (file_is_secret(d->fd))
		return description_block(c, d, "let the program close it",
					 "secret memory (memfd_secret)");
	if (!strcmp(d->link, LONG_NAME) || strlen(d->link) > PATH_BYTES_MAX)
		return description_block(c, d, "use a shorter path",
					 "a file with a path of more than %d bytes",
					 PATH_BYTES_MAX);
	if (d->file_kind == CKPT_FILE_DEVICE &&
	    !file_is_memory_device(d->st.st_mode, d->st.st_rdev))
		return block_device(c, d);
	if (!file_is_deleted(d))
		return admit_path(c, d, err);
	if (!(d->file_kind == CKPT_FILE_FIFO || file_can_be_made(d->st.st_mode, d->st.st_rdev)) ||
	    d->file_kind == CKPT_FILE_PROC)
		return description_block(c, d, "close it", "\"%s\", deleted", d->link);
	return 0;
}

/* --- a checkpoint --- */

static bool is_nameless(const struct description *d)
{
	return file_has_ghost(d) ||
	       (d->file_kind == CKPT_FILE_FIFO && file_is_deleted(d) && !description_is_pipe(d));
}

size_t file_bare_len(const char *link)
{
	size_t len = strlen(link), cut = sizeof(DELETED) - 1;

	return len > cut && !strcmp(link + len - cut, DELETED) ? len - cut : len;
}

static size_t path_len(const struct description *d)
{
	if (description_is_pipe(d))
		return 0;
	return file_is_deleted(d) || d->gone ? file_bare_len(d->link) : strlen(d->link);
}

static int file_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	bool seekable = !(d->open_flags & O_PATH) && d->file_kind != CKPT_FILE_FIFO;
	off_t pos = d->number >= 0 && seekable ? lseek(d->fd, 0, SEEK_CUR) : 0;
	struct ckpt_file rec = {
		.id = d->id,
		.kind = d->file_kind,
		.flags = (is_nameless(d) ? CKPT_FILE_DELETED : 0) |
			 (d->number < 0 ? CKPT_FILE_MAPPING : 0) | (d->gone ? CKPT_FILE_GONE : 0) |
			 (fifo_is_alone(c, d) ? CKPT_FILE_ALONE : 0),
		.open_flags = d->open_flags,
		.pos = pos < 0 ? 0 : pos,
		.size = d->st.st_size,
		.mtime = d->st.st_mtim.tv_sec * 1000000000ull + d->st.st_mtim.tv_nsec,
		.rdev = d->st.st_rdev,
		.mode = d->st.st_mode,
		.uid = d->st.st_uid,
		.gid = d->st.st_gid,
		.ghost = d->gone ? d->gone : d->group,
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

	if (rec->path_len != o->tail_len || rec->path_len > PATH_BYTES_MAX ||
	    rec->kind > CKPT_FILE_MEMFD || rec->pos > INT64_MAX || rec->owner ||
	    rec->flags &
		    ~(CKPT_FILE_DELETED | CKPT_FILE_MAPPING | CKPT_FILE_ALONE | CKPT_FILE_GONE) ||
	    (rec->flags & CKPT_FILE_ALONE &&
	     (rec->kind != CKPT_FILE_FIFO || rec->flags & CKPT_FILE_DELETED)) ||
	    (rec->mode & S_IFMT) != kind_mode(rec) ||
	    (opened && rec->kind != CKPT_FILE_MEMFD &&
	     !(rec->open_flags & O_PATH) == (rec->kind == CKPT_FILE_PATH)) ||
	    (rec->kind == CKPT_FILE_DEVICE && !file_is_memory_device(rec->mode, rec->rdev)))
		return error_set(err, EBADMSG, "file %u is malformed", o->id);
	if (rec->path_len ? *o->tail != '/' || memchr(o->tail, 0, o->tail_len)
			  : rec->kind != CKPT_FILE_FIFO)
		return error_set(err, EBADMSG, "file %u has a malformed path", o->id);
	if (rec->flags & CKPT_FILE_GONE)
		return file_gone_load(r, o, err);
	if (!(rec->flags & CKPT_FILE_DELETED))
		return 0;
	return rec->kind == CKPT_FILE_FIFO ? 0 : ghost_load(r, o, err);
}

/* Whatever kind the record says that it is. */
static int check_proc(const struct restore *r, const char *path, int fd, struct error **err)
{
	const struct own_root own = {r->rootfd, r->init, r->tasks.items[0].rec->pid};

	if (!file_proc_is_foreign(&own, path, fd))
		return 0;
	return error_set(err, EXDEV, "\"%s\" is of a proc of another pid namespace", path);
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

/* What O_TMPFILE has made has the flag, which says O_DIRECTORY as well. */
int files_open_flags(const struct ckpt_file *rec, int flags)
{
	return flags & FILE_OPEN_FLAGS & (S_ISDIR(rec->mode) ? ~0 : ~O_DIRECTORY);
}

/* Whatever it is, and by whomever it was opened. */
static int check_found(const struct restore *r, const struct ckpt_file *rec, const char *path,
		       int fd, struct error **err)
{
	int ret = check_opened(rec, path, fd, err);

	return ret ? ret : check_proc(r, path, fd, err);
}

static int open_found(struct restore *r, const struct ckpt_file *rec, const char *path, int handle,
		      int flags, int *fd, struct error **err)
{
	__cleanup_fd int opened = -1;
	int ret = file_wants_inside(r, handle, err);

	if (ret < 0)
		return ret;
	if (!ret) {
		*fd = reopen_fd(handle, flags & ~O_NOFOLLOW);
		return *fd < 0 ? error_errno(err, -*fd, "opening \"%s\" in the container", path)
			       : 0;
	}
	ret = file_open_inside(r, path, flags, &opened, err);
	if (!ret)
		ret = check_found(r, rec, path, opened, err);
	if (!ret)
		*fd = take_fd(&opened);
	return ret;
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
	ret = check_found(r, rec, path, handle, err);
	if (ret)
		return ret;
	flags = files_open_flags(rec, flags);
	if (!(flags & O_PATH))
		return open_found(r, rec, path, handle, flags, fd, err);
	*fd = take_fd(&handle);
	return 0;
}

/*
 * Opened by a path for writing it could not be executed any more (ETXTBSY), which the
 * descriptor of memfd_create(2) does not prevent: that is whose the first one for reading
 * and writing is, and what is mapped.
 */
static int open_memfd(struct restore *r, const struct ckpt_file *rec, int flags, int *fd,
		      struct error **err)
{
	__cleanup_fd int object = -1;
	int ret = memory_object_open(r, rec->ghost, &object, err);

	if (ret)
		return ret;
	if ((flags & O_ACCMODE) == O_RDWR) {
		bool mapping = rec->flags & CKPT_FILE_MAPPING;

		if (mapping || memory_object_claim(r, rec->ghost)) {
			*fd = take_fd(&object);
			return mapping ? 0 : files_set_flags(*fd, flags, err);
		}
	}
	*fd = reopen_fd(object, flags & FILE_OPEN_FLAGS & ~(O_NOFOLLOW | O_DIRECTORY));
	return *fd < 0 ? error_errno(err, -*fd, "opening memory file %u", rec->ghost) : 0;
}

int file_open_now(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	int ret;

	if (rec->kind == CKPT_FILE_FIFO)
		return pipe_open(r, o, &o->fd, err);
	if (rec->kind == CKPT_FILE_MEMFD)
		ret = open_memfd(r, rec, rec->open_flags, &o->fd, err);
	else if (rec->flags & CKPT_FILE_DELETED)
		ret = ghost_open(r, o, rec->open_flags, &o->fd, err);
	else
		ret = file_open_object(r, o, rec->open_flags, &o->fd, err);
	if (!ret && rec->pos && !(rec->open_flags & O_PATH) &&
	    lseek(o->fd, rec->pos, SEEK_SET) < 0 && errno != ESPIPE)
		ret = error_errno(err, errno, "seeking in a file");
	return ret;
}

static int file_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_file *rec = o->rec;

	/* mapped files are opened for each mapping; files of /proc when there are tasks */
	if (rec->flags & CKPT_FILE_MAPPING)
		return 0;
	if (rec->flags & CKPT_FILE_GONE)
		return file_gone_open(r, o, err);
	if (rec->kind == CKPT_FILE_PROC && !r->files->late_opened)
		return 0;
	return file_open_now(r, o, err);
}

int files_open(struct restore *r, uint32_t id, int flags, int *fd, struct error **err)
{
	struct file_object *o = files_object(r, id);
	const struct ckpt_file *rec = o && o->kind == &file_kind_file ? o->rec : NULL;

	if (!rec || !rec->path_len)
		return error_set(err, EBADMSG, "file %u is missing", id);
	/* of any type, devices too, or waited for: only a descriptor can be so */
	if (rec->kind == CKPT_FILE_PATH || rec->kind == CKPT_FILE_FIFO)
		return error_set(err, EBADMSG, "file %u is nothing to map or execute", id);
	if (rec->kind == CKPT_FILE_MEMFD)
		return open_memfd(r, rec, flags, fd, err);
	if (rec->flags & CKPT_FILE_DELETED)
		return ghost_open(r, o, flags, fd, err);
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
