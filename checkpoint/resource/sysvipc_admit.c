// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which attachments of System V shared memory can be made again. An attachment outlives its
 * segment's namespace, and the process's stay in it; and the file behind it says no more than the
 * id, which other namespaces have, too. So it is compared with what the id means in the container.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "checkpoint/resource/sysvipc.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define PAGE	   4096ull
#define HANDLE_MAX 64

/* All segments are on one file system, with their ids as inode numbers: handles tell them apart. */
struct identity {
	dev_t dev;
	ino_t ino;
	struct file_handle handle;
	uint8_t bytes[HANDLE_MAX];
};

struct segment {
	uint32_t id;
	uint64_t size; /* in whole pages; 0: the container has none with this id */
	struct identity file;
};

struct admission {
	struct checkpoint *c;
	VEC(struct segment) segments; /* that were looked at */
};

static int identify(int fd, struct identity *i, struct error **err)
{
	struct stat st;
	int mount;

	if (fstat(fd, &st))
		return error_errno(err, errno, "looking at shared memory");
	i->dev = st.st_dev;
	i->ino = st.st_ino;
	i->handle.handle_bytes = HANDLE_MAX;
	/* kernels without CONFIG_FHANDLE have none */
	if (name_to_handle_at(fd, "", &i->handle, &mount, AT_EMPTY_PATH))
		i->handle.handle_bytes = 0;
	return 0;
}

static bool is_same(const struct identity *a, const struct identity *b)
{
	return a->dev == b->dev && a->ino == b->ino &&
	       a->handle.handle_bytes == b->handle.handle_bytes &&
	       !memcmp(a->handle.f_handle, b->handle.f_handle, a->handle.handle_bytes);
}

static int look_up(struct segment *s, struct error **err)
{
	__cleanup_fd int fd = -1;
	struct shmid_ds ds;
	int r;

	if (shmctl(s->id, IPC_STAT, &ds))
		return errno == EINVAL || errno == EIDRM
			       ? 0
			       : error_errno(err, errno, "looking at shared memory %u", s->id);
	r = sysvipc_open_segment(s->id, ds.shm_segsz, O_PATH, &fd, err);
	if (!r)
		r = identify(fd, &s->file, err);
	s->size = (ds.shm_segsz + PAGE - 1) & ~(PAGE - 1);
	return r;
}

static const struct segment *find_segment(struct admission *a, uint32_t id, struct error **err)
{
	struct segment *added;

	vec_for_each (s, &a->segments)
		if (s->id == id)
			return s;
	added = vec_add(&a->segments);
	if (!added) {
		error_errno(err, ENOMEM, "looking at shared memory");
		return NULL;
	}
	added->id = id;
	return look_up(added, err) ? NULL : added;
}

static int is_of_segment(const struct dump_task *t, const struct ckpt_vma *v,
			 const struct segment *s, bool *same, struct error **err)
{
	struct identity file = {0};
	__cleanup_fd int fd = open_fmt(O_PATH, "/proc/%d/map_files/%llx-%llx", t->speaker,
				       (unsigned long long)v->start, (unsigned long long)v->end);
	int r;

	if (fd < 0)
		return error_errno(err, -fd, "opening what process %u has mapped at 0x%llx",
				   t->rec.pid, (unsigned long long)v->start);
	r = identify(fd, &file, err);
	*same = !r && s->size && is_same(&file, &s->file);
	return r;
}

static int admit_attachment(struct admission *a, struct dump_task *t, const struct ckpt_vma *v,
			    struct error **err)
{
	const struct segment *s = find_segment(a, v->source, err);
	bool same;
	int r;

	if (!s)
		return -error_code(*err);
	r = is_of_segment(t, v, s, &same, err);
	if (r)
		return r;
	if (!same)
		return checkpoint_block(
			a->c, t->rec.pid, -1, v->start, "detach it, or end the process",
			"System V shared memory %u of another IPC namespace", v->source);
	if (v->offset > s->size || v->end - v->start > s->size - v->offset)
		return checkpoint_block(
			a->c, t->rec.pid, -1, v->start, "unmap what is behind its end",
			"a mapping beyond the end of System V shared memory %u", v->source);
	return 0;
}

static int for_each_attachment(struct admission *a,
			       int (*fn)(struct admission *a, struct dump_task *t,
					 const struct ckpt_vma *v, struct error **err),
			       struct error **err)
{
	int r = 0;

	vec_for_each (t, &a->c->tasks)
		vec_for_each (v, &t->vmas)
			if (!r && v->rec.kind == CKPT_VMA_SHM)
				r = fn(a, t, &v->rec, err);
	return r;
}

static int block_hosts(struct admission *a, struct dump_task *t, const struct ckpt_vma *v,
		       struct error **err)
{
	return checkpoint_block(a->c, t->rec.pid, -1, v->start,
				"give the container an IPC namespace of its own",
				"System V shared memory %u of the host", v->source);
}

static int admit_inside(void *ctx, struct error **err)
{
	return for_each_attachment(ctx, admit_attachment, err);
}

static bool has_attachments(const struct checkpoint *c)
{
	vec_for_each (t, &c->tasks)
		vec_for_each (v, &t->vmas)
			if (v->rec.kind == CKPT_VMA_SHM)
				return true;
	return false;
}

int sysvipc_admit(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	struct admission a = {.c = c};
	int r;

	if (t || !has_attachments(c))
		return 0;
	r = same_namespace(c->init, "ipc", err);
	if (r > 0)
		r = for_each_attachment(&a, block_hosts, err);
	else if (!r)
		r = in_namespaces(c->init, CLONE_NEWIPC, admit_inside, &a, err);
	vec_free(&a.segments);
	return r;
}
