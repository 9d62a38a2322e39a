// SPDX-License-Identifier: GPL-2.0-only
/*
 * fanotify: what is marked, with which masks; inodes, mounts, and whole file systems. As
 * with inotify there is no checkpoint while events wait to be read. A group that somebody
 * without privileges has made hides who caused an event: it is made without them again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/resource/inotify.h"
#include "checkpoint/user/ns.h"
#include "checkpoint/user/proc.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#ifndef FAN_MARK_EVICTABLE
#define FAN_MARK_EVICTABLE 0x200
#endif
#ifndef FAN_MARK_IGNORE
#define FAN_MARK_IGNORE 0x400
#endif

#define PATH_LEN   4096
#define MARK_FLAGS (FAN_MARK_IGNORED_SURV_MODIFY | FAN_MARK_EVICTABLE | FAN_MARK_IGNORE)

struct mark {
	struct ckpt_fanotify_mark rec;
	char *path;
};

struct group {
	struct ckpt_fanotify rec;
	VEC(struct mark) marks;
	watch_vec inodes; /* of the marks of inodes, in their order */
};

static bool matches(const struct description *d)
{
	return !strcmp(d->link, "anon_inode:[fanotify]");
}

static void free_group(void *state)
{
	struct group *g = state;

	vec_for_each (m, &g->marks)
		free(m->path);
	vec_free(&g->marks);
	watches_free(&g->inodes);
	free(g);
}

/* --- a checkpoint --- */

/* Where the mount with this id, or one of this file system, is: "ID PARENT MAJOR:MINOR ROOT POINT"
 */
