// SPDX-License-Identifier: GPL-2.0-only
/*
 * POSIX message queues: all of the container's IPC namespace, by their file system. There
 * is no way to look at messages but to take them out (mqueue_read.c); each is put back at
 * once, with all tasks stopped.
 */
#include "checkpoint/resource/mqueue.h"
#include "checkpoint/engine/provider.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "checkpoint/resource/resource.h"
#include "checkpoint/user/ns.h"
#include "checkpoint/user/proc.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define MQUEUE_MAGIC 0x19800202
#define DELETED	     " (deleted)"

const char *const mqueue_limit_paths[MQ_LIMITS] = {
	"/proc/sys/fs/mqueue/queues_max",      "/proc/sys/fs/mqueue/msg_max",
	"/proc/sys/fs/mqueue/msgsize_max",     "/proc/sys/fs/mqueue/msg_default",
	"/proc/sys/fs/mqueue/msgsize_default",
};

/* --- descriptors --- */

static bool matches(const struct description *d)
{
	struct statfs fs;

	return *d->link == '/' && S_ISREG(d->st.st_mode) && !(d->open_flags & O_PATH) &&
	       d->fd >= 0 && !fstatfs(d->fd, &fs) && fs.f_type == MQUEUE_MAGIC;
}

static struct mqueue_state *state_of(const struct file_table *files)
{
	return files ? files->mqueues : NULL;
}

static uint32_t queue_number(const struct checkpoint *c, const struct description *d)
{
	const struct mqueue_state *s = state_of(c->files);

	for (size_t i = 0; s && i < s->queues.count; i++)
		if (s->queues.items[i].st.st_ino == d->st.st_ino &&
		    s->queues.items[i].st.st_dev == d->st.st_dev)
			return i + 1;
	return 0;
}

static int fd_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	if (queue_number(c, d))
		return 0;
	return description_block(c, d, "give the container an IPC namespace of its own",
				 "message queue \"%s\" of another IPC namespace", d->link);
}

