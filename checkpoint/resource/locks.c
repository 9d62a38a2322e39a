// SPDX-License-Identifier: GPL-2.0-only
/*
 * File locks. fdinfo tells those that were taken through a descriptor: of POSIX locks the
 * process's own, whoever asks for the others, which belong to the description. They are
 * taken again by the process that had them. Between the checkpoint and the restore they
 * are free: whoever takes one then makes the restore fail.
 */
#include "checkpoint/resource/locks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/resource/resource.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/speaker.h"

#define REMEDY "release it for the checkpoint"

int lock_parse(const char *text, struct lock_line *line)
{
	unsigned long long start;
	char end[24];

	/* who breaks a lease has no file: "<none>:0" */
	if (sscanf(text, "%7s %11s %7s %d %*s %llu %23s", line->kind, line->mode, line->access,
		   &line->pid, &start, end) != 6)
		return -EPROTO;
	line->start = start;
	line->end = strcmp(end, "EOF") ? strtoull(end, NULL, 10) : UINT64_MAX;
	return 0;
}

static bool is_posix(const char *text)
{
	return !strncmp(text, "POSIX ", 6);
}

/* --- a checkpoint --- */

/* The line without its number; *next is where the search goes on. */
static char *next_lock(const char *fdinfo, const char **next)
{
	const char *line = strncmp(fdinfo, "lock:", 5) ? strstr(fdinfo, "\nlock:") : fdinfo;
	const char *text;

	if (!line)
		return NULL;
	line += *line == '\n';
	*next = strchrnul(line, '\n');
	text = strstr(line, ": ");
	if (!text || text > *next)
		return NULL;
	return strndup(text + 2, *next - text - 2);
}

int locks_note(struct checkpoint *c, const struct dump_task *t, int number, uint32_t description,
	       const char *fdinfo, struct error **err)
{
	char *text;

	while ((text = next_lock(fdinfo, &fdinfo))) {
		struct file_lock_use *use = vec_add(&c->files->locks);

		if (!use) {
			free(text);
			return error_errno(err, ENOMEM, "looking at locks");
		}
		*use = (struct file_lock_use){t, number, description, text};
	}
	return 0;
}

/* Equal ones are the same lock, seen through several descriptors. */
static int compare_locks(const struct file_lock_use *a, const struct file_lock_use *b)
{
	if (a->description != b->description)
		return a->description < b->description ? -1 : 1;
	if (is_posix(a->text) && a->task != b->task)
		return a->task < b->task ? -1 : 1;
	return strcmp(a->text, b->text);
}

/* Of several the one by which it was taken comes first, as far as can be known. */
static int compare_uses(const void *pa, const void *pb)
{
	const struct file_lock_use *a = pa, *b = pb;
	int order = compare_locks(a, b);
	struct lock_line line;

	if (order)
		return order;
	if (a->task != b->task && !lock_parse(a->text, &line)) {
		if (a->task->pid == line.pid || b->task->pid == line.pid)
			return a->task->pid == line.pid ? -1 : 1;
		return a->task < b->task ? -1 : 1;
	}
	return a->fd < b->fd ? -1 : a->fd > b->fd;
}

static void unite_locks(struct file_table *table)
{
	size_t kept = 0;

	if (!table->locks.count)
		return;
	qsort(table->locks.items, table->locks.count, sizeof(*table->locks.items), compare_uses);
	for (size_t i = 1; i < table->locks.count; i++) {
		if (!compare_locks(&table->locks.items[kept], &table->locks.items[i]))
			free(table->locks.items[i].text);
		else
			table->locks.items[++kept] = table->locks.items[i];
	}
	table->locks.count = kept + 1;
}

static const struct description *described(const struct checkpoint *c,
					   const struct file_lock_use *use)
{
	return c->files->descriptions.items[use->description - 1];
}

static bool is_inside(const struct checkpoint *c, pid_t pid)
{
	vec_for_each (t, &c->tasks)
		if (t->pid == pid)
			return true;
	return false;
}

