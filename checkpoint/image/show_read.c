// SPDX-License-Identifier: GPL-2.0-only
/* Collects what `firn image show` shows. Records are looked at, never trusted. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/image/reader.h"
#include "checkpoint/image/show.h"
#include "util/cleanup.h"
#include "util/error.h"

const char *shown_vma_kind(unsigned kind)
{
	static const char *const names[SHOWN_VMA_KINDS] = {"anonymous", "file", "shared", "sysv",
							   "special"};

	return kind < SHOWN_VMA_KINDS ? names[kind] : "unknown";
}

const char *shown_task_state(unsigned state)
{
	static const char *const names[] = {"alive", "stopped", "zombie"};

	return state < 3 ? names[state] : "unknown";
}

static const char *file_kind(unsigned kind)
{
	static const char *const names[] = {"regular", "directory", "device", "fifo",
					    "path",    "proc",	    "memfd"};

	return kind < sizeof(names) / sizeof(*names) ? names[kind] : "unknown";
}

static void copy_comm(char to[17], const char from[16])
{
	memcpy(to, from, 16);
	to[16] = '\0';
}

static char *inet_name(const struct ckpt_inet *inet)
{
	char local[INET6_ADDRSTRLEN] = "?", *name = NULL;
	struct sockaddr_in6 in6;
	struct sockaddr_in in4;
	int port;

	if (inet->family == AF_INET6) {
		memcpy(&in6, inet->local, sizeof(in6));
		inet_ntop(AF_INET6, &in6.sin6_addr, local, sizeof(local));
		port = ntohs(in6.sin6_port);
	} else {
		memcpy(&in4, inet->local, sizeof(in4));
		inet_ntop(AF_INET, &in4.sin_addr, local, sizeof(local));
		port = ntohs(in4.sin_port);
	}
	if (asprintf(&name, "%s%s%s:%d", inet->family == AF_INET6 ? "[" : "", local,
		     inet->family == AF_INET6 ? "]" : "", port) < 0)
		return NULL;
	return name;
}

/* The bytes behind a structure, as a string; an abstract address shows its zero bytes as "@". */
static char *tail_string(const struct record *rec, size_t head, size_t len)
{
	char *s;

	if (!len || rec->len < head || len > rec->len - head)
		return NULL;
	s = malloc(len + 1);
	if (!s)
		return NULL;
	memcpy(s, (const char *)rec->data + head, len);
	s[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (!s[i])
			s[i] = '@';
	return s;
}

static int read_path(const struct record *rec, struct shown_file *f, struct error **err)
{
	const struct ckpt_file *file = record_head(rec, sizeof(*file), err);

	if (!file)
		return -EBADMSG;
	f->id = file->id;
	f->kind = file_kind(file->kind);
	f->pos = file->pos;
	f->deleted = file->flags & (CKPT_FILE_DELETED | CKPT_FILE_GONE);
	f->name = tail_string(rec, sizeof(*file), file->path_len);
	return 0;
}

static int read_unix(const struct record *rec, struct shown_file *f, struct error **err)
{
	const struct ckpt_unix *un = record_head(rec, sizeof(*un), err);

	if (!un)
		return -EBADMSG;
	f->id = un->id;
	f->name = tail_string(rec, sizeof(*un), un->address_len);
	return 0;
}

static int read_inet(const struct record *rec, struct shown_file *f, struct error **err)
{
	const struct ckpt_inet *inet = record_head(rec, sizeof(*inet), err);

	if (!inet)
		return -EBADMSG;
	f->id = inet->id;
	f->kind = inet->type == 1 ? "tcp" : "udp";
	f->name = inet_name(inet);
	return 0;
}

static int read_tty(const struct record *rec, struct shown_file *f, struct error **err)
{
	const struct ckpt_tty *tty = record_head(rec, sizeof(*tty), err);

	if (!tty)
		return -EBADMSG;
	f->id = tty->id;
	f->name = tail_string(rec, sizeof(*tty), tty->path_len);
	return 0;
}

/* The kinds whose record begins with the id and which have no name. */
static int read_nameless(const struct record *rec, struct shown_file *f, struct error **err)
{
	const uint32_t *id = record_head(rec, sizeof(*id), err);

	if (!id)
		return -EBADMSG;
	f->id = *id;
	return 0;
}

static int (*file_reader(enum ckpt_type type))(const struct record *, struct shown_file *,
					       struct error **)
{
	switch (type) {
	case CKPT_FILE:
		return read_path;
	case CKPT_UNIX:
		return read_unix;
	case CKPT_INET:
		return read_inet;
	case CKPT_TTY:
		return read_tty;
	case CKPT_EVENTFD:
	case CKPT_PIDFD:
	case CKPT_NETLINK:
	case CKPT_PACKET:
	case CKPT_NAMESPACE:
	case CKPT_EPOLL:
	case CKPT_TIMERFD:
	case CKPT_SIGNALFD:
	case CKPT_EXTERNAL:
	case CKPT_INOTIFY:
	case CKPT_FANOTIFY:
	case CKPT_MQUEUE_FD:
		return read_nameless;
	default:
		return NULL;
	}
}

/* A pipe's record follows that of the description, which has no path. */
static int name_pipe(struct shown_image *s, const struct record *rec, struct error **err)
{
	const struct ckpt_pipe *p = record_head(rec, sizeof(*p), err);
	struct shown_file *f = s->files.count ? &s->files.items[s->files.count - 1] : NULL;

	if (!p)
		return -EBADMSG;
	if (!f || f->name || strcmp(f->kind, file_kind(CKPT_FILE_FIFO)))
		return 0;
	f->kind = "pipe";
	if (asprintf(&f->name, "%u", p->pipe) < 0)
		f->name = NULL;
	return 0;
}

static int add_file(struct shown_image *s, const struct record *rec, struct error **err)
{
	int (*read)(const struct record *, struct shown_file *, struct error **) =
		file_reader(rec->type);
	struct shown_file *f;

	if (rec->type == CKPT_PIPE)
		return name_pipe(s, rec, err);
	if (!read)
		return 0;
	f = vec_add(&s->files);
	if (!f)
		return error_errno(err, ENOMEM, "reading records");
	f->kind = record_name(rec->type);
	f->generic = rec->type == CKPT_FILE;
	return read(rec, f, err);
}

static int add_task(struct shown_image *s, const struct record *rec, struct error **err)
{
	const struct ckpt_task *task = record_head(rec, sizeof(*task), err);
	struct shown_task *t;

	if (!task)
		return -EBADMSG;
	t = vec_add(&s->tasks);
	if (!t)
		return error_errno(err, ENOMEM, "reading records");
	t->rec = *task;
	copy_comm(t->comm, task->comm);
	return 0;
}

static int add_object(struct shown_image *s, const struct record *rec, struct error **err)
{
	const struct ckpt_memory_object *o = record_head(rec, sizeof(*o), err);

	if (!o)
		return -EBADMSG;
	s->objects++;
	s->object_bytes += o->size;
	s->object_saved += o->data_len;
	return 0;
}

static int add_tmpfs(struct image_reader *r, struct shown_image *s, const struct record *rec,
		     struct error **err)
{
	const struct ckpt_tmpfs *fs = record_head(rec, sizeof(*fs), err);
	const struct manifest_file *f;
	struct shown_tmpfs *n;

	if (!fs)
		return -EBADMSG;
	n = vec_add(&s->tmpfs);
	if (!n)
		return error_errno(err, ENOMEM, "reading records");
	n->point = tail_string(rec, sizeof(*fs), fs->path_len);
	snprintf(n->name, sizeof(n->name), TMPFS_NAME, fs->tmpfs);
	f = manifest_find(image_reader_manifest(r), n->name);
	n->size = f ? f->size : 0;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	const struct shown_file *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int compare_files(const void *a, const void *b)
{
	const struct shown_file *x = a, *y = b;
	int order = compare_ids(a, b);

	return order ? order : (int)x->generic - (int)y->generic;
}

/* By id; of several records about one description the one of its kind says most. */
static void sort_files(struct shown_image *s)
{
	size_t kept = 0;

	if (!s->files.count)
		return;
	qsort(s->files.items, s->files.count, sizeof(*s->files.items), compare_files);
	for (size_t i = 1; i < s->files.count; i++) {
		if (s->files.items[i].id == s->files.items[kept].id)
			free(s->files.items[i].name);
		else
			s->files.items[++kept] = s->files.items[i];
	}
	s->files.count = kept + 1;
}

static const struct shown_file *find_file(const struct shown_image *s, uint32_t id)
{
	struct shown_file key = {.id = id};

	if (!id || !s->files.count)
		return NULL;
	return bsearch(&key, s->files.items, s->files.count, sizeof(key), compare_ids);
}

static int read_shared(struct image_reader *r, struct shown_image *s, struct error **err)
{
	struct record rec;
	const void *stream;
	size_t len, pos = 0;
	int ret = image_reader_records(r, &stream, &len, err);

	while (!ret && record_next(stream, len, &pos, &rec) > 0) {
		if (rec.type == CKPT_TASK)
			ret = add_task(s, &rec, err);
		else if (rec.type == CKPT_MEMORY_OBJECT)
			ret = add_object(s, &rec, err);
		else if (rec.type == CKPT_TMPFS)
			ret = add_tmpfs(r, s, &rec, err);
		else
			ret = add_file(s, &rec, err);
	}
	if (!ret)
		sort_files(s);
	return ret;
}

/* --- the tree --- */

struct child {
	uint32_t ppid;
	size_t index;
};

static int compare_children(const void *a, const void *b)
{
	const struct child *x = a, *y = b;

	if (x->ppid != y->ppid)
		return x->ppid < y->ppid ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static size_t first_child(const struct child *children, size_t count, uint32_t ppid)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (children[middle].ppid < ppid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * Appends the task with this index and its descendants to order. Without
 * recursion, and each task once: the parents in an image may form a loop.
 */
static void place(struct shown_image *s, const struct child *children, size_t index, size_t *stack,
		  bool *seen, size_t *order, size_t *placed)
{
	size_t count = s->tasks.count, depth = 1;

	stack[0] = index;
	seen[index] = true;
	while (depth) {
		size_t i = stack[--depth], c;
		const struct shown_task *t = &s->tasks.items[i];

		order[(*placed)++] = i;
		c = first_child(children, count, t->rec.pid);
		while (c < count && children[c].ppid == t->rec.pid)
			c++;
		/* backwards, so that the first child comes off the stack first */
		while (c > 0 && children[c - 1].ppid == t->rec.pid) {
			size_t child = children[--c].index;

			if (seen[child])
				continue;
			seen[child] = true;
			s->tasks.items[child].depth = t->depth + 1;
			stack[depth++] = child;
		}
	}
}

static int sort_tree(struct shown_image *s, struct error **err)
{
	size_t count = s->tasks.count, placed = 0;
	__cleanup_free struct child *children = calloc(count + 1, sizeof(*children));
	__cleanup_free size_t *stack = calloc(count + 1, sizeof(*stack));
	__cleanup_free size_t *order = calloc(count + 1, sizeof(*order));
	__cleanup_free bool *seen = calloc(count + 1, sizeof(*seen));
	struct shown_task *sorted;

	if (!children || !stack || !order || !seen)
		return error_errno(err, ENOMEM, "reading records");
	for (size_t i = 0; i < count; i++)
		children[i] = (struct child){s->tasks.items[i].rec.ppid, i};
	qsort(children, count, sizeof(*children), compare_children);
	for (size_t i = 0; i < count; i++)
		if (!s->tasks.items[i].rec.ppid && !seen[i])
			place(s, children, i, stack, seen, order, &placed);
	for (size_t i = 0; i < count; i++)
		if (!seen[i])
			place(s, children, i, stack, seen, order, &placed);
	sorted = calloc(count + 1, sizeof(*sorted));
	if (!sorted)
		return error_errno(err, ENOMEM, "reading records");
	for (size_t i = 0; i < count; i++)
		sorted[i] = s->tasks.items[order[i]];
	free(s->tasks.items);
	s->tasks.items = sorted;
	s->tasks.size = count + 1;
	return 0;
}

/* --- a process --- */

static int add_vmas(struct shown_task *t, const struct record *rec)
{
	const struct ckpt_vma *vma = rec->data;

	for (size_t i = 0; i < rec->len / sizeof(*vma); i++) {
		if (vma[i].kind < SHOWN_VMA_KINDS)
			t->bytes[vma[i].kind] += vma[i].end - vma[i].start;
		t->mappings++;
	}
	return 0;
}

static int add_fds(const struct shown_image *s, struct shown_task *t, const struct record *rec)
{
	const struct ckpt_fd *fd = rec->data;

	for (size_t i = 0; i < rec->len / sizeof(*fd); i++) {
		struct shown_fd *n = vec_add(&t->fds);

		if (!n)
			return -ENOMEM;
		n->fd = fd[i].fd;
		n->description = fd[i].description;
		n->cloexec = fd[i].flags & CKPT_FD_CLOEXEC;
		n->file = find_file(s, fd[i].description);
	}
	return 0;
}

static int add_thread(struct shown_task *t, const struct ckpt_thread *thread)
{
	struct shown_thread *n = vec_add(&t->threads);

	if (!n)
		return -ENOMEM;
	n->tid = thread->tid;
	copy_comm(n->comm, thread->comm);
	return 0;
}

/* It has the process's pid and name. */
static int add_exited(struct shown_task *t, const struct ckpt_exited *exited)
{
	struct shown_thread *n = vec_add(&t->threads);

	if (!n)
		return -ENOMEM;
	*n = (struct shown_thread){
		.tid = t->rec.pid, .exited = true, .exit_code = exited->exit_code};
	memcpy(n->comm, t->comm, sizeof(n->comm));
	return 0;
}

static int add_record(const struct shown_image *s, struct shown_task *t, const struct record *rec,
		      struct error **err)
{
	const struct ckpt_exited *exited;
	const struct ckpt_thread *thread;
	const struct ckpt_mm *mm;
	const struct ckpt_fs *fs;
	int r = 0;

	switch (rec->type) {
	case CKPT_VMAS:
		r = add_vmas(t, rec);
		break;
	case CKPT_FDS:
		r = add_fds(s, t, rec);
		break;
	case CKPT_THREAD:
		thread = record_head(rec, sizeof(*thread), err);
		if (!thread)
			return -EBADMSG;
		r = add_thread(t, thread);
		break;
	case CKPT_EXITED:
		exited = record_head(rec, sizeof(*exited), err);
		if (!exited)
			return -EBADMSG;
		r = add_exited(t, exited);
		break;
	case CKPT_MM:
		mm = record_head(rec, sizeof(*mm), err);
		if (!mm)
			return -EBADMSG;
		t->exe = find_file(s, mm->exe);
		break;
	case CKPT_FS:
		fs = record_head(rec, sizeof(*fs), err);
		if (!fs)
			return -EBADMSG;
		t->cwd = find_file(s, fs->cwd);
		break;
	default:
		break;
	}
	return r ? error_errno(err, -r, "reading records") : 0;
}

static int read_task(struct image_reader *r, const struct shown_image *s, struct shown_task *t,
		     struct error **err)
{
	char name[IMAGE_NAME_MAX];
	struct record rec;
	struct core core;
	size_t pos = 0;
	int ret;

	if (t->rec.state == CKPT_TASK_ZOMBIE)
		return 0;
	ret = core_read(r, t->rec.pid, &core, err);
	if (ret)
		return ret;
	while (!ret && record_next(core.records, core.records_len, &pos, &rec) > 0)
		ret = add_record(s, t, &rec, err);
	t->saved = core.pages.data_len;
	core_free(&core);
	snprintf(name, sizeof(name), "task-%u.core", t->rec.pid);
	return ret ? image_reader_wrap(r, name, ret, err) : 0;
}

int shown_image_read(struct image_reader *r, struct shown_image *s, struct error **err)
{
	int ret = read_shared(r, s, err);

	if (ret)
		return image_reader_wrap(r, "container.rec", ret, err);
	ret = sort_tree(s, err);
	vec_for_each (t, &s->tasks) {
		if (!ret)
			ret = read_task(r, s, t, err);
	}
	return ret;
}

void shown_image_free(struct shown_image *s)
{
	vec_for_each (f, &s->files)
		free(f->name);
	vec_free(&s->files);
	vec_for_each (fs, &s->tmpfs)
		free(fs->point);
	vec_free(&s->tmpfs);
	vec_for_each (t, &s->tasks) {
		vec_free(&t->threads);
		vec_free(&t->fds);
	}
	vec_free(&s->tasks);
}
