// SPDX-License-Identifier: GPL-2.0-only
/* What a memfd is beyond its contents: a name, seals, a mode, and perhaps huge pages. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/resource/memory_object.h"
#include "checkpoint/user/ns.h"
#include "checkpoint/user/pages.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif

#define DELETED	   " (deleted)"
#define READ_BYTES (256 * 1024)
#define SHIFT_MIN  16
#define SHIFT_MAX  34
#define SEALS                                                                                      \
	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE |          \
	 F_SEAL_EXEC)

bool memfd_is_huge(const struct memory_object *o)
{
	return o->memfd.object && o->memfd.page_shift;
}

/* --- a checkpoint --- */

static int read_name(struct memory_object *o, struct error **err)
{
	__cleanup_free char *link = NULL;
	size_t prefix = sizeof(MEMFD_PREFIX) - 1, suffix = sizeof(DELETED) - 1, len;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", o->fd);
	link = read_link(AT_FDCWD, path);
	len = link ? strlen(link) : 0;
	if (len < prefix + suffix || len - prefix - suffix > MEMFD_NAME_MAX)
		return error_errno(err, link ? EPROTO : errno, "naming a memory file");
	o->memfd.name_len = len - prefix - suffix;
	memcpy(o->name, link + prefix, o->memfd.name_len);
	return 0;
}

int memfd_describe(struct memory_object *o, struct error **err)
{
	int seals = fcntl(o->fd, F_GET_SEALS);
	struct statfs fs;
	struct stat st;

	if (seals < 0 || fstat(o->fd, &st) || fstatfs(o->fd, &fs))
		return error_errno(err, errno, "looking at a memory file");
	o->memfd = (struct ckpt_memfd){
		.object = o->rec.object,
		.seals = seals,
		.mode = st.st_mode,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.mtime = st.st_mtim.tv_sec * 1000000000ull + st.st_mtim.tv_nsec,
	};
	if (fs.f_type == HUGETLBFS_MAGIC)
		o->memfd.page_shift = __builtin_ctzl(fs.f_bsize);
	return read_name(o, err);
}

int memfd_record(struct checkpoint *c, const struct memory_object *o, struct error **err)
{
	if (o->memfd.object && !record_add2(&c->records, CKPT_MEMFD, &o->memfd, sizeof(o->memfd),
					    o->name, o->memfd.name_len))
		return error_errno(err, ENOMEM, "recording a memory file");
	return 0;
}

static bool all_zero(const char *data, size_t len)
{
	return !len || (!data[0] && !memcmp(data, data + 1, len - 1));
}

/* 1: something is in it. What was never written to reads as zeros and stays unallocated. */
static int has_data(int fd, uint64_t start, uint64_t len, char *buffer, struct error **err)
{
	for (uint64_t at = 0; at < len;) {
		ssize_t n = pread(fd, buffer, len - at < READ_BYTES ? len - at : READ_BYTES,
				  start + at);

		if (n <= 0)
			return error_errno(err, n ? errno : EIO, "reading huge pages");
		if (!all_zero(buffer, n))
			return 1;
		at += n;
	}
	return 0;
}

int memfd_find_runs(const struct memory_object *o, page_run_vec *runs, struct error **err)
{
	__cleanup_free char *buffer = malloc(READ_BYTES);
	uint64_t page = 1ull << o->memfd.page_shift;

	if (!buffer)
		return error_errno(err, ENOMEM, "reading huge pages");
	for (uint64_t at = 0; at < o->rec.size; at += page) {
		struct ckpt_page_run *run;
		int r = has_data(o->fd, at, page, buffer, err);

		if (r < 0)
			return r;
		run = r ? vec_add(runs) : NULL;
		if (r && !run)
			return error_errno(err, ENOMEM, "reading huge pages");
		if (r)
			*run = (struct ckpt_page_run){
				.address = at, .len = page, .kind = CKPT_PAGES_DATA};
	}
	return 0;
}

/* --- a restore --- */

int memfd_load(struct restore *r, const struct record *rec, struct error **err)
{
	const struct ckpt_memfd *head = record_head(rec, sizeof(*head), err);
	struct memory_object *o;
	const char *name;

	if (!head)
		return -EBADMSG;
	o = memory_object_find(r, head->object, err);
	if (!o)
		return -EBADMSG;
	name = (const char *)(head + 1);
	if (o->memfd.object || !(o->rec.flags & CKPT_OBJECT_MEMFD) || head->seals & ~SEALS ||
	    !S_ISREG(head->mode) || head->mtime > INT64_MAX || head->name_len > MEMFD_NAME_MAX ||
	    head->name_len != rec->len - sizeof(*head) || memchr(name, 0, head->name_len) ||
	    (head->page_shift && (head->page_shift < SHIFT_MIN || head->page_shift > SHIFT_MAX ||
				  o->rec.size % (1ull << head->page_shift))))
		return error_set(err, EBADMSG, "memory file %u is malformed", head->object);
	o->memfd = *head;
	memcpy(o->name, name, head->name_len);
	return 0;
}

int memfd_make(const struct memory_object *o)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd;

	if (memfd_is_huge(o))
		flags |= MFD_HUGETLB | o->memfd.page_shift << MFD_HUGE_SHIFT;
	/* whatever vm.memfd_noexec is here; kernels before 6.3 know neither it nor the flag */
	fd = memfd_create(o->memfd.object ? o->name : "shared", flags | MFD_EXEC);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(o->memfd.object ? o->name : "shared", flags);
	return fd < 0 ? -errno : fd;
}

int memfd_fill_huge(struct restore *r, struct memory_object *o, int fd, int file, const char *name,
		    struct error **err)
{
	struct page_options options = {.cancel = r->request->cancel};
	struct page_memory to = {.pid = getpid(), .object = -1};
	struct page_area area = o->area;
	__cleanup_free struct ckpt_page_run *runs = calloc(area.run_count + 1, sizeof(*runs));
	char *p;
	int ret;

	if (!o->rec.size)
		return 0;
	p = runs ? mmap(NULL, o->rec.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
			0)
		 : MAP_FAILED;
	if (p == MAP_FAILED)
		return error_errno(err, runs ? errno : ENOMEM, "mapping huge pages");
	for (size_t i = 0; i < area.run_count; i++) {
		runs[i] = area.runs[i];
		runs[i].address += (uintptr_t)p;
	}
	area.runs = runs;
	ret = pages_load(&to, &area, file, name, &options, err);
	if (ret)
		error_hint(err, "there may be too few huge pages here");
	munmap(p, o->rec.size);
	return ret;
}

int memfd_finish(struct restore *r, const struct memory_object *o, int fd, struct error **err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
				    {o->memfd.mtime / 1000000000, o->memfd.mtime % 1000000000}};
	int ret = ids_mapped(r->init, o->memfd.uid, o->memfd.gid, err);

	if (!ret && (fchown(fd, o->memfd.uid, o->memfd.gid) || fchmod(fd, o->memfd.mode & 07777) ||
		     futimens(fd, times)))
		ret = error_errno(err, errno, "setting owner and times of a memory file");
	return ret;
}

int memfd_seal(const struct memory_object *o, struct error **err)
{
	if (o->fd >= 0 && o->memfd.seals && fcntl(o->fd, F_ADD_SEALS, o->memfd.seals))
		return error_errno(err, errno, "sealing the memory file \"%s\"", o->name);
	return 0;
}