static int block_lock(struct checkpoint *c, const struct file_lock_use *use, const char *remedy,
		      const char *why, pid_t outsider)
{
	const struct description *d = described(c, use);
	char who[64] = "";

	if (outsider)
		snprintf(who, sizeof(who), " that process %d outside %s", outsider, why);
	return checkpoint_block(c, use->task->rec.pid, use->fd, 0, remedy,
				"file lock or lease (%.6s) of \"%s\"%s%s", use->text, d->link,
				outsider ? "" : why, who);
}

/* Does this process have the very description open? */
static bool has_open(pid_t pid, const struct description *d)
{
	__cleanup_dir DIR *dir = NULL;
	pid_t speaker = process_speaker(pid);
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", speaker);
	dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));)
		if (*e->d_name != '.' && !syscall(SYS_kcmp, getpid(), speaker, KCMP_FILE, d->fd,
						  strtoul(e->d_name, NULL, 10)))
			return true;
	return false;
}

static int admit_lock(struct checkpoint *c, const struct file_lock_use *use)
{
	static const char *const kinds[] = {"POSIX", "FLOCK", "OFDLCK", "LEASE"};
	const struct description *d = described(c, use);
	struct lock_line line;
	bool known = false;

	if (lock_parse(use->text, &line))
		return block_lock(c, use, REMEDY, " of a form that is not known", 0);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		known |= !strcmp(line.kind, kinds[i]);
	if (!known)
		return block_lock(c, use, REMEDY, " of a kind that is not known", 0);
	if (d->stdio >= 0)
		return block_lock(c, use, REMEDY, ", a stream from outside", 0);
	/* the lock would outlive the container, and be in the way of its restore */
	if (line.pid > 0 && !is_inside(c, line.pid) && has_open(line.pid, d))
		return block_lock(c, use, "end that process, or release the lock", "has as well",
				  line.pid);
	return 0;
}

/* Whoever waits outside for a lock of the container has it as soon as the container is gone. */
static int admit_waiters(struct checkpoint *c, struct error **err)
{
	__cleanup_free char *text = NULL;
	const char *holder = "";
	char *rest, *line;
	int r = proc_read(&text, NULL, "locks");

	if (r)
		return error_errno(err, -r, "reading /proc/locks");
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		char *what = strstr(line, ": ");
		struct lock_line waiter;

		if (!what)
			continue;
		what += 2;
		if (strncmp(what, "-> ", 3)) {
			holder = what;
			continue;
		}
		if (lock_parse(what + 3 + strspn(what + 3, " "), &waiter) || waiter.pid <= 0 ||
		    is_inside(c, waiter.pid))
			continue;
		vec_for_each (use, &c->files->locks)
			if (!strcmp(use->text, holder))
				block_lock(c, use, "let that process give up, or release the lock",
					   "waits for", waiter.pid);
	}
	return 0;
}

static int locks_admit(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r = 0;

	if (t || !c->files->locks.count)
		return 0;
	unite_locks(c->files);
	vec_for_each (use, &c->files->locks)
		if (!r)
			r = admit_lock(c, use);
	return r ? r : admit_waiters(c, err);
}

static uint32_t description_of(const struct checkpoint *c, const struct dump_task *t, uint32_t fd)
{
	vec_for_each (use, &c->files->uses)
		if (use->task == t && (uint32_t)use->fd == fd)
			return use->description;
	return 0;
}

const void *locks_find_recorded(const struct checkpoint *c, const struct file_lock_use *use,
				uint32_t type, size_t size,
				bool (*fits)(const void *rec, const void *wanted),
				const void *wanted)
{
	const struct buf *kernel = &use->task->kernel;
	struct record rec;
	size_t pos = 0;

	/* both begin with these; a description has several descriptors, of which it took one */
	_Static_assert(offsetof(struct ckpt_lock, fd) == offsetof(struct ckpt_lease, fd),
		       "the same beginning");
	while (record_next(kernel->data, kernel->len, &pos, &rec) == 1) {
		const struct ckpt_lock *lock = rec.data;

		if (rec.type == type && rec.len >= size &&
		    description_of(c, use->task, lock->fd) == use->description &&
		    fits(lock, wanted))
			return lock;
	}
	return NULL;
}

