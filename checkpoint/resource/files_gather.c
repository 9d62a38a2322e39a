// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which descriptions the container's tasks have open. Every descriptor is
 * fetched once; a description seen before is recognised by kcmp(2), whose order
 * makes ten thousand of them a matter of n log n.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "checkpoint/resource/locks.h"
#include "checkpoint/user/proc.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/* many add to these */
/* clang-format off */
static const struct file_kind *const kinds[] = {
	&file_kind_inotify,
	&file_kind_fanotify,
	&file_kind_mqueue,
	&file_kind_eventfd, &file_kind_epoll, &file_kind_timerfd, &file_kind_signalfd,
	&file_kind_unix,    &file_kind_inet,  &file_kind_tty,	  &file_kind_pidfd,
	&file_kind_netlink,
	&file_kind_packet,
	&file_kind_namespace,
	&file_kind_file,
};

/* clang-format on */

struct file_table *files_table(struct checkpoint *c, struct error **err)
{
	if (!c->files)
		c->files = calloc(1, sizeof(*c->files));
	if (!c->files)
		error_errno(err, ENOMEM, "looking at open files");
	return c->files;
}

void description_free(struct description *d)
{
	if (!d)
		return;
	if (d->fd >= 0)
		close(d->fd);
	if (d->state_free)
		d->state_free(d->state);
	free(d->link);
	free(d->fdinfo);
	free(d);
}

int files_add(struct file_table *table, struct description *d, struct error **err)
{
	struct description **slot = vec_add(&table->descriptions);

	if (!slot) {
		description_free(d);
		return error_errno(err, ENOMEM, "looking at open files");
	}
	*slot = d;
	d->id = table->descriptions.count;
	return 0;
}

int description_block(struct checkpoint *c, const struct description *d, const char *remedy,
		      const char *object_fmt, ...)
{
	__cleanup_free char *object = NULL;
	va_list args;
	int n;

	va_start(args, object_fmt);
	n = vasprintf(&object, object_fmt, args);
	va_end(args);
	if (n < 0) {
		object = NULL;
		return -ENOMEM;
	}
	return checkpoint_block(c, d->task->rec.pid, d->number, d->address, remedy, "%s%s",
				d->in_flight ? "in flight in a unix socket's queue: " : "", object);
}

const char *fdinfo_find(const char *fdinfo, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = fdinfo; line && *line;) {
		if (!strncmp(line, key, len) && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " \t");
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return NULL;
}

#define COMPARE(a, b)                                                                              \
	do {                                                                                       \
		if ((a) != (b))                                                                    \
			return (a) < (b) ? -1 : 1;                                                 \
	} while (0)

static int compare_inodes(const void *pa, const void *pb)
{
	const struct description *a = pa, *b = pb;

	COMPARE(a->st.st_dev, b->st.st_dev);
	COMPARE(a->st.st_ino, b->st.st_ino);
	return strcmp(a->link, b->link);
}

static int compare_identities(const void *pa, const void *pb)
{
	const struct description *a = pa, *b = pb;
	pid_t self = getpid();
	long order;

	COMPARE(a->st.st_dev, b->st.st_dev);
	COMPARE(a->st.st_ino, b->st.st_ino);
	COMPARE(a->open_flags, b->open_flags);
	order = syscall(SYS_kcmp, self, self, KCMP_FILE, a->fd, b->fd);
	if (order == 0)
		return 0;
	/* an error or "not ordered" must not make one of two: any order will do */
	return order == 1 ? -1 : order == 2 ? 1 : a < b ? -1 : 1;
}

/* Descriptors 0 to 2 that the runtime was given for the container. */
static int find_stdio(const struct checkpoint *c, const struct stat *st, int number)
{
	const struct checkpoint_stdio *s = c->request->stdio;

	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < 3; i++)
			if ((pass || i == number) && s[i].ino && s[i].dev == st->st_dev &&
			    s[i].ino == st->st_ino)
				return i;
	return -1;
}

