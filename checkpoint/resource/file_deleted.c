// SPDX-License-Identifier: GPL-2.0-only
/*
 * What has no name any more. A regular file is saved with its contents and made anew
 * without a name; directories, which are empty then, FIFOs, memory devices and symbolic
 * links need one for a moment. A directory above that is gone too is there for as long. A
 * file that only has lost the name by which it was opened is opened by another one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "checkpoint/resource/mounts.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/fault.h"
#include "util/io.h"

#define ENTRIES_MAX 200000
#define DEPTH_MAX   64

/* --- a checkpoint --- */

bool file_is_deleted(const struct description *d)
{
	return d->st.st_nlink == 0;
}

bool file_has_ghost(const struct description *d)
{
	return d->kind == &file_kind_file && file_is_deleted(d) && !description_is_pipe(d) &&
	       d->file_kind != CKPT_FILE_MEMFD && d->file_kind != CKPT_FILE_FIFO;
}

bool file_can_be_made(mode_t mode, dev_t rdev)
{
	return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || file_is_memory_device(mode, rdev);
}

/* What is in ghost-N besides what stat(2) tells. */
static bool has_contents(mode_t mode)
{
	return S_ISREG(mode) || S_ISLNK(mode);
}

/* The same deleted file may be open, or mapped, more than once. */
int files_dump_ghosts(struct checkpoint *c, struct error **err)
{
	struct description **all = c->files->descriptions.items;
	int r = 0;

	for (size_t i = 0; !r && i < c->files->descriptions.count; i++) {
		if (!file_has_ghost(all[i]))
			continue;
		for (size_t k = 0; k < i && !all[i]->group; k++)
			if (file_has_ghost(all[k]) && all[k]->st.st_dev == all[i]->st.st_dev &&
			    all[k]->st.st_ino == all[i]->st.st_ino)
				all[i]->group = all[k]->group;
		if (all[i]->group)
			continue;
		all[i]->group = ++c->files->groups;
		if (has_contents(all[i]->st.st_mode))
			r = ghost_save(c, all[i], err);
	}
	return r;
}

/* --- another name --- */

struct search {
	const struct description *wanted;
	dev_t tree;
	unsigned entries;
	char *found;
};

static void search_directory(struct search *s, int fd, const char *path, unsigned depth);

static void search_entry(struct search *s, int dirfd, const char *dir, const char *name,
			 unsigned depth)
{
	__cleanup_free char *path = NULL;
	struct stat st;
	int fd;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    asprintf(&path, "%s/%s", strcmp(dir, "/") ? dir : "", name) < 0)
		return;
	if (st.st_ino == s->wanted->st.st_ino && st.st_dev == s->wanted->st.st_dev) {
		s->found = take_ptr(path);
	} else if (S_ISDIR(st.st_mode) && st.st_dev == s->tree && depth < DEPTH_MAX) {
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			search_directory(s, fd, path, depth + 1);
	}
}

static void search_directory(struct search *s, int fd, const char *path, unsigned depth)
{
	__cleanup_dir DIR *dir = fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		close(fd);
		return;
	}
	while (!s->found && s->entries < ENTRIES_MAX && (e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		s->entries++;
		search_entry(s, fd, path, e->d_name, depth);
	}
}

/* Where the mount is through which it was opened. */
static char *mount_point(struct checkpoint *c, const struct description *d)
{
	const char *id = d->fdinfo ? fdinfo_find(d->fdinfo, "mnt_id") : NULL;
	mount_vec mounts = {0};
	char pid[16], *point = NULL;

	snprintf(pid, sizeof(pid), "%d", c->init);
	if (!id || mounts_read(pid, &mounts, NULL))
		return NULL;
	vec_for_each (m, &mounts)
		if (m->id == strtoul(id, NULL, 10))
			point = take_ptr(m->point);
	mounts_free(&mounts);
	return point;
}