static bool is_same_lock(const void *recorded, const void *seen)
{
	const struct ckpt_lock *a = recorded, *b = seen;

	return a->kind == b->kind && a->write == b->write && a->start == b->start &&
	       a->end == b->end;
}

/* Both have looked at the same held process; which descriptors are the same, only /proc tells. */
static int check_recorded(const struct checkpoint *c, const struct file_lock_use *use,
			  const struct ckpt_lock *seen, struct error **err)
{
	if (locks_find_recorded(c, use, CKPT_LOCK, sizeof(*seen), is_same_lock, seen))
		return 0;
	return error_set(err, EPROTO,
			 "the kernel and /proc differ about a lock of process %u, fd %d",
			 use->task->rec.pid, use->fd);
}

static int dump_lock(struct checkpoint *c, const struct file_lock_use *use, bool by_kernel,
		     struct error **err)
{
	struct ckpt_lock rec = {
		.description = use->description, .task = use->task->rec.pid, .fd = use->fd};
	struct lock_line line;

	if (lock_parse(use->text, &line))
		return error_set(err, EPROTO, "a lock is not understood: %s", use->text);
	if (!strcmp(line.kind, "LEASE"))
		return by_kernel ? lease_adopt(c, use, err) : lease_dump(c, use, &line, err);
	rec.kind = !strcmp(line.kind, "POSIX")	 ? CKPT_LOCK_POSIX
		   : !strcmp(line.kind, "FLOCK") ? CKPT_LOCK_FLOCK
						 : CKPT_LOCK_OFD;
	rec.write = !strcmp(line.access, "WRITE");
	rec.start = line.start;
	rec.end = line.end;
	if (by_kernel && check_recorded(c, use, &rec, err))
		return -error_code(*err);
	if (!record_add(&c->records, CKPT_LOCK, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording locks");
	return 0;
}

static int locks_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r = 0;

	if (t)
		return 0;
	vec_for_each (use, &c->files->locks)
		if (!r)
			r = dump_lock(c, use, false, err);
	return r;
}

static int locks_adopt(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r = 0;

	if (t)
		return 0;
	vec_for_each (use, &c->files->locks)
		if (!r)
			r = dump_lock(c, use, true, err);
	return r;
}

/* --- a restore --- */

static int load_lock(struct restore *r, const struct record *rec, struct error **err)
{
	const struct ckpt_lock *lock = record_head(rec, sizeof(*lock), err);

	if (!lock)
		return -EBADMSG;
	if (!files_object(r, lock->description) || lock->kind > CKPT_LOCK_OFD || lock->write > 1 ||
	    lock->start > INT64_MAX || lock->end < lock->start ||
	    (lock->end > INT64_MAX && lock->end != UINT64_MAX))
		return error_set(err, EBADMSG, "a lock that cannot be");
	return 0;
}

static int locks_load(struct restore *r, struct restore_task *t, const struct record *rec,
		      struct error **err)
{
	struct record *more;
	int ret;

	if (t)
		return error_set(err, EBADMSG, "is in a core");
	ret = rec->type == CKPT_LOCK ? load_lock(r, rec, err) : lease_load(r, rec, err);
	if (ret)
		return ret;
	more = vec_add(&r->files->locks_wanted);
	if (!more)
		return error_errno(err, ENOMEM, "loading locks");
	*more = *rec;
	return 0;
}

struct restore_task *lock_task(struct restore *r, uint32_t pid, uint32_t fd, uint32_t description,
			       struct error **err)
{
	struct restore_task *t = restore_find(r, pid);