/*
 * By O_PATH anything can be open, through /proc/PID/fd; but only what has a path, or is a
 * namespace, is found again, and nothing can be asked of the others.
 */
static bool is_bare_handle(const struct description *d)
{
	return d->open_flags & O_PATH && *d->link != '/' && !file_kind_namespace.matches(d);
}

static const struct file_kind *kind_of(const struct description *d)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds) && !is_bare_handle(d); i++)
		if (kinds[i]->matches(d))
			return kinds[i];
	return NULL;
}

char *files_name(int fd)
{
	char path[64], *name;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	name = read_link(AT_FDCWD, path);
	return name || errno != ENAMETOOLONG ? name : strdup(LONG_NAME);
}

static int fill_in(struct description *d, int fd, struct error **err)
{
	d->open_flags = fcntl(fd, F_GETFL);
	if (d->open_flags < 0 || fstat(fd, &d->st))
		return error_errno(err, errno, "looking at descriptor %d of process %u", d->number,
				   d->task->rec.pid);
	d->link = files_name(fd);
	if (!d->link)
		return error_errno(err, errno, "naming descriptor %d of process %u", d->number,
				   d->task->rec.pid);
	return 0;
}

/* Gives the id of the description behind fd (which it takes), new or known. */
static int identify(struct checkpoint *c, const struct dump_task *t, int number, int fd,
		    char *fdinfo, uint32_t *id, struct error **err)
{
	struct description *d = calloc(1, sizeof(*d)), **found;
	int r;

	if (!d) {
		close(fd);
		return error_errno(err, ENOMEM, "looking at open files");
	}
	*d = (struct description){.fd = fd, .task = t, .number = number, .stdio = -1};
	r = fill_in(d, fd, err);
	found = r ? NULL : tsearch(d, &c->files->by_identity, compare_identities);
	if (!found) {
		description_free(d);
		return r ? r : error_errno(err, ENOMEM, "looking at open files");
	}
	if (*found != d) {
		description_free(d);
		d = *found;
	} else {
		d->fdinfo = strdup(fdinfo);
		if (!d->fdinfo) {
			tdelete(d, &c->files->by_identity, compare_identities);
			description_free(d);
			return error_errno(err, ENOMEM, "looking at open files");
		}
		d->kind = kind_of(d);
		r = files_add(c->files, d, err);
		if (r)
			return r;
	}
	/* a stream of the init's under its own number is from outside whatever it is */
	if (number >= 0 && number < 3 && find_stdio(c, &d->st, number) == number)
		d->stdio = number;
	*id = d->id;
	return 0;
}

/* Where the descriptors of the process with this pid begin in c->files->uses. */
static size_t find_uses(const struct checkpoint *c, uint32_t pid)
{
	vec_for_each (t, &c->tasks)
		if (t->rec.pid == pid)
			return t->first_use;
	return c->files->uses.count;
}

/*
 * Most descriptors are inherited, and have the number that they have in the parent: one kcmp
 * tells, and nothing need be fetched. *at walks along the parent's, by number as t's. 0: it is not
 * known.
 */
static uint32_t find_inherited(const struct checkpoint *c, const struct dump_task *t, int number,
			       size_t *at)
{
	const struct fd_use *uses = c->files->uses.items;
	size_t i = *at;

	while (i < c->files->uses.count && uses[i].task->rec.pid == t->rec.ppid &&
	       uses[i].fd < (uint32_t)number)
		i++;
	*at = i;
	if (i == c->files->uses.count || uses[i].task->rec.pid != t->rec.ppid ||
	    uses[i].fd != (uint32_t)number ||
	    syscall(SYS_kcmp, uses[i].task->speaker, t->speaker, KCMP_FILE, number, number))
		return 0;
	return uses[i].description;
}

static int fetch(struct checkpoint *c, const struct dump_task *t, int number, char *fdinfo,
		 uint32_t *id, struct error **err)
{
	int fd = syscall(SYS_pidfd_getfd, t->pidfd, number, 0);

	if (fd < 0)
		return error_errno(err, errno, "fetching descriptor %d of process %u", number,
				   t->rec.pid);
	return identify(c, t, number, fd, fdinfo, id, err);
}