bool file_find_name(struct checkpoint *c, struct description *d)
{
	__cleanup_free char *mount = S_ISREG(d->st.st_mode) ? mount_point(c, d) : NULL;
	int fd = mount ? open_in_root(c->rootfd, mount, O_RDONLY | O_DIRECTORY, 0) : -1;
	struct search s = {.wanted = d};
	struct stat st;

	if (fd < 0)
		return false;
	if (fstat(fd, &st)) {
		close(fd);
		return false;
	}
	s.tree = st.st_dev;
	search_directory(&s, fd, mount, 0);
	if (!s.found)
		return false;
	free(d->link);
	d->link = s.found;
	return true;
}

/* --- a restore: the directory that something was in --- */

struct chain {
	char *path;
	const char *leaf; /* in path */
	int fds[DEPTH_MAX + 1];
	const char *names[DEPTH_MAX]; /* names[i], made in fds[i], is fds[i + 1] */
	unsigned made;
	struct timespec times[2]; /* of fds[0], which was there before */
};

static void chain_end(struct chain *chain)
{
	for (unsigned i = chain->made; i-- > 0;)
		unlinkat(chain->fds[i], chain->names[i], AT_REMOVEDIR);
	if (chain->fds[0] >= 0)
		futimens(chain->fds[0], chain->times);
	for (unsigned i = 0; i <= chain->made; i++)
		if (chain->fds[i] >= 0)
			close(chain->fds[i]);
	free(chain->path);
}

static void note_times(struct chain *chain)
{
	struct stat st;

	if (fstat(chain->fds[0], &st))
		return;
	chain->times[0] = st.st_atim;
	chain->times[1] = st.st_mtim;
}

/* One step down. No links: the kernel has told the path, and it may have changed since. */
static int chain_step(struct chain *chain, const char *name, struct error **err)
{
	const int how = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	unsigned last = chain->made;
	int fd = last ? -1 : openat(chain->fds[0], name, how);

	if (!strcmp(name, "..") || !strcmp(name, "."))
		return error_set(err, EBADMSG, "a path with \"%s\" in it", name);
	if (fd >= 0) {
		close(chain->fds[0]);
		chain->fds[0] = fd;
		return 0;
	}
	if (last == DEPTH_MAX || (!last && errno != ENOENT))
		return error_errno(err, last ? ELOOP : errno, "opening the directory \"%s\"", name);
	if (!last)
		note_times(chain);
	if (mkdirat(chain->fds[last], name, 0700))
		return error_errno(err, errno, "making the deleted directory \"%s\"", name);
	chain->names[last] = name;
	chain->fds[last + 1] = openat(chain->fds[last], name, how);
	chain->made++;
	return chain->fds[last + 1] < 0
		       ? error_errno(err, errno, "opening the directory \"%s\"", name)
		       : 0;
}

static int chain_begin(struct restore *r, const struct file_object *o, struct chain *chain,
		       struct error **err)
{
	char *rest, *part, *next;
	int ret = 0;

	*chain = (struct chain){.path = strndup(o->tail, o->tail_len),
				.times = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}}};
	chain->fds[0] = open_in_root(r->rootfd, "/", O_RDONLY | O_DIRECTORY, 0);
	if (!chain->path || chain->fds[0] < 0)
		return error_errno(err, chain->path ? -chain->fds[0] : ENOMEM,
				   "opening the container's root");
	rest = chain->path;
	strsep(&rest, "/"); /* nothing is in front of the first one */
	part = strsep(&rest, "/");
	while (!ret && (next = strsep(&rest, "/"))) {
		ret = chain_step(chain, part, err);
		part = next;
	}
	if (!chain->made)
		note_times(chain);
	chain->leaf = part;
	if (!ret && (!part || !*part || !strcmp(part, "..") || !strcmp(part, ".")))
		ret = error_set(err, EBADMSG, "a deleted file without a name");
	return ret;
}

/* --- what was in it --- */