static char *find_mount(const char *mountinfo, int id, uint32_t dev)
{
	for (const char *line = mountinfo; line && *line;) {
		unsigned major, minor;
		char *point = NULL;
		int found;

		if (sscanf(line, "%d %*d %u:%u %*s %ms", &found, &major, &minor, &point) == 4 &&
		    (id >= 0 ? found == id : (major << 20 | minor) == dev))
			return point;
		free(point);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return NULL;
}

static int add_mark(struct group *g, uint32_t kind, unsigned flags, unsigned mask, unsigned ignored,
		    char *path, struct error **err)
{
	struct mark *m = vec_add(&g->marks);

	if (!m) {
		free(path);
		return error_errno(err, ENOMEM, "looking at fanotify marks");
	}
	m->rec = (struct ckpt_fanotify_mark){
		.kind = kind, .flags = flags & MARK_FLAGS, .mask = mask, .ignored = ignored};
	m->path = path;
	return 0;
}

static int add_inode(struct group *g, const char *line, const struct watch *found, unsigned flags,
		     unsigned ignored, struct error **err)
{
	struct watch *w = vec_add(&g->inodes);

	if (!w)
		return error_errno(err, ENOMEM, "looking at fanotify marks");
	*w = *found;
	if (watch_parse_handle(line, w))
		return error_set(err, EPROTO, "a fanotify mark is not understood: %.80s", line);
	return add_mark(g, CKPT_MARK_INODE, flags, w->mask, ignored, NULL, err);
}

static int parse_line(struct group *g, const char *line, const char *mountinfo, struct error **err)
{
	unsigned flags, mask, ignored, dev;
	unsigned long long ino;
	struct watch w = {0};
	int mount;

	if (sscanf(line, "fanotify flags:%x event-flags:%x", &g->rec.flags, &g->rec.event_flags) ==
	    2)
		return 0;
	if (sscanf(line, "fanotify ino:%llx sdev:%x mflags:%x mask:%x ignored_mask:%x", &ino,
		   &w.dev, &flags, &w.mask, &ignored) == 5) {
		w.ino = ino;
		return add_inode(g, line, &w, flags, ignored, err);
	}
	if (sscanf(line, "fanotify mnt_id:%x mflags:%x mask:%x ignored_mask:%x", (unsigned *)&mount,
		   &flags, &mask, &ignored) == 4)
		return add_mark(g, CKPT_MARK_MOUNT, flags, mask, ignored,
				find_mount(mountinfo, mount, 0), err);
	if (sscanf(line, "fanotify sdev:%x mflags:%x mask:%x ignored_mask:%x", &dev, &flags, &mask,
		   &ignored) == 4)
		return add_mark(g, CKPT_MARK_FILESYSTEM, flags, mask, ignored,
				find_mount(mountinfo, -1, dev), err);
	if (!strncmp(line, "fanotify ", 9))
		return error_set(err, EPROTO, "a fanotify mark is not understood: %.80s", line);
	return 0;
}

static int parse(struct checkpoint *c, const struct description *d, struct group *g,
		 struct error **err)
{
	__cleanup_free char *mountinfo = NULL;
	size_t next = 0;
	int r = proc_read(&mountinfo, NULL, "%d/mountinfo", c->init);

	if (r)
		return error_errno(err, -r, "reading the container's mounts");
	for (const char *line = d->fdinfo; !r && line && *line;) {
		r = parse_line(g, line, mountinfo, err);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	if (!r)
		r = watches_find(c, &g->inodes, err);
	vec_for_each (m, &g->marks)
		if (!r && m->rec.kind == CKPT_MARK_INODE) {
			m->path = g->inodes.items[next].path;
			g->inodes.items[next++].path = NULL;
		}
	return r;
}

/* Who may administrate the host would have made a privileged group. */
static int is_privileged(struct checkpoint *c, const struct description *d, struct error **err)
{
	const struct proc_status *status = &d->task->threads.items[0].status;
	int r = same_namespace(c->init, "user", err);

	return r <= 0 ? r : !!(status->caps[2] & (1ull << CAP_SYS_ADMIN));
}

static int fanotify_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	struct group *g = calloc(1, sizeof(*g));
	int waiting = 0, r;

	if (!g)
		return error_errno(err, ENOMEM, "looking at fanotify marks");
	d->state = g;
	d->state_free = free_group;
	if (ioctl(d->fd, FIONREAD, &waiting) || waiting)
		description_block(c, d, "let the program read them",
				  "fanotify descriptor with events that were not read (%d bytes)",
				  waiting);
	r = parse(c, d, g, err);
	if (r)
		return r;
	vec_for_each (m, &g->marks)
		if (!m->path || strlen(m->path) > PATH_LEN)
			description_block(c, d, "let the program remove the mark",
					  "fanotify mark of something whose path cannot be found");
	r = is_privileged(c, d, err);
	g->rec.privileged = r > 0;
	return r < 0 ? r : 0;
}

static int fanotify_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	struct group *g = d->state;
	__cleanup_buf struct buf tail = {0};

	g->rec.id = d->id;
	g->rec.open_flags = d->open_flags;
	g->rec.marks = g->marks.count;
	vec_for_each (m, &g->marks) {
		m->rec.path_len = strlen(m->path);
		if (!buf_add(&tail, &m->rec, sizeof(m->rec)) ||
		    !buf_add(&tail, m->path, m->rec.path_len) || buf_align(&tail, 8))
			return error_errno(err, ENOMEM, "recording fanotify marks");
	}
	if (!record_add2(&c->records, CKPT_FANOTIFY, &g->rec, sizeof(g->rec), tail.data, tail.len))
		return error_errno(err, ENOMEM, "recording fanotify marks");
	return 0;
}

/* --- a restore --- */

static const struct ckpt_fanotify_mark *next_mark(const char **tail, size_t *left)
{
	const struct ckpt_fanotify_mark *m = (const void *)*tail;
	size_t len;

	if (*left < sizeof(*m))
		return NULL;
	len = sizeof(*m) + ((m->path_len + 7ull) & ~7ull);
	if (!m->path_len || m->path_len > PATH_LEN || *left < len)
		return NULL;
	*tail += len;
	*left -= len;
	return m;
}

/* Without the permission to administrate only what stays inside may be marked. */
static bool mark_is_sane(const struct ckpt_fanotify *rec, const struct ckpt_fanotify_mark *m)
{
	const char *path = (const char *)(m + 1);

	return m->kind <= CKPT_MARK_FILESYSTEM && (rec->privileged || m->kind == CKPT_MARK_INODE) &&
	       !(m->flags & ~MARK_FLAGS) && *path == '/' && !memchr(path, 0, m->path_len);
}

