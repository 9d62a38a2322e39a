// SPDX-License-Identifier: GPL-2.0-only
/* Pseudo-terminals at a checkpoint: which there are, who has them, what they hold. */
#include "checkpoint/resource/tty.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/user/proc.h"
#include "util/apart.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/fault.h"
#include "util/io.h"

#define PTS_MAJOR	  136
#define TTY_MAJOR_CURRENT 5
#define CONSOLE		  "/dev/console"
#define CONSOLE_INPUT_MAX 4000 /* without its master no more can be put back */

/* What is known of a description beyond struct description. */
struct tty_end {
	enum ckpt_tty_kind kind;
	bool hung, inside;
	uint32_t index;
};

struct pty *tty_find(struct tty_table *table, uint32_t index)
{
	vec_for_each (p, &table->ptys)
		if (p->rec.index == index)
			return p;
	return NULL;
}

static struct pty *find_or_add(struct tty_table *table, uint32_t index, struct error **err)
{
	struct pty *p = tty_find(table, index);

	if (p)
		return p;
	p = vec_add(&table->ptys);
	if (!p) {
		error_errno(err, ENOMEM, "looking at terminals");
		return NULL;
	}
	*p = (struct pty){.rec.index = index, .master = -1, .slave = -1};
	return p;
}

/* --- one end --- */

static bool is_end(const struct stat *st)
{
	return S_ISCHR(st->st_mode) &&
	       (major(st->st_rdev) == PTS_MAJOR || st->st_rdev == makedev(TTY_MAJOR_CURRENT, 0) ||
		st->st_rdev == makedev(TTY_MAJOR_CURRENT, 2));
}

static bool matches(const struct description *d)
{
	return d->link[0] == '/' && !(d->open_flags & O_PATH) && is_end(&d->st);
}

/* hung up: every ioctl gives EIO */
static bool is_hung(int fd)
{
	int discipline;

	return ioctl(fd, TIOCGETD, &discipline) && errno == EIO;
}

static int look_at_end(struct checkpoint *c, struct description *d, struct error **err)
{
	struct tty_end *end = calloc(1, sizeof(*end));
	unsigned number = minor(d->st.st_rdev);

	if (!end)
		return error_errno(err, ENOMEM, "looking at terminals");
	d->state = end;
	d->state_free = free;
	end->inside = d->st.st_dev == c->ttys->devpts;
	end->hung = is_hung(d->fd);
	if (major(d->st.st_rdev) == PTS_MAJOR) {
		end->kind = CKPT_TTY_SLAVE;
		end->index = number;
	} else if (number == 2) {
		end->kind = CKPT_TTY_MASTER;
		if (ioctl(d->fd, TIOCGPTN, &end->index))
			return error_errno(err, errno, "asking for the number of a terminal");
	} else {
		uint32_t device = 0;

		/* the terminal's own number, not that of /dev/tty */
		end->kind = CKPT_TTY_CURRENT;
		end->inside = !ioctl(d->fd, TIOCGDEV, &device) && major(device) == PTS_MAJOR;
		end->index = minor(device);
	}
	return 0;
}

static const struct tty_end *end_of(const struct description *d)
{
	return d->kind == &file_kind_tty ? d->state : NULL;
}

static bool has_session(const struct checkpoint *c, const struct pty *p)
{
	vec_for_each (use, &c->ttys->controlled)
		if (use->pty == p->rec.index)
			return true;
	return false;
}

static int end_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	const struct tty_end *end = end_of(d);
	struct pty *p = end && end->inside ? tty_find(c->ttys, end->index) : NULL;

	if (end && end->kind == CKPT_TTY_CURRENT && (end->hung || !p || !has_session(c, p)))
		return description_block(c, d, "let the program close it",
					 "%s of a terminal that controls nobody any more", d->link);
	if (!p)
		return description_block(c, d, "run the container with a terminal of its own",
					 "terminal %s, which is not of the container's /dev/pts",
					 d->link);
	if (!end->hung && !p->console && p->master < 0)
		return description_block(
			c, d, "end the program, or run the container with a terminal",
			"terminal %s, whose other end is outside of the container", d->link);
	return 0;
}

static size_t path_len(const struct description *d)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(d->link), cut = sizeof(deleted) - 1;

	return len > cut && !strcmp(d->link + len - cut, deleted) ? len - cut : len;
}