static int fd_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	struct ckpt_mqueue_fd rec = {
		.id = d->id, .open_flags = d->open_flags, .queue = queue_number(c, d)};

	if (!record_add(&c->records, CKPT_MQUEUE_FD, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording message queues");
	return 0;
}

/* --- which queues there are --- */

static void free_state(struct file_table *files)
{
	struct mqueue_state *s = state_of(files);

	if (!s)
		return;
	vec_for_each (q, &s->queues) {
		free(q->name);
		close(q->fd);
	}
	vec_for_each (fd, &s->fds)
		if (*fd >= 0)
			close(*fd);
	vec_free(&s->queues);
	vec_free(&s->records);
	vec_free(&s->fds);
	free(s);
	files->mqueues = NULL;
}

/* Takes fd. */
static int add_queue(struct mqueue_state *s, int fd, const char *name, bool unlinked,
		     struct error **err)
{
	struct mqueue *q = vec_add(&s->queues);

	if (!q) {
		close(fd);
		return error_errno(err, ENOMEM, "listing message queues");
	}
	*q = (struct mqueue){.fd = fd, .unlinked = unlinked, .name = strdup(name)};
	if (!q->name || fstat(fd, &q->st) || mq_getattr(fd, &q->attr))
		return error_errno(err, q->name ? errno : ENOMEM, "looking at message queue \"%s\"",
				   name);
	return 0;
}

static int mount_queues(struct error **err)
{
	__cleanup_fd int fs = syscall(SYS_fsopen, "mqueue", FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return error_errno(err, errno, "opening the file system of message queues");
	fd = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(err, errno, "mounting the file system of message queues");
	return fd;
}

/* In the container's IPC namespace. The mount is nowhere, and gone when it is closed. */
static int list_queues(void *ctx, struct error **err)
{
	struct mqueue_state *s = ctx;
	__cleanup_fd int mount = mount_queues(err);
	__cleanup_dir DIR *dir = NULL;
	int fd, r = 0;

	if (mount < 0)
		return mount;
	dir = open_dir_again(mount);
	if (!dir)
		return error_errno(err, errno, "listing message queues");
	for (struct dirent *e; !r && (e = readdir(dir));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		fd = openat(mount, e->d_name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			return error_errno(err, errno, "opening message queue \"%s\"", e->d_name);
		r = add_queue(s, fd, e->d_name, false, err);
	}
	return r;
}

/* Those without a name that somebody still has open. */
static int add_unlinked(struct checkpoint *c, struct mqueue_state *s, struct error **err)
{
	int r = 0;

	for (size_t i = 0; !r && i < c->files->descriptions.count; i++) {
		const struct description *d = c->files->descriptions.items[i];
		__cleanup_free char *name = NULL;
		char *cut;
		int fd;

		if (d->kind != &file_kind_mqueue || d->st.st_nlink || queue_number(c, d))
			continue;
		name = strdup(strrchr(d->link, '/') + 1);
		if (!name)
			return error_errno(err, ENOMEM, "listing message queues");
		cut = strstr(name, DELETED);
		if (cut)
			*cut = '\0';
		fd = reopen_fd(d->fd, O_RDWR | O_NONBLOCK);
		if (fd < 0)
			return error_errno(err, -fd, "opening message queue \"%s\"", d->link);
		r = add_queue(s, fd, name, true, err);
	}
	return r;
}

/* --- who is told --- */

static bool is_pending(const struct dump_task *t, int signo, struct error **err)
{
	uint64_t pending = 0;
	struct proc_status status;

	vec_for_each (th, &t->threads) {
		if (proc_status(t->pid, th->tid, &status, err))
			return true;
		pending |= status.sig_pending | status.shared_pending;
	}
	return signo > 0 && pending & (1ull << (signo - 1));
}

static int block_queue(struct checkpoint *c, const struct mqueue *q, const char *remedy,
		       const char *what)
{
	return checkpoint_block(c, q->owner ? q->owner->rec.pid : 0, -1, 0, remedy,
				"message queue \"/%s\", %s", q->name, what);
}

/* "QSIZE:0 NOTIFY:0 SIGNO:10 NOTIFY_PID:1234" */
int mqueue_status(struct mqueue *q, int *pid, struct error **err)
{
	char text[128] = "";

	if (pread(q->fd, text, sizeof(text) - 1, 0) < 0 ||
	    sscanf(text, "QSIZE:%*u NOTIFY:%d SIGNO:%d NOTIFY_PID:%d", &q->notify, &q->signo,
		   pid) != 3)
		return error_set(err, EPROTO, "message queue \"/%s\" is not understood", q->name);
	return 0;
}

static int admit_notify(struct checkpoint *c, struct mqueue *q, struct error **err)
{
	int pid = 0, r = mqueue_status(q, &pid, err);

	if (r || !pid)
		return r;
	vec_for_each (t, &c->tasks)
		if (t->pid == pid)
			q->owner = t;
	if (!q->owner)
		return block_queue(c, q, "let that process close it",
				   "of which a process outside is told (mq_notify)");
	if (q->signo == SIGKILL || q->signo == SIGSTOP)
		return block_queue(c, q, "let that process close it",
				   "which kills or stops a process that it tells");
	if (q->notify != SIGEV_SIGNAL && q->notify != SIGEV_NONE)
		return block_queue(c, q, "let the program use SIGEV_SIGNAL",
				   "of which a thread is told (SIGEV_THREAD)");
	if (is_pending(q->owner, q->signo, err))
		return *err ? -error_code(*err)
			    : block_queue(c, q, "let the program take the signal",
					  "of which a signal tells that is pending just now");
	/* what it is told with only a message shows, which a held process would not get */
	return provider_leave(c, ~0ull, q->owner, 0, "a message queue that tells it (mq_notify)");
}

static int mqueue_admit(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	struct mqueue_state *s;
	int r;

	if (t)
		return 0;
	r = files_gather(c, err);
	if (!r)
		r = same_namespace(c->init, "ipc", err);
	if (r)
		return r < 0 ? r : 0;
	s = c->files->mqueues = calloc(1, sizeof(*s));
	if (!s)
		return error_errno(err, ENOMEM, "listing message queues");
	r = in_namespaces(c->init, CLONE_NEWIPC, list_queues, s, err);
	if (!r)
		r = add_unlinked(c, s, err);
	vec_for_each (q, &s->queues)
		if (!r)
			r = admit_notify(c, q, err);
	return r;
}

/* --- dump --- */

static int read_limits(void *ctx, struct error **err)
{
	uint64_t *values = ctx;

	for (unsigned i = 0; i < MQ_LIMITS; i++) {
		__cleanup_free char *text = NULL;
		int r = read_file(AT_FDCWD, mqueue_limit_paths[i], 64, &text, NULL);

		if (r)
			return error_errno(err, -r, "reading %s", mqueue_limit_paths[i]);
		values[i] = strtoull(text, NULL, 10);
	}
	return 0;
}

static int dump_queue(struct checkpoint *c, const struct mqueue *q, struct error **err)
{
	__cleanup_buf struct buf tail = {0};
	struct ckpt_mqueue rec = {
		.flags = q->unlinked ? CKPT_MQUEUE_UNLINKED : 0,
		.mode = q->st.st_mode & 07777,
		.uid = q->st.st_uid,
		.gid = q->st.st_gid,
		.maxmsg = q->attr.mq_maxmsg,
		.msgsize = q->attr.mq_msgsize,
		.name_len = strlen(q->name),
	};
	int r;

	if (!buf_add(&tail, q->name, rec.name_len) || buf_align(&tail, 8))
		return error_errno(err, ENOMEM, "recording message queues");
	r = mqueue_read(c, q, &tail, &rec, err);
	if (r)
		return error_wrap(err, "message queue \"/%s\"", q->name);
	if (!record_add2(&c->records, CKPT_MQUEUE, &rec, sizeof(rec), tail.data, tail.len))
		return error_errno(err, ENOMEM, "recording message queues");
	return 0;
}

static int mqueue_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	const struct mqueue_state *s = state_of(c->files);
	struct ckpt_mqueue_limits limits;
	int r;

	if (t || !s)
		return 0;
	r = in_namespaces(c->init, CLONE_NEWIPC, read_limits, &limits, err);
	if (!r && !record_add(&c->records, CKPT_MQUEUE_LIMITS, &limits, sizeof(limits)))
		r = error_errno(err, ENOMEM, "recording message queues");
	vec_for_each (q, &s->queues)
		if (!r)
			r = dump_queue(c, q, err);
	return r;
}

static void mqueue_release(struct checkpoint *c, struct restore *r)
{
	free_state(c ? c->files : r ? r->files : NULL);
}

static const enum ckpt_type types[] = {CKPT_MQUEUE_LIMITS, CKPT_MQUEUE, 0};

static const char *const not_captured[] = {
	"times of POSIX message queues; the name that /proc shows of one that has none any more",
	NULL,
};

const struct resource_class resource_mqueue = {
	.name = "mqueue",
	.version = 1,
	.types = types,
	.admit = mqueue_admit,
	.dump = mqueue_dump,
	.load = mqueue_load,
	.restore = {[STAGE_CONTENTS] = mqueue_make, [STAGE_CROSS] = mqueue_cross},
	.release = mqueue_release,
	.not_captured = not_captured,
};

/* --- descriptors: a restore --- */

static int fd_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_mqueue_fd *rec = o->rec;
	const struct mqueue_state *s = state_of(r->files);

	if (o->tail_len || !rec->queue || !s || rec->queue > s->records.count)
		return error_set(err, EBADMSG, "message queue descriptor %u is malformed", o->id);
	return 0;
}

static int fd_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_mqueue_fd *rec = o->rec;
	const struct mqueue_state *s = state_of(r->files);

	if (rec->queue > s->fds.count || s->fds.items[rec->queue - 1] < 0)
		return error_set(err, EBADMSG, "message queue %u was not made", rec->queue);
	o->fd = reopen_fd(s->fds.items[rec->queue - 1], rec->open_flags & (O_ACCMODE | O_NONBLOCK));
	return o->fd < 0 ? error_errno(err, -o->fd, "opening message queue %u", rec->queue) : 0;
}

const struct file_kind file_kind_mqueue = {
	.type = CKPT_MQUEUE_FD,
	.size = sizeof(struct ckpt_mqueue_fd),
	.matches = matches,
	.admit = fd_admit,
	.dump = fd_dump,
	.load = fd_load,
	.open = fd_open,
};