	for (size_t i = 0; t && i < t->fd_count; i++)
		if (t->fds[i].fd == fd && t->fds[i].description == description)
			return t;
	error_set(err, EBADMSG, "process %u has not descriptor %u of description %u", pid, fd,
		  description);
	return NULL;
}

static struct flock to_flock(const struct ckpt_lock *lock)
{
	return (struct flock){
		.l_type = lock->write ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = lock->start,
		.l_len = lock->end == UINT64_MAX ? 0 : lock->end - lock->start + 1,
	};
}

/* Who has it; 0 if that cannot be found out. fd is ours. */
static pid_t find_holder(const struct ckpt_lock *lock, int fd)
{
	__cleanup_free char *text = NULL;
	struct flock found = to_flock(lock);
	unsigned long ino;
	struct stat st;
	char *rest, *line;
	pid_t pid;

	if (lock->kind != CKPT_LOCK_FLOCK)
		return !fcntl(fd, F_OFD_GETLK, &found) && found.l_type != F_UNLCK && found.l_pid > 0
			       ? found.l_pid
			       : 0;
	if (fstat(fd, &st) || proc_read(&text, NULL, "locks"))
		return 0;
	rest = text;
	while ((line = strsep(&rest, "\n")))
		if (sscanf(line, "%*d: FLOCK %*s %*s %d %*x:%*x:%lu", &pid, &ino) == 2 &&
		    ino == st.st_ino)
			return pid;
	return 0;
}

static int explain(const struct ckpt_lock *lock, const struct file_object *o, int code,
		   struct error **err)
{
	__cleanup_free char *path = NULL;
	char self[64], who[64] = "";
	pid_t holder = code == EAGAIN || code == EACCES ? find_holder(lock, o->fd) : 0;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", o->fd);
	path = read_link(AT_FDCWD, self);
	if (holder)
		snprintf(who, sizeof(who), ", which process %d has locked", holder);
	error_errno(err, code, "process %u, fd %u: locking \"%s\"%s", lock->task, lock->fd,
		    path ? path : "?", who);
	if (code == EAGAIN || code == EACCES)
		error_hint(err, "the lock was free since the checkpoint; end who took it");
	return -code;
}

static int restore_lock(struct restore *r, const struct ckpt_lock *lock, struct error **err)
{
	struct restore_task *t = lock_task(r, lock->task, lock->fd, lock->description, err);
	const struct file_object *o = files_object(r, lock->description);
	struct flock *range;
	long result;
	int ret;

	if (!t || o->fd < 0)
		return t ? error_set(err, EBADMSG, "a lock of what is not open") : -EBADMSG;
	range = remote_data(&t->remote);
	*range = to_flock(lock);
	if (lock->kind == CKPT_LOCK_FLOCK)
		ret = remote_syscall(&t->remote, err, "flock", &result, SYS_flock, lock->fd,
				     LOCK_NB | (lock->write ? LOCK_EX : LOCK_SH), 0, 0, 0, 0);
	else
		ret = remote_syscall(&t->remote, err, "fcntl", &result, SYS_fcntl, lock->fd,
				     lock->kind == CKPT_LOCK_OFD ? F_OFD_SETLK : F_SETLK,
				     remote_data_address(&t->remote), 0, 0, 0);
	if (ret)
		return ret;
	return result < 0 ? explain(lock, o, -result, err) : 0;
}

static int locks_restore(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret = 0;

	if (!r->files)
		return 0;
	vec_for_each (rec, &r->files->locks_wanted)
		if (!ret)
			ret = rec->type == CKPT_LOCK ? restore_lock(r, rec->data, err)
						     : lease_restore(r, rec->data, err);
	return ret;
}

static const enum ckpt_type types[] = {CKPT_LOCK, CKPT_LEASE, 0};

static const char *const not_captured[] = {
	"the time that a process has left to give up a lease, but on the patched kernel: it has "
	"the "
	"kernel's whole lease break time again",
	NULL,
};

const struct resource_class resource_locks = {
	.name = "locks",
	.version = 1,
	.types = types,
	.admit = locks_admit,
	.dump = locks_dump,
	.kernel = KERNEL_CLASS(LOCKS) | KERNEL_CLASS(LEASES),
	.adopt = locks_adopt,
	.load = locks_load,
	.restore = {[STAGE_CROSS] = locks_restore},
	.not_captured = not_captured,
};