static int fanotify_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_fanotify *rec = o->rec;
	const struct ckpt_fanotify_mark *m;
	const char *tail = o->tail;
	size_t left = o->tail_len;
	uint32_t count = 0;

	for (; (m = next_mark(&tail, &left)); count++)
		if (!mark_is_sane(rec, m))
			return error_set(err, EBADMSG, "fanotify mark %u is malformed", count + 1);
	if (left || count != rec->marks || rec->privileged > 1)
		return error_set(err, EBADMSG, "fanotify %u is malformed", o->id);
	/* whom config.json gives no such right could not have made it */
	if (rec->privileged && r->request->caps_bounded &&
	    !(r->request->caps_allowed & (1ull << CAP_SYS_ADMIN))) {
		error_set(err, EPERM, "fanotify %u wants CAP_SYS_ADMIN", o->id);
		return error_hint(err, "config.json does not allow it");
	}
	return 0;
}

struct make {
	const struct ckpt_fanotify *rec;
	int fd;
};

/* In a thread of its own, which gives up the right to administrate. */
static int make_group(void *ctx, struct error **err)
{
	struct make *make = ctx;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return error_errno(err, errno, "reading capabilities");
	if (!make->rec->privileged) {
		data[0].effective &= ~(1u << CAP_SYS_ADMIN);
		if (syscall(SYS_capset, &header, data))
			return error_errno(err, errno, "giving up a capability");
	}
	make->fd = fanotify_init(make->rec->flags | FAN_CLOEXEC, make->rec->event_flags);
	return make->fd < 0 ? error_errno(err, errno, "making a fanotify descriptor") : 0;
}

static int fanotify_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_fanotify *rec = o->rec;
	const struct ckpt_fanotify_mark *m;
	const char *tail = o->tail;
	size_t left = o->tail_len;
	struct make make = {.rec = rec, .fd = -1};
	int ret = 0;

	while (!ret && (m = next_mark(&tail, &left)))
		ret = file_check_readable(r, (const char *)(m + 1), m->path_len, err);
	if (!ret)
		ret = in_thread(make_group, &make, err);
	o->fd = make.fd;
	return ret ? ret : files_set_flags(o->fd, rec->open_flags, err);
}

static int set_mark(struct restore *r, int fd, const struct ckpt_fanotify_mark *m,
		    struct error **err)
{
	static const unsigned kinds[] = {0, FAN_MARK_MOUNT, FAN_MARK_FILESYSTEM};
	__cleanup_free char *path = strndup((const char *)(m + 1), m->path_len);
	__cleanup_fd int target =
		path ? open_in_root(r->rootfd, path, O_PATH | O_NOFOLLOW, 0) : -ENOMEM;
	unsigned flags = FAN_MARK_ADD | kinds[m->kind] | (m->flags & FAN_MARK_EVICTABLE);
	unsigned ignore = m->flags & FAN_MARK_IGNORE ? FAN_MARK_IGNORE : FAN_MARK_IGNORED_MASK;
	char self[64];

	if (target < 0) {
		error_errno(err, -target, "opening \"%s\" for a fanotify mark", path ? path : "?");
		return error_hint(err, "the root file system must be as at the checkpoint");
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", target);
	ignore |= m->flags & FAN_MARK_IGNORED_SURV_MODIFY;
	if ((m->mask && fanotify_mark(fd, flags, m->mask, AT_FDCWD, self)) ||
	    (m->ignored && fanotify_mark(fd, flags | ignore, m->ignored, AT_FDCWD, self)))
		return error_errno(err, errno, "marking \"%s\"", path);
	return 0;
}

static int fanotify_arm(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_fanotify_mark *m;
	const char *tail = o->tail;
	size_t left = o->tail_len;
	int ret = 0;

	while (!ret && (m = next_mark(&tail, &left)))
		ret = set_mark(r, o->fd, m, err);
	return ret;
}

const struct file_kind file_kind_fanotify = {
	.type = CKPT_FANOTIFY,
	.size = sizeof(struct ckpt_fanotify),
	.matches = matches,
	.admit = fanotify_admit,
	.dump = fanotify_dump,
	.load = fanotify_load,
	.open = fanotify_open,
	.arm = fanotify_arm,
};