static int gather_fd(struct checkpoint *c, const struct dump_task *t, int number, size_t *parents,
		     struct error **err)
{
	__cleanup_free char *fdinfo = NULL;
	struct fd_use use = {.task = t, .fd = number}, *slot;
	const char *flags;
	int r = proc_read(&fdinfo, NULL, "%d/fdinfo/%d", t->speaker, number);

	if (r)
		return error_errno(err, -r, "reading about descriptor %d of process %u", number,
				   t->rec.pid);
	flags = fdinfo_find(fdinfo, "flags");
	if (flags && strtoul(flags, NULL, 8) & O_CLOEXEC)
		use.flags = CKPT_FD_CLOEXEC;
	use.description = find_inherited(c, t, number, parents);
	if (!use.description)
		r = fetch(c, t, number, fdinfo, &use.description, err);
	if (!r && number >= (int)FILES_MAX)
		r = checkpoint_block(c, t->rec.pid, number, 0, "use a lower number",
				     "a descriptor number above %u", FILES_MAX - 1);
	if (!r)
		r = locks_note(c, t, number, use.description, fdinfo, err);
	if (r)
		return r;
	slot = vec_add(&c->files->uses);
	if (!slot)
		return error_errno(err, ENOMEM, "looking at open files");
	*slot = use;
	return 0;
}

