// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pseudo-terminals at a restore. A devpts gives out its lowest free index: masters
 * that nobody wants take up those below. A description that had been hung up is
 * opened first, and hung up again before anything else is done to the pair.
 */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "checkpoint/engine/tasks.h"
#include "checkpoint/resource/files.h"
#include "checkpoint/resource/tty.h"
#include "checkpoint/user/fdpass.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define PTS_MAJOR      136
#define INDEX_MAX      (1 << 16)
#define QUEUE_MAX      (1 << 20)
#define PATH_BYTES_MAX 4096
#define OPEN_FLAGS     (O_ACCMODE | O_NONBLOCK | O_APPEND | O_NOATIME | O_SYNC | O_DSYNC)
#define PTY_FLAGS                                                                                  \
	(CKPT_PTY_CONSOLE | CKPT_PTY_MASTER | CKPT_PTY_OPENED | CKPT_PTY_LOCKED |                  \
	 CKPT_PTY_PACKET | CKPT_PTY_EXCLUSIVE | CKPT_PTY_EXCLUSIVE_MASTER | CKPT_PTY_STOPPED |     \
	 CKPT_PTY_STOPPED_CALL | CKPT_PTY_STATE)

/* --- records --- */

static uint64_t padded(uint64_t len)
{
	return (len + 7) & ~7ull;
}

static bool lines_are_sound(const char *lines, size_t len)
{
	for (size_t at = 0; at < len;) {
		const struct ckpt_pty_line *line = (const void *)(lines + at);

		if (len - at < sizeof(*line) || line->len > QUEUE_MAX ||
		    line->flags & ~CKPT_PTY_LINE_EOF || (!line->flags && !line->len) ||
		    padded(sizeof(*line) + line->len) > len - at)
			return false;
		at += padded(sizeof(*line) + line->len);
	}
	return true;
}

int tty_load_pair(struct restore *r, const struct record *rec, struct error **err)
{
	const struct ckpt_pty *head = record_head(rec, sizeof(*head), err);
	size_t count = r->ttys->ptys.count;
	struct pty *p;

	if (!head)
		return -EBADMSG;
	if (head->index >= INDEX_MAX || head->flags & ~PTY_FLAGS ||
	    (count && r->ttys->ptys.items[count - 1].rec.index >= head->index) ||
	    (head->flags & CKPT_PTY_CONSOLE && head->flags & CKPT_PTY_MASTER) ||
	    head->lines_len > QUEUE_MAX || head->lines_len % 8 || head->input_len > QUEUE_MAX ||
	    head->rest_len > QUEUE_MAX || head->output_len > QUEUE_MAX ||
	    rec->len != sizeof(*head) + head->lines_len + padded(head->input_len) +
				padded(head->rest_len) + padded(head->output_len) ||
	    !lines_are_sound((const char *)(head + 1), head->lines_len))
		return error_set(err, EBADMSG, "terminal %u is malformed", head->index);
	p = vec_add(&r->ttys->ptys);
	if (!p)
		return error_errno(err, ENOMEM, "loading");
	*p = (struct pty){.rec = *head, .master = -1, .slave = -1, .queues = head + 1};
	return 0;
}

static const struct ckpt_ctty *controlled(const struct restore *r, uint32_t pid)
{
	if (r->ttys)
		vec_for_each (use, &r->ttys->controlled)
			if (use->pid == pid)
				return use;
	return NULL;
}

/* Who has one has that of the leader of its session, and each is of one session. */
static int check_controlled(struct restore *r, const struct ckpt_ctty *use, struct error **err)
{
	const struct restore_task *t = restore_find(r, use->pid);
	const struct ckpt_ctty *leader = t ? controlled(r, t->rec->sid) : NULL;

	if (!t || t->rec->state == CKPT_TASK_ZOMBIE || !tty_find(r->ttys, use->pty) || !leader ||
	    leader->pty != use->pty)
		return error_set(err, EBADMSG, "process %u cannot have terminal %u", use->pid,
				 use->pty);
	vec_for_each (other, &r->ttys->controlled) {
		const struct restore_task *o = restore_find(r, other->pid);

		if (o && o != t &&
		    (other->pid == use->pid ||
		     (other->pty == use->pty && o->rec->sid != t->rec->sid)))
			return error_set(err, EBADMSG, "terminal %u controls two sessions",
					 use->pty);
	}
	return 0;
}