static int make_file(struct chain *chain, const struct file_object *o, int *fd, struct error **err)
{
	int dirfd = chain->fds[chain->made];
	char name[64];

	/* O_EXCL: nobody can link it to a name, whatever its mode and owner become */
	*fd = openat(dirfd, ".", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (*fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR)
		return error_errno(err, errno, "making the deleted file \"%s\"", chain->leaf);
	snprintf(name, sizeof(name), ".firn-ghost-%d-%u", getpid(), o->id);
	*fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*fd < 0)
		return error_errno(err, errno, "making the deleted file \"%s\"", chain->leaf);
	unlinkat(dirfd, name, 0);
	return 0;
}

/* target: of a symbolic link */
static int make_node(int dirfd, const char *name, const struct ckpt_file *rec, const char *target)
{
	switch (rec->mode & S_IFMT) {
	case S_IFDIR:
		return mkdirat(dirfd, name, 0700);
	case S_IFLNK:
		return symlinkat(target, dirfd, name);
	case S_IFCHR:
		return mknodat(dirfd, name, S_IFCHR | 0600, rec->rdev);
	default:
		return mknodat(dirfd, name, S_IFIFO | 0600, 0);
	}
}

/* Before its owner and mode are set. */
static bool is_as_made(const struct ckpt_file *rec, const struct stat *st)
{
	return (st->st_mode & S_IFMT) == (rec->mode & S_IFMT) &&
	       st->st_uid == (uid_t)syscall(SYS_setfsuid, -1) &&
	       (S_ISDIR(st->st_mode) || st->st_nlink == 1) &&
	       (!S_ISCHR(st->st_mode) || st->st_rdev == rec->rdev);
}

/*
 * Its owner and mode are set by the descriptor: whoever may write to the directory can have put
 * something else, or a link to it, in the place of what was made there.
 */
static int open_made(int dirfd, const char *name, const struct ckpt_file *rec, int *fd,
		     struct error **err)
{
	char path[64];
	struct stat st;

	*fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0 || fstat(*fd, &st))
		return error_errno(err, errno, "opening the deleted \"%s\"", name);
	if (!is_as_made(rec, &st))
		return error_set(err, EBUSY, "the deleted \"%s\" was replaced while it was made",
				 name);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
	if (fchownat(*fd, "", rec->uid, rec->gid, AT_EMPTY_PATH) ||
	    (!S_ISLNK(rec->mode) && chmod(path, rec->mode & 07777)))
		return error_errno(err, errno, "setting owner and mode of the deleted \"%s\"",
				   name);
	return 0;
}

/* Under its own name, if that is nobody else's by now. fd is of O_PATH. */
static int make_named(struct chain *chain, const struct file_object *o, const char *target, int *fd,
		      struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	int dirfd = chain->fds[chain->made], flags = S_ISDIR(rec->mode) ? AT_REMOVEDIR : 0;
	const char *name = chain->leaf;
	char other[64];
	int ret = 0;

	snprintf(other, sizeof(other), ".firn-ghost-%d-%u", getpid(), o->id);
	if (make_node(dirfd, name, rec, target)) {
		name = other;
		if (errno != EEXIST || make_node(dirfd, name, rec, target))
			return error_errno(err, errno, "making the deleted \"%s\"", chain->leaf);
	}
	ret = fault_point("deleted-made", err);
	if (!ret)
		ret = open_made(dirfd, name, rec, fd, err);
	if (unlinkat(dirfd, name, flags) && !ret)
		ret = error_errno(err, errno, "removing \"%s\" again", name);
	return ret;
}

static int fill_file(struct restore *r, const struct ckpt_file *rec, int fd, struct error **err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
				    {rec->mtime / 1000000000, rec->mtime % 1000000000}};
	int ret = ghost_fill(r, files_group(&r->files->ghosts, rec->ghost), fd, err);

	if (!ret && (fchown(fd, rec->uid, rec->gid) || fchmod(fd, rec->mode & 07777) ||
		     futimens(fd, times)))
		ret = error_errno(err, errno, "setting owner and times of a deleted file");
	return ret;
}

