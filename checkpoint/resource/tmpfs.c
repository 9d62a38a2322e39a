// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contents of file systems in memory that were mounted for the container. Those that the host
 * has mounted too came in by a bind mount, and are still there at the restore.
 */
#include "checkpoint/resource/tmpfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "checkpoint/image/reader.h"
#include "checkpoint/resource/inotify.h"
#include "checkpoint/resource/locks.h"
#include "checkpoint/resource/mounts.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/resource/unix.h"
#include "checkpoint/user/ns.h"
#include "util/apart.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define TMPFS_MAX 1000

static bool is_own(const mount_vec *ours, const struct mount *m)
{
	if (strcmp(m->type, "tmpfs"))
		return false;
	vec_for_each (o, ours)
		if (o->major == m->major && o->minor == m->minor)
			return false;
	return true;
}

/*
 * The same file system mounted nowhere: nothing covers a part of it, and reading leaves no trace.
 * Whatever others put there meanwhile, no driver is reached by it, and no link leads on. at is
 * where it is mounted, in the caller's mount namespace.
 */
static int open_bare(int at)
{
	const struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOATIME | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSYMFOLLOW,
		.attr_clr = MOUNT_ATTR__ATIME | MOUNT_ATTR_RDONLY,
	};
	__cleanup_fd int fd =
		syscall(SYS_open_tree, at, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (fd < 0 || syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)))
		return -errno;
	return take_fd(&fd);
}

/* 0, with *fd of O_PATH; 1: another mount is there, which hides it, or it is no directory. */
static int open_point(int rootfd, const struct mount *m, int *fd)
{
	struct stat st;

	*fd = open_in_root(rootfd, m->point, O_PATH | O_DIRECTORY, 0);
	if (*fd >= 0 && !fstat(*fd, &st) && st.st_dev == makedev(m->major, m->minor))
		return 0;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return 1;
}

/* --- a checkpoint --- */

struct tmpfs {
	char *point;
	dev_t dev;
	int fd; /* of a mount of our own */
	bool readonly;
	struct {
		mode_t mode;
		uid_t uid;
		gid_t gid;
	} fresh;	/* the root as it was mounted */
	size_t entries; /* but the root */
	size_t files;	/* all but directories and symbolic links */
	bool untouched; /* the root */
};

struct tmpfs_table {
	VEC(struct tmpfs) found;
};

static struct tmpfs *find_known(struct checkpoint *c, dev_t dev)
{
	vec_for_each (fs, &c->tmpfs->found)
		if (fs->dev == dev)
			return fs;
	return NULL;
}

static int block_mount(struct checkpoint *c, const char *point, const char *why)
{
	return checkpoint_block(c, 0, -1, 0, "mount it otherwise by config.json",
				"\"%s\", a file system in memory %s,", point, why);
}

/* Of the file system: it shows all but what is the kernel's default. */
static unsigned long option_number(const char *options, const char *key, int base,
				   unsigned long otherwise)
{
	size_t len = strlen(key);

	for (; options && *options; options += strcspn(options, ",")) {
		options += *options == ',';
		if (!strncmp(options, key, len))
			return strtoul(options + len, NULL, base);
	}
	return otherwise;
}

static int add_mount(struct checkpoint *c, const struct mount *m, int at, struct error **err)
{
	int fd = open_bare(at);
	struct tmpfs *fs;

	if (fd == -EINVAL)
		return block_mount(c, m->point, "that is unbindable");
	if (fd < 0)
		return error_errno(err, -fd, "opening the file system at \"%s\"", m->point);
	fs = vec_add(&c->tmpfs->found);
	if (!fs) {
		close(fd);
		return error_errno(err, ENOMEM, "looking at file systems");
	}
	*fs = (struct tmpfs){
		.point = strdup(m->point),
		.dev = makedev(m->major, m->minor),
		.fd = fd,
		.readonly = !strncmp(m->options, "ro", 2),
		.fresh = {option_number(m->super, "mode=", 8, 01777),
			  option_number(m->super, "uid=", 10, 0),
			  option_number(m->super, "gid=", 10, 0)},
	};
	return fs->point ? 0 : error_errno(err, ENOMEM, "looking at file systems");
}

/* One that is hidden by another mount is out of reach for the container as well. */
static int look_at_mount(struct checkpoint *c, const struct mount *m, bool parts,
			 struct error **err)
{
	__cleanup_fd int at = -1;

