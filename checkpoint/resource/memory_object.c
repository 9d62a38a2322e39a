// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/resource/memory_object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "checkpoint/resource/resource.h"
#include "checkpoint/user/pages.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define PAGE	     4096ULL
#define OBJECT_MAX   (1ULL << 46) /* bytes; no address space holds a larger one */
#define OBJECT_NAME  "object-%u.mem"
#define OBJECT_FLAGS CKPT_OBJECT_MEMFD

static void object_free(struct memory_object *o)
{
	if (o->fd >= 0)
		close(o->fd);
	page_area_free(&o->area);
	free(o);
}

/* --- a checkpoint --- */

static bool is_memfd(int fd)
{
	__cleanup_free char *target = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	target = read_link(AT_FDCWD, path);
	return target && !strncmp(target, MEMFD_PREFIX, sizeof(MEMFD_PREFIX) - 1);
}

int memory_object_register(struct checkpoint *c, int fd, uint64_t size, uint32_t *object,
			   struct error **err)
{
	struct memory_object *o, **slot;
	struct stat st;

	if (fstat(fd, &st))
		return error_errno(err, errno, "looking at shared memory");
	vec_for_each (known, &c->objects)
		if ((*known)->dev == st.st_dev && (*known)->ino == st.st_ino) {
			*object = (*known)->rec.object;
			return 0;
		}
	o = calloc(1, sizeof(*o));
	if (!o)
		return error_errno(err, ENOMEM, "registering shared memory");
	o->rec.object = c->objects.count + 1;
	o->rec.flags = is_memfd(fd) ? CKPT_OBJECT_MEMFD : 0;
	o->rec.size = size;
	o->dev = st.st_dev;
	o->ino = st.st_ino;
	/* an fd of our own reads whatever mode the caller's has, and has its own offset */
	o->fd = reopen_fd(fd, O_RDONLY);
	slot = o->fd < 0 ? NULL : vec_add(&c->objects);
	if (o->fd < 0) {
		int r = o->fd;

		object_free(o);
		error_errno(err, -r, "opening shared memory");
		return r != -EMFILE
			       ? r
			       : error_hint(err, "each piece of shared memory takes a descriptor: "
						 "raise the limit (ulimit -n)");
	}
	if (!slot) {
		object_free(o);
		return error_errno(err, ENOMEM, "registering shared memory");
	}
	*slot = o;
	*object = o->rec.object;
	return o->rec.flags & CKPT_OBJECT_MEMFD ? memfd_describe(o, err) : 0;
}

static int set_runs(struct memory_object *o, page_run_vec *runs, struct error **err)
{
	o->area.runs = runs->items;
	o->area.run_count = runs->count;
	return pages_layout(&o->area, 0, err);
}

static int find_runs(struct memory_object *o, struct error **err)
{
	page_run_vec runs = {0};
	off_t start = 0, end;
	int r;

	if (memfd_is_huge(o)) {
		r = memfd_find_runs(o, &runs, err);
		if (r)
			vec_free(&runs);
		return r ? r : set_runs(o, &runs, err);
	}

	while ((start = lseek(o->fd, start, SEEK_DATA)) >= 0) {
		struct ckpt_page_run *run;

		end = lseek(o->fd, start, SEEK_HOLE);
		if (end < 0)
			break;
		start &= ~(PAGE - 1);
		end = (end + PAGE - 1) & ~(PAGE - 1);
		run = vec_add(&runs);
		if (!run) {
			vec_free(&runs);
			return error_errno(err, ENOMEM, "listing shared memory");
		}
		*run = (struct ckpt_page_run){
			.address = start, .len = end - start, .kind = CKPT_PAGES_DATA};
		start = end;
	}
	if (errno != ENXIO) { /* the end */
		r = error_errno(err, errno, "looking for data in shared memory");
		vec_free(&runs);
		return r;
	}
	return set_runs(o, &runs, err);
}

static int object_record(struct checkpoint *c, struct memory_object *o, struct error **err)
{
	__cleanup_buf struct buf rows = {0};
	const struct page_area *area = &o->area;

	o->rec.data_offset = area->data_offset;
	o->rec.data_len = area->data_len;
	o->rec.runs = area->run_count;
	o->rec.checksums = area->checksum_count;
	if ((area->run_count &&
	     !buf_add(&rows, area->runs, area->run_count * sizeof(*area->runs))) ||
	    (area->checksum_count &&
	     !buf_add(&rows, area->checksums, area->checksum_count * sizeof(*area->checksums))) ||
	    !record_add2(&c->records, CKPT_MEMORY_OBJECT, &o->rec, sizeof(o->rec), rows.data,
			 rows.len))
		return error_errno(err, ENOMEM, "recording shared memory");
	return 0;
}