int tty_load_controlled(struct restore *r, const struct record *rec, struct error **err)
{
	const struct ckpt_ctty *all = rec->data;
	int ret = 0;

	if (rec->len % sizeof(*all) || r->ttys->controlled.count)
		return error_set(err, EBADMSG, "malformed");
	for (size_t i = 0; i < rec->len / sizeof(*all); i++) {
		struct ckpt_ctty *slot = vec_add(&r->ttys->controlled);

		if (!slot)
			return error_errno(err, ENOMEM, "loading");
		*slot = all[i];
		if (controlled(r, slot->pid) != slot)
			return error_set(err, EBADMSG, "process %u twice", slot->pid);
	}
	vec_for_each (use, &r->ttys->controlled)
		if (!ret)
			ret = check_controlled(r, use, err);
	return ret;
}

int tty_end_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_tty *rec = o->rec;
	const struct pty *p = r->ttys ? tty_find(r->ttys, rec->pty) : NULL;
	bool hung = rec->flags & CKPT_TTY_HUNG;

	if (!p || rec->kind > CKPT_TTY_CURRENT || rec->flags & ~CKPT_TTY_HUNG ||
	    rec->path_len != o->tail_len || !rec->path_len || rec->path_len > PATH_BYTES_MAX ||
	    *o->tail != '/' || memchr(o->tail, 0, o->tail_len) ||
	    (hung && rec->kind != CKPT_TTY_SLAVE) ||
	    (rec->kind == CKPT_TTY_MASTER && !(p->rec.flags & CKPT_PTY_MASTER)) ||
	    (!hung && !(p->rec.flags & (CKPT_PTY_MASTER | CKPT_PTY_CONSOLE))))
		return error_set(err, EBADMSG, "terminal %u is malformed", o->id);
	return 0;
}

/* --- pairs --- */

static bool is_device(int fd, unsigned first, unsigned second)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(first, second);
}

static int open_master(struct restore *r, uint32_t index, int *master, struct error **err)
{
	__cleanup_fd int handle = open_in_root(r->rootfd, "/dev/ptmx", O_PATH, 0);
	uint32_t got;

	if (handle < 0 || !is_device(handle, 5, 2))
		return error_errno(err, handle < 0 ? -handle : ENOTTY,
				   "opening \"/dev/ptmx\" in the container");
	for (;;) {
		__cleanup_fd int fd = reopen_fd(handle, O_RDWR | O_NOCTTY);
		int *filler;

		if (fd < 0)
			return error_errno(err, -fd, "making terminal %u", index);
		if (ioctl(fd, TIOCGPTN, &got))
			return error_errno(err, errno, "making terminal %u", index);
		if (got > index)
			return error_set(err, EEXIST, "terminal /dev/pts/%u is there already",
					 index);
		if (got == index) {
			*master = take_fd(&fd);
			return 0;
		}
		filler = vec_add(&r->ttys->fillers);
		if (!filler)
			return error_errno(err, ENOMEM, "making terminal %u", index);
		*filler = take_fd(&fd);
	}
}

static int take_console(struct restore *r, struct pty *p, struct error **err)
{
	uint32_t index;

	if (r->request->console < 0) {
		error_set(err, EINVAL, "the container had a terminal, and would have none");
		return error_hint(err, "/process/terminal of config.json must be true");
	}
	p->master = syscall(SYS_pidfd_getfd, r->tasks.items[0].pidfd, r->request->console, 0);
	if (p->master < 0 || ioctl(p->master, TIOCGPTN, &index))
		return error_errno(err, errno, "taking the container's terminal");
	if (index != p->rec.index)
		return error_set(err, EEXIST,
				 "the container's terminal was /dev/pts/%u and would be %u",
				 p->rec.index, index);
	return 0;
}