	if (find_known(c, makedev(m->major, m->minor)) || !strcmp(m->root, "/") == parts ||
	    open_point(c->rootfd, m, &at))
		return 0;
	return parts ? block_mount(c, m->point, "of which only a part is mounted")
		     : add_mount(c, m, at, err);
}

static const char *why_not(const struct checkpoint *c, const struct tmpfs *fs,
			   const struct tmpfs_entry *e, const char **remedy)
{
	const struct statx *st = &e->st;

	*remedy = "remove it, or keep it in the root file system or a bind mount";
	if (e->unreachable)
		return "whose path is too long";
	if (st->stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND))
		return "which is immutable or append-only";
	if (S_ISREG(st->stx_mode) && st->stx_size > TMPFS_FILE_MAX)
		return "which is longer than 16 TiB";
	if (!S_ISSOCK(st->stx_mode))
		return NULL;
	*remedy = "remove it";
	if (!unix_has_file(c, fs->dev, st->stx_ino))
		return "a socket that nobody inside has bound";
	return st->stx_nlink > 1 ? "a socket with several names" : NULL;
}

static bool has_kept_xattrs(const char *path)
{
	char names[4096];
	ssize_t len = llistxattr(path, names, sizeof(names));

	/* too many for the buffer are some, too */
	if (len < 0)
		return errno != EOPNOTSUPP;
	for (const char *name = names; name < names + len; name += strlen(name) + 1)
		if (tmpfs_xattr_is_kept(name))
			return true;
	return false;
}

static bool is_untouched(const struct tmpfs *fs, const struct tmpfs_entry *root)
{
	const struct statx *st = &root->st;

	return (st->stx_mode & 07777) == fs->fresh.mode && st->stx_uid == fs->fresh.uid &&
	       st->stx_gid == fs->fresh.gid && !has_kept_xattrs(root->name);
}

struct looking {
	struct checkpoint *c;
	struct tmpfs *fs;
};

static int admit_entry(void *ctx, const struct tmpfs_entry *e, struct error **err)
{
	struct looking *l = ctx;
	const char *remedy, *why = why_not(l->c, l->fs, e, &remedy);

	l->fs->files += !S_ISDIR(e->st.stx_mode) && !S_ISLNK(e->st.stx_mode);
	if (strcmp(e->path, "."))
		l->fs->entries++;
	else
		l->fs->untouched = is_untouched(l->fs, e);
	if (!why)
		return 0;
	return checkpoint_block(l->c, 0, -1, 0, remedy, "\"%s/%s\", %s,",
				strcmp(l->fs->point, "/") ? l->fs->point : "", e->path, why);
}

/* Opening it for reading would break it. */
static int admit_leases(struct checkpoint *c, const struct tmpfs *fs)
{
	int r = 0;

	vec_for_each (use, &c->files->locks) {
		const struct description *d = c->files->descriptions.items[use->description - 1];
		struct lock_line line;

		if (!r && d->st.st_dev == fs->dev && !lock_parse(use->text, &line) &&
		    !strcmp(line.kind, "LEASE") && !strcmp(line.access, "WRITE"))
			r = description_block(c, d, "let the program give it up",
					      "the lease for writing of \"%s\", in a file system "
					      "in memory,",
					      d->link);
	}
	return r;
}

static int admit_contents(struct checkpoint *c, struct tmpfs *fs, struct error **err)
{
	struct looking l = {c, fs};
	int r;

	/* before anything is read */
	if (!watches_blind_in(c, fs->dev))
		return checkpoint_block(
			c, 0, -1, 0, "remove the watch",
			"\"%s\", a file system in memory where a watch would notice "
			"that it is read,",
			fs->point);
	r = admit_leases(c, fs);
	if (!r)
		r = tmpfs_walk(fs->fd, admit_entry, &l, c->request->cancel, err);
	return r ? error_wrap(err, "\"%s\"", fs->point) : 0;
}

struct admission {
	struct checkpoint *c;
	mount_vec mounts, ours;
};

static int admit_inside(void *ctx, struct error **err)
{
	struct admission *a = ctx;
	int r = 0;

	for (int parts = 0; parts < 2; parts++)
		vec_for_each (m, &a->mounts)
			if (!r && is_own(&a->ours, m))
				r = look_at_mount(a->c, m, parts, err);
	vec_for_each (fs, &a->c->tmpfs->found)
		if (!r)
			r = admit_contents(a->c, fs, err);
	return r;
}