static int compare_numbers(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int gather_fds(struct checkpoint *c, const struct dump_task *t, struct error **err)
{
	VEC(int) numbers = {0};
	__cleanup_dir DIR *dir = NULL;
	size_t parents = find_uses(c, t->rec.ppid);
	char path[64];
	int r = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", t->speaker);
	dir = opendir(path);
	if (!dir)
		return error_errno(err, errno, "listing the descriptors of process %u", t->rec.pid);
	for (struct dirent *e; (e = readdir(dir));) {
		int *slot;

		if (*e->d_name == '.')
			continue;
		slot = vec_add(&numbers);
		if (!slot) {
			vec_free(&numbers);
			return error_errno(err, ENOMEM, "looking at open files");
		}
		*slot = atoi(e->d_name);
	}
	if (numbers.count)
		qsort(numbers.items, numbers.count, sizeof(int), compare_numbers);
	for (size_t i = 0; !r && i < numbers.count; i++)
		r = gather_fd(c, t, numbers.items[i], &parents, err);
	vec_free(&numbers);
	return r;
}

static int register_link(struct checkpoint *c, struct dump_task *t, const char *what, uint32_t *id,
			 struct error **err)
{
	__cleanup_fd int fd = open_fmt(O_PATH, "/proc/%d/%s", t->speaker, what);

	if (fd < 0)
		return error_errno(err, -fd, "opening the %s of process %u", what, t->rec.pid);
	return files_register(c, t, 0, fd, id, err);
}

static int gather_fs(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	struct fs_use *use = vec_add(&c->files->fs);
	struct stat root, mine;
	char path[64];
	int r;

	if (!use)
		return error_errno(err, ENOMEM, "looking at working directories");
	use->task = t;
	use->rec.umask = t->threads.items[0].status.umask;
	snprintf(path, sizeof(path), "/proc/%d/root", t->speaker);
	if (fstat(c->rootfd, &root) || stat(path, &mine))
		return error_errno(err, errno, "looking at the root of process %u", t->rec.pid);
	r = register_link(c, t, "cwd", &use->rec.cwd, err);
	if (!r && (root.st_dev != mine.st_dev || root.st_ino != mine.st_ino))
		r = register_link(c, t, "root", &use->rec.root, err);
	return r;
}

/* What the container was given by its caller is given anew at a restore. */
static void find_external(struct checkpoint *c, struct description *d)
{
	__cleanup_fd int inside = -1;
	struct stat st;

	if (d->stdio >= 0) {
		d->kind = &file_kind_external;
		return;
	}
	/* what is given anew can be read or written */
	if (d->open_flags & O_PATH)
		return;
	if (find_stdio(c, &d->st, -1) < 0 || (!S_ISCHR(d->st.st_mode) && !S_ISFIFO(d->st.st_mode) &&
					      !S_ISSOCK(d->st.st_mode) && !S_ISREG(d->st.st_mode)))
		return;
	if (*d->link == '/')
		inside = open_in_root(c->rootfd, d->link, O_PATH, 0);
	/* the same device may be the container's own file too: then by path */
	if (inside >= 0 && !fstat(inside, &st) && st.st_dev == d->st.st_dev &&
	    st.st_ino == d->st.st_ino)
		return;
	d->stdio = find_stdio(c, &d->st, -1);
	d->kind = &file_kind_external;
}

int files_gather(struct checkpoint *c, struct error **err)
{
	int r = 0;

	if (!files_table(c, err))
		return -ENOMEM;
	if (c->files->gathered)
		return 0;
	c->files->gathered = true;
	vec_for_each (t, &c->tasks) {
		if (r || t->rec.state == CKPT_TASK_ZOMBIE)
			continue;
		t->first_use = c->files->uses.count;
		if (!t->files_of)
			r = gather_fds(c, t, err);
		if (!r && !t->fs_of)
			r = gather_fs(c, t, err);
	}
	for (size_t i = 0; !r && i < c->files->descriptions.count; i++)
		if (c->files->descriptions.items[i]->number >= 0)
			find_external(c, c->files->descriptions.items[i]);
	return r;
}

int files_in_flight(struct checkpoint *c, const struct description *carrier, int fd, uint32_t *id,
		    struct error **err)
{
	size_t known = c->files->descriptions.count;
	__cleanup_free char *fdinfo = NULL;
	struct description *d;
	int r = proc_read(&fdinfo, NULL, "self/fdinfo/%d", fd);

	if (r) {
		close(fd);
		return error_errno(err, -r, "reading about a descriptor in flight");
	}
	r = identify(c, carrier->task, -1, fd, fdinfo, id, err);
	if (r || c->files->descriptions.count == known)
		return r;
	d = c->files->descriptions.items[*id - 1];
	d->number = carrier->number;
	d->in_flight = true;
	find_external(c, d);
	if (!fdinfo_find(fdinfo, "lock"))
		return 0;
	return description_block(c, d, "release the lock for the checkpoint", "file lock or lease");
}

/* --- what is only mapped, executed or a directory --- */

int files_register(struct checkpoint *c, struct dump_task *t, uint64_t address, int fd,
		   uint32_t *id, struct error **err)
{
	__cleanup_free char *name = files_name(fd);
	struct description key = {.link = name}, *d, **found;

	if (!name || fstat(fd, &key.st))
		return error_errno(err, errno, "looking at a file of process %u", t->rec.pid);
	if (!files_table(c, err))
		return -ENOMEM;
	found = tfind(&key, &c->files->by_inode, compare_inodes);
	if (found) {
		*id = (*found)->id;
		return 0;
	}
	d = calloc(1, sizeof(*d));
	if (!d)
		return error_errno(err, ENOMEM, "looking at \"%s\"", name);
	*d = (struct description){
		.fd = -1, .task = t, .number = -1, .address = address, .stdio = -1};
	d->kind = &file_kind_file;
	d->st = key.st;
	d->link = take_ptr(name);
	/* contents of what has no name any more are read through this */
	d->fd = key.st.st_nlink && !file_is_secret(fd) ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	d->open_flags = O_RDONLY;
	if (files_add(c->files, d, err))
		return -ENOMEM;
	*id = d->id;
	if (!tsearch(d, &c->files->by_inode, compare_inodes))
		return error_errno(err, ENOMEM, "looking at \"%s\"", d->link);
	return file_kind_file.admit(c, d, err);
}