static int end_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	const struct tty_end *end = end_of(d);
	struct ckpt_tty rec = {
		.id = d->id,
		.open_flags = d->open_flags,
		.kind = end->kind,
		.flags = end->hung ? CKPT_TTY_HUNG : 0,
		.pty = end->index,
		.path_len = path_len(d),
	};

	if (!record_add2(&c->records, CKPT_TTY, &rec, sizeof(rec), d->link, rec.path_len))
		return error_errno(err, ENOMEM, "recording a terminal");
	return 0;
}

/* --- which pairs there are --- */

/* Not by the request alone: the container may have mounted something else there. */
static int find_console(struct checkpoint *c, struct error **err)
{
	__cleanup_fd int fd = -1;
	struct stat st;
	struct pty *p;

	if (!c->request->terminal)
		return 0;
	fd = open_in_root(c->rootfd, CONSOLE, O_PATH | O_NOFOLLOW, 0);
	if (fd < 0 || fstat(fd, &st) || !S_ISCHR(st.st_mode) || major(st.st_rdev) != PTS_MAJOR ||
	    st.st_dev != c->ttys->devpts)
		return 0;
	p = find_or_add(c->ttys, minor(st.st_rdev), err);
	if (!p)
		return -ENOMEM;
	p->console = true;
	p->rec.flags |= CKPT_PTY_CONSOLE | CKPT_PTY_OPENED;
	/* EIO: whoever had the master is gone */
	p->slave = reopen_fd(fd, O_RDWR | O_NOCTTY | O_NONBLOCK);
	return 0;
}

static int add_end(struct checkpoint *c, struct description *d, struct error **err)
{
	int r = look_at_end(c, d, err);
	const struct tty_end *end = d->state;
	struct pty *p;

	if (r || !end->inside)
		return r;
	p = find_or_add(c->ttys, end->index, err);
	if (!p)
		return -ENOMEM;
	if (end->kind == CKPT_TTY_MASTER) {
		p->master = d->fd;
		p->end = d;
		p->rec.flags |= CKPT_PTY_MASTER;
	} else {
		p->rec.flags |= CKPT_PTY_OPENED;
		p->open_slave |= !end->hung;
		p->end = p->end ? p->end : d;
	}
	return 0;
}

static int compare_index(const void *a, const void *b)
{
	const struct pty *x = a, *y = b;

	return x->rec.index < y->rec.index ? -1 : x->rec.index > y->rec.index;
}

static int find_pairs(struct checkpoint *c, struct error **err)
{
	__cleanup_fd int pts = open_in_root(c->rootfd, "/dev/pts", O_PATH, 0);
	struct stat st = {0};
	int r;

	c->ttys = calloc(1, sizeof(*c->ttys));
	if (!c->ttys)
		return error_errno(err, ENOMEM, "looking at terminals");
	if (pts >= 0 && !fstat(pts, &st))
		c->ttys->devpts = st.st_dev;
	r = find_console(c, err);
	for (size_t i = 0; !r && i < c->files->descriptions.count; i++)
		if (c->files->descriptions.items[i]->kind == &file_kind_tty)
			r = add_end(c, c->files->descriptions.items[i], err);
	if (c->ttys->ptys.count)
		qsort(c->ttys->ptys.items, c->ttys->ptys.count, sizeof(*c->ttys->ptys.items),
		      compare_index);
	return r;
}

/* --- who is controlled by them --- */

static int block_controlled(struct checkpoint *c, const struct dump_task *t)
{
	return checkpoint_block(c, t->rec.pid, -1, 0,
				"run the container with a terminal of its own",
				"a controlling terminal that is not the container's");
}

/* The number that the container knows a group by; 0: nobody is in it any more. */
static int find_group(struct checkpoint *c, pid_t group, uint32_t *found, struct error **err)
{
	*found = 0;
	vec_for_each (t, &c->tasks) {
		struct proc_status status;
		int r = proc_status(t->pid, 0, &status, err);

		if (r)
			return r;
		if (status.pgid[0] == group) {
			*found = status.pgid[status.levels - 1];
			return 0;
		}
	}
	return 0;
}