static int dump_object(struct checkpoint *c, struct memory_object *o, struct error **err)
{
	struct page_memory from = {.object = o->fd};
	struct page_options options = {.cancel = c->request->cancel};
	struct image_file *f;
	char name[32];
	int r = find_runs(o, err);

	if (r)
		return r;
	snprintf(name, sizeof(name), OBJECT_NAME, o->rec.object);
	r = image_add_file(c->image, name, &f, err);
	if (!r)
		r = pages_dump(&from, &o->area, image_file_fd(f), name, &options, err);
	if (!r)
		r = image_file_checked(f, 0, o->area.data_len, 0, err);
	c->page_bytes += o->area.data_len;
	return r ? r : object_record(c, o, err);
}

static int memory_object_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r = 0;

	if (t)
		return 0;
	for (size_t i = 0; !r && i < c->objects.count; i++) {
		r = dump_object(c, c->objects.items[i], err);
		if (!r)
			r = memfd_record(c, c->objects.items[i], err);
	}
	return r;
}

/* --- a restore --- */

struct memory_object *memory_object_find(struct restore *r, uint32_t object, struct error **err)
{
	vec_for_each (o, &r->objects)
		if ((*o)->rec.object == object)
			return *o;
	error_set(err, EBADMSG, "there is no memory object %u", object);
	return NULL;
}

static void *copy(const void *data, size_t size)
{
	void *p = malloc(size ? size : 1);

	return p && size ? memcpy(p, data, size) : p;
}

static int load_rows(struct memory_object *o, const struct record *rec, struct error **err)
{
	const struct ckpt_memory_object *head = rec->data;
	const struct ckpt_page_run *runs = (const void *)(head + 1);
	size_t left = rec->len - sizeof(*head), runs_size;

	if (head->runs > left / sizeof(*runs))
		return error_set(err, EBADMSG, "memory object %u has fewer runs than it says",
				 head->object);
	runs_size = head->runs * sizeof(*runs);
	left -= runs_size;
	if (left % sizeof(uint64_t) || head->checksums != left / sizeof(uint64_t))
		return error_set(err, EBADMSG, "memory object %u has not the checksums it says",
				 head->object);
	o->area = (struct page_area){
		.runs = copy(runs, runs_size),
		.run_count = head->runs,
		.checksums = copy(runs + head->runs, left),
		.checksum_count = head->checksums,
		.data_offset = head->data_offset,
		.data_len = head->data_len,
	};
	if (!o->area.runs || !o->area.checksums)
		return error_errno(err, ENOMEM, "loading memory object %u", head->object);
	return 0;
}

static int check_object(struct restore *r, struct memory_object *o, struct error **err)
{
	uint64_t limit = (o->rec.size + PAGE - 1) & ~(PAGE - 1), file_size;
	const struct page_area *area = &o->area;
	char name[32];
	int fd, ret;

	snprintf(name, sizeof(name), OBJECT_NAME, o->rec.object);
	ret = image_reader_file(r->image, name, &fd, &file_size, err);
	if (!ret)
		ret = page_area_validate(area, file_size, err);
	if (ret)
		return error_wrap(err, "\"%s\"", name);
	for (size_t i = 0; i < area->run_count; i++) {
		if (area->runs[i].address + area->runs[i].len > limit)
			return error_set(err, EBADMSG, "\"%s\" has pages behind its end", name);
		if (area->runs[i].kind == CKPT_PAGES_INHERITED)
			return error_set(err, EBADMSG, "\"%s\" has pages of a process", name);
	}
	return 0;
}

static int memory_object_load(struct restore *r, struct restore_task *t, const struct record *rec,
			      struct error **err)
{
	const struct ckpt_memory_object *head;
	struct memory_object *o, **slot;
	int ret;

	if (rec->type == CKPT_MEMFD && !t)
		return memfd_load(r, rec, err);
	head = record_head(rec, sizeof(*head), err);
	if (!head)
		return -EBADMSG;
	if (t || !head->object || head->flags & ~OBJECT_FLAGS || head->size > OBJECT_MAX)
		return error_set(err, EBADMSG, "memory object %u cannot be", head->object);
	vec_for_each (known, &r->objects)
		if ((*known)->rec.object == head->object)
			return error_set(err, EBADMSG, "memory object %u is there twice",
					 head->object);
	o = calloc(1, sizeof(*o));
	slot = o ? vec_add(&r->objects) : NULL;
	if (!slot) {
		free(o);
		return error_errno(err, ENOMEM, "loading memory object %u", head->object);
	}
	*slot = o;
	o->fd = -1;
	o->rec = *head;
	ret = load_rows(o, rec, err);
	return ret ? ret : check_object(r, o, err);
}