static int set_locked(const struct pty *p, int locked, struct error **err)
{
	if (ioctl(p->master, TIOCSPTLCK, &locked))
		return error_errno(err, errno, "setting the lock of terminal %u", p->rec.index);
	return 0;
}

static int make_slave(struct restore *r, struct pty *p, struct error **err)
{
	int ret = set_locked(p, 0, err);

	if (ret || !(p->rec.flags & CKPT_PTY_OPENED))
		return ret;
	p->slave = ioctl(p->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (p->slave < 0)
		return error_errno(err, errno, "opening terminal %u", p->rec.index);
	if (!(p->rec.flags & CKPT_PTY_STATE))
		return 0;
	ret = ids_mapped(r->init, p->rec.uid, p->rec.gid, err);
	if (!ret &&
	    (fchown(p->slave, p->rec.uid, p->rec.gid) || fchmod(p->slave, p->rec.mode & 07777)))
		ret = error_errno(err, errno, "setting the owner of terminal %u", p->rec.index);
	return ret;
}

/* By the path that it had, unless another device is there. */
static int open_end(struct restore *r, const struct file_object *o, const struct pty *p, int *fd,
		    struct error **err)
{
	const struct ckpt_tty *rec = o->rec;
	__cleanup_free char *path = strndup(o->tail, o->tail_len);
	__cleanup_fd int handle = -1;

	if (!path)
		return error_errno(err, ENOMEM, "opening a terminal");
	handle = open_in_root(r->rootfd, path, O_PATH | O_NOFOLLOW, 0);
	if (handle < 0 || !is_device(handle, PTS_MAJOR, p->rec.index))
		return error_errno(err, handle < 0 ? -handle : ENXIO,
				   "opening terminal %u as \"%s\"", p->rec.index, path);
	*fd = reopen_fd(handle, (rec->open_flags & OPEN_FLAGS) | O_NOCTTY);
	return *fd < 0 ? error_errno(err, -*fd, "opening \"%s\"", path) : 0;
}

static int open_hung(struct restore *r, struct pty *p, bool *any, struct error **err)
{
	int ret = 0;

	if (r->files)
		vec_for_each (o, &r->files->objects) {
			const struct ckpt_tty *rec = o->rec;

			if (ret || o->kind != &file_kind_tty || rec->pty != p->rec.index ||
			    !(rec->flags & CKPT_TTY_HUNG))
				continue;
			*any = true;
			ret = open_end(r, o, p, &o->fd, err);
		}
	return ret;
}

/* Closing the master hangs up; so does vhangup(2), which leaves the pair in use. */
static int hang_up(struct restore *r, struct pty *p, struct error **err)
{
	bool any = false;
	int ret = open_hung(r, p, &any, err);

	if (ret || (!any && p->rec.flags & (CKPT_PTY_MASTER | CKPT_PTY_CONSOLE)))
		return ret;
	if (!(p->rec.flags & (CKPT_PTY_MASTER | CKPT_PTY_CONSOLE))) {
		close(p->master);
		p->master = -1;
	} else if (ioctl(p->slave, TIOCVHANGUP)) {
		return error_errno(err, errno, "hanging up terminal %u", p->rec.index);
	}
	close(p->slave);
	p->slave = -1;
	return 0;
}

static struct buf part(const char **at, uint64_t len)
{
	struct buf b = {.data = (uint8_t *)*at, .len = len};

	*at += padded(len);
	return b;
}

static int set_state(const struct pty *p, struct error **err)
{
	struct winsize size = {p->rec.rows, p->rec.columns, p->rec.xpixel, p->rec.ypixel};
	const char *at = p->queues;
	struct pty_queues q = {.lines = part(&at, p->rec.lines_len)};

	q.input = part(&at, p->rec.input_len);
	q.rest = part(&at, p->rec.rest_len);
	q.output = part(&at, p->rec.output_len);
	if (ioctl(p->master, TIOCSWINSZ, &size))
		return error_errno(err, errno, "sizing terminal %u", p->rec.index);
	/* the modes of both ends are the slave's */
	if (p->slave < 0 && ioctl(p->master, TCSETS2, &p->rec.termios))
		return error_errno(err, errno, "setting the modes of terminal %u", p->rec.index);
	return tty_fill(p, &q, err);
}

static int make_pair(struct restore *r, struct pty *p, struct error **err)
{
	int ret = p->rec.flags & CKPT_PTY_CONSOLE ? take_console(r, p, err)
						  : open_master(r, p->rec.index, &p->master, err);

	if (!ret)
		ret = make_slave(r, p, err);
	if (!ret)
		ret = hang_up(r, p, err);
	if (!ret && p->slave < 0 && p->master >= 0)
		ret = make_slave(r, p, err);
	return ret || p->master < 0 || !(p->rec.flags & CKPT_PTY_STATE) ? ret : set_state(p, err);
}

int tty_make_pairs(struct restore *r, struct error **err)
{
	int ret = 0;

	if (!r->ttys)
		return 0;
	vec_for_each (p, &r->ttys->ptys)
		if (!ret)
			ret = make_pair(r, p, err);
	vec_for_each (fd, &r->ttys->fillers)
		close(*fd);
	vec_free(&r->ttys->fillers);
	return ret;
}

/* --- descriptions --- */

/* /dev/tty is opened by somebody whom the terminal controls. */
static int open_current(struct restore *r, const struct file_object *o, int *fd, struct error **err)
{
	const struct ckpt_tty *rec = o->rec;
	struct restore_task *t = NULL;
	long number;
	int ret;

	vec_for_each (use, &r->ttys->controlled)
		if (use->pty == rec->pty)
			t = restore_find(r, use->pid);
	if (!t)
		return error_set(err, EBADMSG, "terminal %u controls nobody", rec->pty);
	memcpy(remote_data(&t->remote), o->tail, o->tail_len);
	((char *)remote_data(&t->remote))[o->tail_len] = '\0';
	ret = remote_syscall(&t->remote, err, "opening /dev/tty", &number, SYS_openat, AT_FDCWD,
			     remote_data_address(&t->remote),
			     (rec->open_flags & OPEN_FLAGS) | O_NOFOLLOW | O_CLOEXEC, 0, 0, 0);
	if (!ret && number < 0)
		ret = error_errno(err, -number, "opening \"%.*s\"", (int)o->tail_len, o->tail);
	if (ret)
		return ret;
	*fd = syscall(SYS_pidfd_getfd, t->pidfd, number, 0);
	if (*fd < 0)
		ret = error_errno(err, errno, "taking a descriptor of process %u", t->rec->pid);
	else if (!is_device(*fd, 5, 0))
		ret = error_set(err, EXDEV, "\"%.*s\" is not /dev/tty", (int)o->tail_len, o->tail);
	remote_syscall(&t->remote, ret ? NULL : err, "closing /dev/tty", NULL, SYS_close, number, 0,
		       0, 0, 0, 0);
	return ret;
}

int tty_end_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_tty *rec = o->rec;
	struct pty *p = tty_find(r->ttys, rec->pty);
	int ret = 0;

	if (rec->kind == CKPT_TTY_CURRENT) {
		if (!r->files->late_opened)
			return 0;
		ret = open_current(r, o, &o->fd, err);
	} else if (rec->kind == CKPT_TTY_MASTER) {
		o->fd = fcntl(p->master, F_DUPFD_CLOEXEC, 3);
		if (o->fd < 0)
			ret = error_errno(err, errno, "opening terminal %u", rec->pty);
	} else {
		ret = open_end(r, o, p, &o->fd, err);
	}
	return ret ? ret : files_set_flags(o->fd, rec->open_flags, err);
}

