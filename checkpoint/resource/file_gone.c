// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files and directories of /proc/PID whose process is gone. They read as such, or (mountinfo)
 * go on; none can be opened any more. So a restore makes a process with that pid, opens what
 * there is of it, and lets it end. That is before any other process is made: another may have
 * the pid by now. A working directory can only be entered as long as that process is there, when
 * the others are too: then nobody else may have its pid.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/engine/tasks.h"
#include "checkpoint/resource/files.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define PID_MAX 4194304 /* PID_MAX_LIMIT */

/* --- a checkpoint --- */

/* The pid in the link, 0 if there is none; *rest is what follows it. */
static uint32_t find_pid(struct checkpoint *c, const struct description *d, const char **rest)
{
	const struct own_root own = {c->rootfd, c->init, c->tasks.items[0].rec.pid};

	for (const char *at = d->link; (at = strchr(at, '/')); at++) {
		unsigned long pid;
		char *end;

		if (!isdigit(at[1]) || !file_proc_is_own(&own, d->link, at - d->link, d->st.st_dev))
			continue;
		pid = strtoul(at + 1, &end, 10);
		*rest = end;
		return pid <= PID_MAX && (!*end || *end == '/' || *end == ' ') ? pid : 0;
	}
	return 0;
}

/* What a process without a life of its own does not have under the same name. */
static bool is_particular(uint32_t pid, const char *rest)
{
	static const char *const directories[] = {"/fd/", "/fdinfo/", "/map_files/"};
	const char task[] = "/task/";

	for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++)
		if (!strncmp(rest, directories[i], strlen(directories[i])))
			return true;
	return !strncmp(rest, task, strlen(task)) && strtoul(rest + strlen(task), NULL, 10) != pid;
}

static bool is_there(struct checkpoint *c, const struct description *d, size_t len)
{
	__cleanup_free char *path = strndup(d->link, len);
	__cleanup_fd int fd = path ? open_in_root(c->rootfd, path, O_PATH | O_NOFOLLOW, 0) : -1;

	return fd >= 0;
}

/* As a process, thread, session or group. */
static bool pid_is_taken(const struct checkpoint *c, uint32_t pid)
{
	vec_for_each (t, &c->tasks) {
		if (t->rec.pid == pid || t->rec.pgid == pid || t->rec.sid == pid)
			return true;
		vec_for_each (th, &t->threads)
			if (th->rec.tid == pid)
				return true;
	}
	return false;
}

bool file_is_gone(struct checkpoint *c, struct description *d)
{
	const char *rest = "";
	uint32_t pid = find_pid(c, d, &rest);

	/* with the pid there but not the file, that was something of a process that lives */
	if (!pid || is_particular(pid, rest) || pid == c->tasks.items[0].rec.pid ||
	    (is_there(c, d, rest - d->link) && !is_there(c, d, file_bare_len(d->link))))
		return false;
	d->gone = pid;
	return true;
}

int file_gone_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	if (d->number >= 0 || !pid_is_taken(c, d->gone))
		return 0;
	return description_block(c, d, "let the program leave it",
				 "the directory \"%s\" of a process that is gone, whose pid is in "
				 "use again",
				 d->link);
}

/* --- a restore --- */

int file_gone_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_file *rec = o->rec;

	if (rec->flags & CKPT_FILE_DELETED || !rec->ghost || rec->ghost > PID_MAX ||
	    (rec->kind != CKPT_FILE_PROC && rec->kind != CKPT_FILE_DIRECTORY &&
	     rec->kind != CKPT_FILE_PATH))
		return error_set(err, EBADMSG, "file %u is malformed", o->id);
	return 0;
}

static int stand_in(struct restore *r, uint32_t pid,
		    int (*look)(void *ctx, const struct restore_task *t, struct error **err),
		    void *ctx, struct error **err)
{
	int ret = stubs_make_ended(r, &r->tasks.items[0], pid, 0, look, ctx, err);

	return ret ? error_wrap(err, "for files of process %u, which is gone", pid) : 0;
}

struct opening {
	struct restore *r;
	uint32_t pid;
};

static int open_all(void *ctx, const struct restore_task *t, struct error **err)
{
	const struct opening *opening = ctx;
	int ret = 0;

	vec_for_each (o, &opening->r->files->objects) {
		const struct ckpt_file *rec = o->rec;

		if (!ret && o->kind == &file_kind_file && o->fd < 0 &&
		    rec->flags & CKPT_FILE_GONE && !(rec->flags & CKPT_FILE_MAPPING) &&
		    rec->ghost == opening->pid)
			ret = file_open_now(opening->r, o, err);
	}
	return ret;
}

int file_gone_open(struct restore *r, const struct file_object *o, struct error **err)
{
	const struct ckpt_file *rec = o->rec;
	struct opening opening = {r, rec->ghost};

	return stand_in(r, opening.pid, open_all, &opening, err);
}

struct visit {
	struct restore *r;
	struct restore_task *t;
	uint32_t pids[2];
	unsigned count;
	int (*fn)(void *ctx, struct error **err);
	void *ctx;
};

static int visit_next(void *ctx, const struct restore_task *t, struct error **err)
{
	struct visit *v = ctx;
	int ret;

	if (v->count)
		return stand_in(v->r, v->pids[--v->count], visit_next, v, err);
	ret = v->fn(v->ctx, err);
	/* t: who stands in for somebody, as long as this takes */
	return ret || !t ? ret : remote_flush(&v->t->remote, err);
}

static uint32_t gone_of(struct restore *r, uint32_t id)
{
	const struct file_object *o = files_object(r, id);
	const struct ckpt_file *rec = o && o->kind == &file_kind_file ? o->rec : NULL;

	return rec && rec->flags & CKPT_FILE_GONE ? rec->ghost : 0;
}

bool file_gone_is_visited(struct restore *r, const struct restore_task *t)
{
	return gone_of(r, t->fs->cwd) || gone_of(r, t->fs->root);
}

int file_gone_visit(struct restore *r, struct restore_task *t,
		    int (*fn)(void *ctx, struct error **err), void *ctx, struct error **err)
{
	struct visit v = {.r = r, .t = t, .fn = fn, .ctx = ctx};
	uint32_t cwd = gone_of(r, t->fs->cwd), root = gone_of(r, t->fs->root);

	if (cwd)
		v.pids[v.count++] = cwd;
	if (root && root != cwd)
		v.pids[v.count++] = root;
	return visit_next(&v, NULL, err);
}