static int admit_controlled(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	const struct proc_stat stat = t->stat;
	struct ckpt_ctty *slot;
	struct pty *p;
	pid_t session;

	if (!stat.tty)
		return 0;
	p = major(stat.tty) == PTS_MAJOR ? tty_find(c->ttys, minor(stat.tty)) : NULL;
	/* the same number may be that of a terminal of the host's */
	if (!p || (p->master < 0 && !p->console) ||
	    (p->master >= 0 && (ioctl(p->master, TIOCGSID, &session) || session != getsid(t->pid))))
		return block_controlled(c, t);
	slot = vec_add(&c->ttys->controlled);
	if (!slot)
		return error_errno(err, ENOMEM, "looking at terminals");
	*slot = (struct ckpt_ctty){t->rec.pid, p->rec.index};
	p->rec.flags |= CKPT_PTY_OPENED;
	return t->rec.sid == t->rec.pid ? find_group(c, stat.foreground, &p->rec.group, err) : 0;
}

/* --- admission --- */

static int admit_pair(struct checkpoint *c, struct pty *p)
{
	int fd = p->slave >= 0 ? p->slave : p->master;
	int discipline = 0, waiting = 0;
	struct pollfd master = {.fd = p->master, .events = POLLIN};

	if (fd < 0)
		return 0;
	/* hung up by its last user, who must have been there */
	if (p->master >= 0 && poll(&master, 1, 0) > 0 && master.revents & POLLHUP)
		p->rec.flags |= CKPT_PTY_OPENED;
	if (!ioctl(fd, TIOCGETD, &discipline) && discipline != N_TTY)
		checkpoint_block(c, p->end ? p->end->task->rec.pid : 0,
				 p->end ? p->end->number : -1, 0,
				 "let the program give it back (TIOCSETD)",
				 "terminal %u with line discipline %d", p->rec.index, discipline);
	if (p->console && !ioctl(fd, FIONREAD, &waiting) && waiting > CONSOLE_INPUT_MAX)
		checkpoint_block(c, 0, -1, 0, "let the program read it",
				 "the container's terminal with %d bytes of input", waiting);
	return 0;
}

static int tty_admit(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r = 0;

	if (t)
		return admit_controlled(c, t, err);
	r = files_gather(c, err);
	if (!r)
		r = find_pairs(c, err);
	if (!r)
		vec_for_each (p, &c->ttys->ptys)
			admit_pair(c, p);
	return r;
}

/* --- dump --- */

/* A description of our own. One that is closed is as it was when we have closed ours too. */
static int open_slave(struct pty *p, struct error **err)
{
	int locked = 0, unlock = 0;

	if (p->slave >= 0 || p->master < 0 || !(p->rec.flags & CKPT_PTY_OPENED))
		return 0;
	if (ioctl(p->master, TIOCGPTLCK, &locked) ||
	    (locked && ioctl(p->master, TIOCSPTLCK, &unlock)))
		return error_errno(err, errno, "unlocking terminal %u", p->rec.index);
	p->slave = ioctl(p->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (p->slave < 0)
		error_errno(err, errno, "opening terminal %u", p->rec.index);
	if (locked)
		ioctl(p->master, TIOCSPTLCK, &locked);
	return p->slave < 0 ? -EIO : 0;
}

static int read_node(struct checkpoint *c, struct pty *p, struct error **err)
{
	__cleanup_fd int fd = -1;
	struct stat st;
	char path[32];

	snprintf(path, sizeof(path), "/dev/pts/%u", p->rec.index);
	fd = open_in_root(c->rootfd, path, O_PATH | O_NOFOLLOW, 0);
	if (fd < 0 || fstat(fd, &st))
		return error_errno(err, fd < 0 ? -fd : errno, "looking at %s", path);
	p->rec.mode = st.st_mode;
	p->rec.uid = st.st_uid;
	p->rec.gid = st.st_gid;
	return 0;
}

_Static_assert(sizeof(struct ckpt_pty) % 8 == 0, "what follows it is aligned");

/* The body of its record. */
static int add_pair(struct pty *p, const struct pty_queues *q, struct buf *to, struct error **err)
{
	const struct buf *parts[] = {&q->lines, &q->input, &q->rest, &q->output};
	bool full;

	p->rec.lines_len = q->lines.len;
	p->rec.input_len = q->input.len;
	p->rec.rest_len = q->rest.len;
	p->rec.output_len = q->output.len;
	full = !buf_add(to, &p->rec, sizeof(p->rec));
	for (unsigned i = 0; !full && i < sizeof(parts) / sizeof(*parts); i++)
		full = (parts[i]->len && !buf_add(to, parts[i]->data, parts[i]->len)) ||
		       buf_align(to, 8);
	return full ? error_errno(err, ENOMEM, "recording terminal %u", p->rec.index) : 0;
}

/* Whatever happens in between: what was taken out is put back. */
static int read_apart(void *ctx, struct buf *result, struct error **err)
{
	struct pty *p = ctx;
	struct pty_queues q = {0};
	struct error *failed = NULL;
	int r = tty_drain(p, &q, err), filled;

	if (!r)
		r = fault_point("tty-drained", err);
	filled = tty_fill(p, &q, r ? &failed : err);
	error_free(failed);
	if (!r)
		r = filled;
	if (!r)
		r = add_pair(p, &q, result, err);
	tty_queues_free(&q);
	return r;
}

/* By a helper that a kill of the runtime does not reach. */
static int save_queues(struct checkpoint *c, struct pty *p, struct error **err)
{
	__cleanup_buf struct buf body = {0};
	int r = apart_run(read_apart, p, &body, err);

	if (!r && !record_add(&c->records, CKPT_PTY, body.data, body.len))
		r = error_errno(err, ENOMEM, "recording terminal %u", p->rec.index);
	return r;
}

static int dump_pair(struct checkpoint *c, struct pty *p, struct error **err)
{
	int r = 0;

	if (p->master >= 0 || p->slave >= 0) {
		r = open_slave(p, err);
		if (!r)
			r = read_node(c, p, err);
		if (!r)
			r = tty_read_state(p, err);
	}
	if (!r)
		r = save_queues(c, p, err);
	if (p->slave >= 0)
		close(p->slave);
	p->slave = -1;
	return r;
}

static int tty_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r = 0;

	if (t)
		return 0;
	vec_for_each (p, &c->ttys->ptys)
		if (!r)
			r = dump_pair(c, p, err);
	if (!r && c->ttys->controlled.count &&
	    !record_add(&c->records, CKPT_CTTY, c->ttys->controlled.items,
			c->ttys->controlled.count * sizeof(*c->ttys->controlled.items)))
		r = error_errno(err, ENOMEM, "recording controlling terminals");
	return r;
}