int tty_finish_pairs(struct restore *r, struct error **err)
{
	int ret = 0;

	if (!r->ttys)
		return 0;
	vec_for_each (p, &r->ttys->ptys) {
		if (ret || p->master < 0)
			continue;
		if ((p->rec.flags & CKPT_PTY_EXCLUSIVE && p->slave >= 0 &&
		     ioctl(p->slave, TIOCEXCL)) ||
		    (p->rec.flags & CKPT_PTY_EXCLUSIVE_MASTER && ioctl(p->master, TIOCEXCL)))
			ret = error_errno(err, errno, "making terminal %u exclusive", p->rec.index);
		if (!ret)
			ret = set_locked(p, !!(p->rec.flags & CKPT_PTY_LOCKED), err);
		/* closed by everybody, it is so for its other end */
		if (p->slave >= 0)
			close(p->slave);
		p->slave = -1;
	}
	return ret;
}

/* --- sessions --- */

/* One ioctl on the slave by a stub. argument is a number, or what *argument of the call is to be.
 */
static int tty_call(struct restore *r, struct restore_task *t, const struct pty *p,
		    const char *what, unsigned long request, const uint32_t *argument,
		    struct error **err)
{
	int number, ret = fdpass_send(r, t, &p->slave, 1, &number, err);