static int tmpfs_admit(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	struct admission a = {.c = c};
	char pid[16];
	int r;

	if (t)
		return 0;
	/* by what is open the rest is judged */
	if (!files_table(c, err))
		return -error_code(*err);
	c->tmpfs = calloc(1, sizeof(*c->tmpfs));
	if (!c->tmpfs)
		return error_errno(err, ENOMEM, "looking at file systems");
	snprintf(pid, sizeof(pid), "%d", c->init);
	r = mounts_read(pid, &a.mounts, err);
	if (!r)
		r = mounts_read("self", &a.ours, err);
	if (!r)
		r = in_namespaces(c->init, CLONE_NEWNS, admit_inside, &a, err);
	mounts_free(&a.mounts);
	mounts_free(&a.ours);
	return r;
}

/* Not only the one: where it is asked for does not matter, how many archives are saved does. */
static bool is_copied_up(const struct checkpoint *c)
{
	const struct checkpoint_request *q = c->request;

	return !q->config || memmem(q->config, q->config_len, "tmpcopyup", strlen("tmpcopyup"));
}

/*
 * The start makes one like it: an empty one, as long as it copies nothing there; and one that is
 * read-only, for masked paths, and to mount a hierarchy of cgroups on each directory, of which
 * another machine may have others.
 */
static bool is_bare(const struct checkpoint *c, const struct tmpfs *fs)
{
	if (fs->readonly)
		return !fs->files;
	return !fs->entries && fs->untouched && !is_copied_up(c);
}

static int dump_inside(void *ctx, struct error **err)
{
	struct checkpoint *c = ctx;
	struct ckpt_tmpfs rec = {0};
	int r = 0;

	vec_for_each (fs, &c->tmpfs->found) {
		if (r || is_bare(c, fs))
			continue;
		if (rec.tmpfs == TMPFS_MAX)
			return error_set(err, E2BIG, "more than %d file systems in memory",
					 TMPFS_MAX);
		rec.tmpfs++;
		rec.path_len = strlen(fs->point);
		r = tmpfs_save(c, rec.tmpfs, fs->fd, err);
		if (r)
			error_wrap(err, "saving what is in \"%s\"", fs->point);
		else if (!record_add2(&c->records, CKPT_TMPFS, &rec, sizeof(rec), fs->point,
				      rec.path_len))
			r = error_errno(err, ENOMEM, "recording \"%s\"", fs->point);
	}
	return r;
}

static int tmpfs_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	if (t || !c->tmpfs->found.count)
		return 0;
	return in_namespaces(c->init, CLONE_NEWNS, dump_inside, c, err);
}

/* --- a restore --- */

static int tmpfs_load(struct restore *r, struct restore_task *t, const struct record *rec,
		      struct error **err)
{
	const struct ckpt_tmpfs *head = record_head(rec, sizeof(*head), err);
	const struct manifest_file *f;
	const char *point;
	char name[32];

	if (!head)
		return -EBADMSG;
	point = (const char *)(head + 1);
	if (t || head->tmpfs != r->tmpfs_count + 1 || head->tmpfs > TMPFS_MAX ||
	    head->path_len != rec->len - sizeof(*head) || !head->path_len ||
	    head->path_len >= TMPFS_PATH_SIZE || *point != '/' || memchr(point, 0, head->path_len))
		return error_set(err, EBADMSG, "file system %u is malformed", head->tmpfs);
	snprintf(name, sizeof(name), TMPFS_NAME, head->tmpfs);
	f = manifest_find(image_reader_manifest(r->image), name);
	if (!f || f->data_len)
		return error_set(err, EBADMSG, "file system %u has no \"%s\" of its own",
				 head->tmpfs, name);
	r->tmpfs_count++;
	return 0;
}

struct filling_all {
	struct restore *r;
	pid_t runtime;
	mount_vec mounts, ours;
	dev_t filled[TMPFS_MAX];
};

static bool is_filled(const struct filling_all *a, uint32_t count, dev_t dev)
{
	for (uint32_t i = 0; i < count; i++)
		if (a->filled[i] == dev)
			return true;
	return false;
}

/* What is mounted there must be the container's own: all others would lose their files. */
static int open_own(const struct filling_all *a, const char *point, int *fd, dev_t *dev,
		    struct error **err)
{
	vec_for_each (m, &a->mounts) {
		if (!strcmp(m->point, point) && !strcmp(m->root, "/") && is_own(&a->ours, m) &&
		    !open_point(a->r->rootfd, m, fd)) {
			*dev = makedev(m->major, m->minor);
			return 0;
		}
	}
	error_set(err, EXDEV, "no file system in memory of its own is mounted there");
	return error_hint(err, "config.json must mount what it did at the checkpoint");
}