/* --- the classes' entries --- */

static int tty_load(struct restore *r, struct restore_task *t, const struct record *rec,
		    struct error **err)
{
	if (t)
		return error_set(err, EBADMSG, "is in a core");
	if (!r->ttys)
		r->ttys = calloc(1, sizeof(*r->ttys));
	if (!r->ttys)
		return error_errno(err, ENOMEM, "loading");
	return rec->type == CKPT_PTY ? tty_load_pair(r, rec, err)
				     : tty_load_controlled(r, rec, err);
}

static int tty_objects(struct restore *r, struct restore_task *t, struct error **err)
{
	return tty_make_pairs(r, err);
}

static int tty_cross(struct restore *r, struct restore_task *t, struct error **err)
{
	return tty_finish_pairs(r, err);
}

static void table_free(struct tty_table **table, bool own_masters)
{
	if (!*table)
		return;
	vec_for_each (p, &(*table)->ptys) {
		if (own_masters && p->master >= 0)
			close(p->master);
		if (p->slave >= 0)
			close(p->slave);
	}
	vec_for_each (fd, &(*table)->fillers)
		close(*fd);
	vec_free(&(*table)->ptys);
	vec_free(&(*table)->controlled);
	vec_free(&(*table)->fillers);
	free(*table);
	*table = NULL;
}

static void tty_release(struct checkpoint *c, struct restore *r)
{
	if (c)
		table_free(&c->ttys, false);
	if (r)
		table_free(&r->ttys, true);
}

static const enum ckpt_type types[] = {CKPT_PTY, CKPT_CTTY, 0};

static const char *const not_captured[] = {
	"what was written to the master of a terminal whose other end nobody has opened yet",
	"that a terminal in packet mode was flushed, if something was written to it since",
	"the access times of terminals",
	NULL,
};

const struct resource_class resource_tty = {
	.name = "tty",
	.version = 1,
	.types = types,
	.admit = tty_admit,
	.dump = tty_dump,
	.load = tty_load,
	.restore = {[STAGE_OBJECTS] = tty_objects, [STAGE_CROSS] = tty_cross},
	.release = tty_release,
	.not_captured = not_captured,
};

const struct file_kind file_kind_tty = {
	.type = CKPT_TTY,
	.size = sizeof(struct ckpt_tty),
	.matches = matches,
	.admit = end_admit,
	.dump = end_dump,
	.load = tty_end_load,
	.open = tty_end_open,
};