	if (ret)
		return ret;
	if (argument)
		memcpy(remote_data(&t->remote), argument, sizeof(*argument));
	ret = remote_syscall(&t->remote, err, what, NULL, SYS_ioctl, number, request,
			     argument ? remote_data_address(&t->remote) : 0, 0, 0, 0);
	if (!ret)
		ret = remote_syscall(&t->remote, err, "closing a terminal", NULL, SYS_close, number,
				     0, 0, 0, 0, 0);
	return ret;
}

int tty_control(struct restore *r, struct restore_task *leader, struct error **err)
{
	const struct ckpt_ctty *use = controlled(r, leader->rec->pid);
	const struct pty *p = use ? tty_find(r->ttys, use->pty) : NULL;

	if (!p)
		return 0;
	if (p->slave < 0)
		return error_set(err, EBADMSG, "terminal %u cannot control anybody", p->rec.index);
	return tty_call(r, leader, p, "taking a controlling terminal", TIOCSCTTY, NULL, err);
}

struct ended_group {
	struct restore *r;
	struct restore_task *leader;
	const struct pty *p;
};

static int enter_ended_group(void *ctx, const struct restore_task *t, struct error **err)
{
	const struct ended_group *g = ctx;
	uint32_t pid = t->rec->pid;
	int ret = remote_syscall(&g->leader->remote, err, "making a process group", NULL,
				 SYS_setpgid, pid, pid, 0, 0, 0, 0);

	return ret ? ret
		   : tty_call(g->r, g->leader, g->p, "setting a foreground group", TIOCSPGRP, &pid,
			      err);
}

/* A group that has ended is one that a helper has been in. */
static int set_ended_group(struct restore *r, struct restore_task *leader, const struct pty *p,
			   struct error **err)
{
	struct ended_group g = {r, leader, p};

	return stubs_make_ended(r, leader, 0, 0, enter_ended_group, &g, err);
}

static int settle_task(struct restore *r, struct restore_task *t, struct error **err)
{
	const struct ckpt_ctty *mine = controlled(r, t->rec->pid);
	const struct ckpt_ctty *use = controlled(r, t->rec->sid);
	const struct pty *p = use ? tty_find(r->ttys, use->pty) : NULL;

	if (!p)
		return 0;
	if (!mine)
		return tty_call(r, t, p, "giving up a controlling terminal", TIOCNOTTY, NULL, err);
	if (mine != use)
		return 0;
	if (!p->rec.group)
		return set_ended_group(r, t, p, err);
	return tty_call(r, t, p, "setting a foreground group", TIOCSPGRP, &p->rec.group, err);
}

int tty_settle(struct restore *r, struct error **err)
{
	int ret = 0;

	if (!r->ttys)
		return 0;
	vec_for_each (t, &r->tasks)
		if (!ret && t->rec->state != CKPT_TASK_ZOMBIE)
			ret = settle_task(r, t, err);
	return ret;
}