static int fill_one(struct filling_all *a, const struct record *rec, struct error **err)
{
	const struct ckpt_tmpfs *head = rec->data;
	__cleanup_free char *point = strndup((const char *)(head + 1), head->path_len);
	__cleanup_fd int at = -1, fd = -1;
	int ret = point ? open_own(a, point, &at, &a->filled[head->tmpfs - 1], err)
			: error_errno(err, ENOMEM, "looking for the file system");

	if (!ret && is_filled(a, head->tmpfs - 1, a->filled[head->tmpfs - 1]))
		ret = error_set(err, EBADMSG, "it is in the image twice");
	if (!ret) {
		fd = open_bare(at);
		ret = fd < 0 ? error_errno(err, -fd, "opening the file system")
			     : tmpfs_fill(a->r, head->tmpfs, fd, err);
	}
	return ret ? error_wrap(err, "restoring what was in \"%s\"", point ? point : "") : 0;
}

static int fill_each(struct filling_all *a, struct error **err)
{
	const struct restore *r = a->r;
	struct record rec;
	size_t pos = 0;
	int ret = 0;

	while (!ret && record_next(r->records, r->records_len, &pos, &rec) == 1)
		if (rec.type == CKPT_TMPFS)
			ret = fill_one(a, &rec, err);
	return ret;
}

/* From here on /proc is the container's, if anything. */
static int enter_mounts(pid_t init, struct error **err)
{
	__cleanup_fd int pidfd = syscall(SYS_pidfd_open, init, 0);

	if (pidfd < 0 || setns(pidfd, CLONE_NEWNS))
		return error_errno(err, errno, "entering the container's mount namespace");
	return 0;
}

/* In a process of its own, which the container's memory is charged to, not the caller's. */
static int fill_inside(void *ctx, struct buf *result, struct error **err)
{
	struct filling_all *a = ctx;
	const struct restore_request *q = a->r->request;
	char pid[16];
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != a->runtime)
		return error_set(err, ECHILD, "the runtime was killed");
	snprintf(pid, sizeof(pid), "%d", q->init);
	ret = q->ops->enter ? q->ops->enter(q->ctx, err) : 0;
	if (!ret)
		ret = mounts_read(pid, &a->mounts, err);
	if (!ret)
		ret = mounts_read("self", &a->ours, err);
	if (!ret)
		ret = enter_mounts(q->init, err);
	return ret ? ret : fill_each(a, err);
}

static int tmpfs_restore(struct restore *r, struct restore_task *t, struct error **err)
{
	__cleanup_buf struct buf nothing = {0};
	__cleanup_free struct filling_all *a = NULL;
	int ret;

	if (!r->tmpfs_count)
		return 0;
	a = calloc(1, sizeof(*a));
	if (!a)
		return error_errno(err, ENOMEM, "restoring file systems in memory");
	a->r = r;
	a->runtime = getpid();
	ret = apart_run_until(fill_inside, a, &nothing, r->request->cancel, err);
	if (ret == -ECHILD)
		error_hint(err, "if not by somebody: the container's limit of memory may be too "
				"low for what was in its file systems in memory");
	return ret;
}

static void tmpfs_release(struct checkpoint *c, struct restore *r)
{
	if (!c || !c->tmpfs)
		return;
	vec_for_each (fs, &c->tmpfs->found) {
		close(fs->fd);
		free(fs->point);
	}
	vec_free(&c->tmpfs->found);
	free(c->tmpfs);
	c->tmpfs = NULL;
}

static const enum ckpt_type tmpfs_types[] = {CKPT_TMPFS, 0};

static const char *const tmpfs_not_captured[] = {
	"of files in a tmpfs the times of creation and of the last change of attributes, the order "
	"in directories, flags of inodes such as nodump, and room that fallocate has reserved in a "
	"file that has holes besides",
	"the times of the root of a tmpfs that is empty otherwise",
	"what is in a ramfs or hugetlbfs that config.json mounts",
	"labels of security modules on files in a tmpfs: the mount has its own",
	NULL,
};

const struct resource_class resource_tmpfs = {
	.name = "tmpfs",
	.version = 1,
	.types = tmpfs_types,
	.admit = tmpfs_admit,
	.dump = tmpfs_dump,
	.load = tmpfs_load,
	.restore = {[STAGE_CONTENTS] = tmpfs_restore},
	.release = tmpfs_release,
	.not_captured = tmpfs_not_captured,
};