static int fill(struct restore *r, struct memory_object *o, int fd, struct error **err)
{
	struct page_memory to = {.object = fd};
	struct page_options options = {.cancel = r->request->cancel};
	char name[32];
	uint64_t size;
	int file, ret;

	snprintf(name, sizeof(name), OBJECT_NAME, o->rec.object);
	ret = image_reader_file(r->image, name, &file, &size, err);
	if (!ret && memfd_is_huge(o))
		ret = memfd_fill_huge(r, o, fd, file, name, err);
	else if (!ret)
		ret = pages_load(&to, &o->area, file, name, &options, err);
	r->page_bytes += o->area.data_len;
	return ret;
}

int memory_object_fill(struct restore *r, uint32_t object, int fd, uint64_t size,
		       struct error **err)
{
	struct memory_object *o = memory_object_find(r, object, err);

	if (!o)
		return -EBADMSG;
	if (o->rec.size != size)
		return error_set(err, EBADMSG, "memory object %u is of another size than its user",
				 object);
	return fill(r, o, fd, err);
}

/* The file behind a shared anonymous mapping of ours: theirs will look as it did. */
static int new_anonymous(uint64_t size)
{
	uint64_t len = (size + PAGE - 1) & ~(PAGE - 1);
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int fd;

	if (p == MAP_FAILED)
		return -errno;
	fd = open_fmt(O_RDWR, "/proc/self/map_files/%lx-%lx", (unsigned long)p,
		      (unsigned long)p + len);
	munmap(p, len);
	return fd;
}

static int new_object(const struct memory_object *o)
{
	int fd = -EPERM;

	/* following the link needs CAP_CHECKPOINT_RESTORE; without it only the name differs */
	if (!(o->rec.flags & CKPT_OBJECT_MEMFD) && o->rec.size)
		fd = new_anonymous(o->rec.size);
	return fd < 0 ? memfd_make(o) : fd;
}

static int make_contents(struct restore *r, struct memory_object *o, int fd, struct error **err)
{
	/* huge pages are mapped, so they need a size; others are written, and then cut off */
	int ret = memfd_is_huge(o) && ftruncate(fd, o->rec.size) ? -errno : 0;

	if (ret)
		return error_errno(err, -ret, "making huge pages");
	ret = fill(r, o, fd, err);
	if (!ret && ftruncate(fd, o->rec.size))
		ret = error_errno(err, errno, "setting the size of memory object %u",
				  o->rec.object);
	return ret || !o->memfd.object ? ret : memfd_finish(r, o, fd, err);
}

int memory_object_open(struct restore *r, uint32_t object, int *fd, struct error **err)
{
	struct memory_object *o = memory_object_find(r, object, err);
	__cleanup_fd int new = -1;
	int ret;

	if (!o)
		return -EBADMSG;
	if (o->fd < 0) {
		new = new_object(o);
		if (new < 0)
			return error_errno(err, -new, "making memory object %u", object);
		ret = make_contents(r, o, new, err);
		if (ret)
			return ret;
		o->fd = take_fd(&new);
	}
	*fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 3);
	return *fd < 0 ? error_errno(err, errno, "opening memory object %u", object) : 0;
}

bool memory_object_claim(struct restore *r, uint32_t object)
{
	struct memory_object *o = memory_object_find(r, object, NULL);
	bool first = o && !o->claimed;

	if (first)
		o->claimed = true;
	return first;
}

static int memory_object_cross(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret = 0;

	vec_for_each (o, &r->objects)
		if (!ret && (*o)->memfd.object)
			ret = memfd_seal(*o, err);
	return ret;
}

static void memory_object_release(struct checkpoint *c, struct restore *r)
{
	if (c) {
		vec_for_each (o, &c->objects)
			object_free(*o);
		vec_free(&c->objects);
	}
	if (r) {
		vec_for_each (o, &r->objects)
			object_free(*o);
		vec_free(&r->objects);
	}
}

static const enum ckpt_type memory_object_types[] = {CKPT_MEMORY_OBJECT, CKPT_MEMFD, 0};

const struct resource_class resource_memory_object = {
	.name = "memory-object",
	.version = 1,
	.types = memory_object_types,
	.dump = memory_object_dump,
	.load = memory_object_load,
	.restore = {[STAGE_CROSS] = memory_object_cross},
	.release = memory_object_release,
};