struct making {
	struct restore *r;
	const struct file_object *o;
	const char *target; /* of a symbolic link */
	int *fd;
};

static int make_there(void *ctx, struct error **err)
{
	struct making *m = ctx;
	const struct ckpt_file *rec = m->o->rec;
	struct chain chain;
	int ret = chain_begin(m->r, m->o, &chain, err);

	if (!ret)
		ret = S_ISREG(rec->mode) ? make_file(&chain, m->o, m->fd, err)
					 : make_named(&chain, m->o, m->target, m->fd, err);
	chain_end(&chain);
	return ret;
}

/* A file system of the user namespace takes nothing from who is nobody there. */
static int make_as_root_inside(void *ctx, struct error **err)
{
	struct making *m = ctx;
	struct id_pair root = {0, 0};
	int ret = ids_outside(m->r->init, &root, err);

	if (!ret)
		ret = take_fs_ids(root.uid, root.gid, err);
	return ret ? ret : make_there(m, err);
}

/*
 * As long as anybody has a file open for writing, the kernel takes it for nobody's program (EACCES
 * of PR_SET_MM_MAP; not in Linux 6.11 and 6.12). The descriptor that it was filled by is one.
 */
static int keep_handle(int *fd, struct error **err)
{
	int handle = reopen_fd(*fd, O_PATH | O_CLOEXEC);

	if (handle < 0)
		return error_errno(err, -handle, "opening a deleted file");
	close(*fd);
	*fd = handle;
	return 0;
}

int file_make_deleted(struct restore *r, const struct file_object *o, int *fd, struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	char target[PATH_MAX] = "";
	struct making m = {r, o, target, fd};
	int ret = ids_mapped(r->init, rec->uid, rec->gid, err);

	*fd = -1;
	if (!ret && S_ISLNK(rec->mode))
		ret = ghost_read_link(r, files_group(&r->files->ghosts, rec->ghost), target, err);
	if (!ret)
		ret = same_namespace(r->init, "user", err);
	if (ret < 0)
		return ret;
	ret = ret ? make_there(&m, err) : in_thread(make_as_root_inside, &m, err);
	if (!ret && S_ISREG(rec->mode))
		ret = fill_file(r, rec, *fd, err);
	if (!ret && S_ISREG(rec->mode))
		ret = keep_handle(fd, err);
	return ret;
}

int ghost_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	struct file_group *g;

	/* no other device: it could be opened, by programs that may not make it */
	if (!rec->ghost || !file_can_be_made(rec->mode, rec->rdev) ||
	    (rec->kind != CKPT_FILE_REGULAR && rec->kind != CKPT_FILE_DIRECTORY &&
	     rec->kind != CKPT_FILE_DEVICE && rec->kind != CKPT_FILE_PATH))
		return error_set(err, EBADMSG, "file %u is malformed", o->id);
	g = files_group(&r->files->ghosts, rec->ghost);
	if (has_contents(rec->mode) && (!g || !g->ghost))
		return error_set(err, EBADMSG, "file %u has no contents", o->id);
	if (S_ISLNK(rec->mode) && !(g->ghost->size && g->ghost->size < PATH_MAX))
		return error_set(err, EBADMSG, "the symbolic link %u is malformed", o->id);
	if (g)
		return 0;
	g = vec_add(&r->files->ghosts);
	if (!g)
		return error_errno(err, ENOMEM, "loading");
	*g = (struct file_group){.number = rec->ghost, .fd = -1};
	return 0;
}

int ghost_open(struct restore *r, const struct file_object *o, int flags, int *fd,
	       struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	struct file_group *g = files_group(&r->files->ghosts, rec->ghost);
	int ret = 0;

	if (g->fd < 0)
		ret = file_make_deleted(r, o, &g->fd, err);
	if (ret)
		return ret;
	*fd = reopen_fd(g->fd, files_open_flags(rec, flags) & ~O_NOFOLLOW);
	return *fd < 0 ? error_errno(err, -*fd, "opening a deleted file") : 0;
}
