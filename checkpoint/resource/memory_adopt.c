// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that the kernel has recorded. What it does not know is added here: which
 * files and objects of the image are mapped. Records of its many batches of pages
 * become the one page index of the core.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/resource/memory.h"
#include "checkpoint/user/pages.h"
#include "util/error.h"

static int adopt_mm(struct checkpoint *c, struct dump_task *t, const struct record *rec,
		    struct error **err)
{
	const struct ckpt_mm *from = record_head(rec, sizeof(*from), err);
	struct ckpt_mm mm;
	int r;

	if (!from)
		return -EBADMSG;
	mm = *from;
	r = memory_complete_mm(c, t, &mm, err);
	if (r)
		return r;
	return record_add(&t->records, CKPT_MM, &mm, sizeof(mm))
		       ? 0
		       : error_errno(err, ENOMEM, "recording memory");
}

/* Both have looked at the same frozen process. The vsyscall page is not in its memory. */
static int adopt_vmas(struct dump_task *t, const struct record *rec, struct error **err)
{
	const struct ckpt_vma *from = rec->data;
	size_t count = rec->len / sizeof(*from);
	struct ckpt_vma *to;

	while (t->vmas.count > count)
		free(t->vmas.items[--t->vmas.count].path);
	to = record_add(&t->records, CKPT_VMAS, from, count * sizeof(*from));
	if (!to)
		return error_errno(err, ENOMEM, "recording mappings");
	for (size_t i = 0; i < count; i++) {
		const struct ckpt_vma *seen = i < t->vmas.count ? &t->vmas.items[i].rec : NULL;

		/* attachments of System V have operations of their own: it takes them for files */
		if (seen && seen->kind == CKPT_VMA_SHM && to[i].shared)
			to[i].kind = CKPT_VMA_SHM;
		if (!seen || seen->start != to[i].start || seen->end != to[i].end ||
		    seen->kind != to[i].kind)
			return error_set(err, EPROTO,
					 "the kernel and /proc differ about the mapping at 0x%llx",
					 (unsigned long long)to[i].start);
		to[i].source = seen->source;
		to[i].flags |= seen->flags; /* /proc tells of more (VM_LOCKONFAULT) */
	}
	return 0;
}

static int adopt_auxv(struct dump_task *t, const struct record *rec, struct error **err)
{
	void *auxv = malloc(rec->len ? rec->len : 1);

	if (!auxv)
		return error_errno(err, ENOMEM, "recording the auxiliary vector");
	memcpy(auxv, rec->data, rec->len);
	return memory_note_auxv(t, auxv, rec->len, err);
}

/* A batch may end in the middle of what is one run. */
static bool continues(const struct ckpt_page_run *last, const struct ckpt_page_run *run)
{
	return last->address + last->len == run->address &&
	       last->offset + last->len == run->offset && last->kind == run->kind &&
	       last->flags == run->flags;
}

static int adopt_pages(page_run_vec *runs, const struct record *rec, struct error **err)
{
	const struct ckpt_pages *head = record_head(rec, sizeof(*head), err);
	const struct ckpt_page_run *from;

	if (!head)
		return -EBADMSG;
	from = (const struct ckpt_page_run *)(head + 1);
	if (head->runs > (rec->len - sizeof(*head)) / sizeof(*from))
		return error_set(err, EBADMSG, "the kernel's page index is cut off");
	for (uint64_t i = 0; i < head->runs; i++) {
		struct ckpt_page_run *run;

		if (runs->count && continues(&runs->items[runs->count - 1], &from[i])) {
			runs->items[runs->count - 1].len += from[i].len;
			continue;
		}
		run = vec_add(runs);
		if (!run)
			return error_errno(err, ENOMEM, "recording pages");
		*run = from[i];
	}
	return 0;
}

/* The kernel fills the file without gaps: what pages_layout() says must be where data is. */
static int check_layout(struct dump_task *t, struct error **err)
{
	struct page_area *area = &t->pages;
	uint64_t at = CORE_DATA_OFFSET;

	for (size_t i = 0; i < area->run_count; i++) {
		if (area->runs[i].kind != CKPT_PAGES_DATA || area->runs[i].offset != at)
			return error_set(err, EPROTO,
					 "the kernel has left out something of the pages' file");
		at += area->runs[i].len;
	}
	return pages_layout(area, CORE_DATA_OFFSET, err);
}

static int adopt_record(struct checkpoint *c, struct dump_task *t, const struct record *rec,
			page_run_vec *runs, struct error **err)
{
	switch (rec->type) {
	case CKPT_MM:
		return adopt_mm(c, t, rec, err);
	case CKPT_VMAS:
		return adopt_vmas(t, rec, err);
	case CKPT_AUXV:
		return adopt_auxv(t, rec, err);
	case CKPT_PAGES:
		return adopt_pages(runs, rec, err);
	default:
		return 0;
	}
}

static int adopt_records(struct checkpoint *c, struct dump_task *t, const struct buf *records,
			 struct error **err)
{
	page_run_vec runs = {0};
	struct record rec;
	size_t pos = 0;
	int r = 0, n = 0;

	while (!r && (n = record_next(records->data, records->len, &pos, &rec)) == 1)
		r = adopt_record(c, t, &rec, &runs, err);
	t->pages.runs = runs.items;
	t->pages.run_count = runs.count;
	if (!r && (n < 0 || !t->auxv))
		r = error_set(err, EPROTO, "what the kernel has recorded is not complete");
	return r ? r : check_layout(t, err);
}

int memory_adopt_snapshot(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	__cleanup_buf struct buf records = {0};
	struct kernel_dump dump = {
		.pidfd = -1,
		.hold = t->snapshot,
		.from_snapshot = true,
		.classes = KERNEL_CLASS(MEMORY),
		.pages = image_file_fd(t->core),
		.pages_offset = CORE_DATA_OFFSET,
		.cancel = c->request->cancel,
	};
	int r = kernel_dump(&c->kernel, &dump, &records, err);

	/* what the process writes to from now on is its alone */
	close(t->snapshot);
	t->snapshot = -1;
	page_area_free(&t->pages);
	if (!r)
		r = adopt_records(c, t, &records, err);
	return r ? error_wrap(err, "process %u", t->rec.pid) : 0;
}

int memory_adopt(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	return t ? adopt_records(c, t, &t->kernel, err) : 0;
}
