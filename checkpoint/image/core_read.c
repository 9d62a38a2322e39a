// SPDX-License-Identifier: GPL-2.0-only
/* Out of a task-N.core: Firn's records and the page index. All else in it is gdb's. */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/image/reader.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/* The beginning of the checked parts of a core, one behind the other. */
struct parts {
	const char *bytes;
	size_t len;
	uint64_t data_offset, data_len; /* what is left out, in file offsets */
};

/* len bytes at a file offset, or NULL if they are not all there, in one checked part. */
static const void *at(const struct parts *p, uint64_t offset, uint64_t len)
{
	uint64_t end = p->data_offset + p->data_len;

	if (offset < p->data_offset) {
		if (len > p->data_offset - offset)
			return NULL;
	} else {
		if (offset < end)
			return NULL;
		offset -= p->data_len;
	}
	if (offset > p->len || len > p->len - offset)
		return NULL;
	return p->bytes + offset;
}

static int take_pages(const struct record *rec, struct page_area *area, struct error **err)
{
	struct ckpt_pages head;
	size_t left;

	if (area->data_offset)
		return error_set(err, EBADMSG, "has two page indexes");
	if (!record_head(rec, sizeof(head), err))
		return -EBADMSG;
	memcpy(&head, rec->data, sizeof(head));
	left = rec->len - sizeof(head);
	if (head.runs > left / sizeof(*area->runs))
		return error_set(err, EBADMSG, "the page index is too short");
	left -= head.runs * sizeof(*area->runs);
	if (head.checksums != left / sizeof(*area->checksums) || left % sizeof(*area->checksums))
		return error_set(err, EBADMSG, "the page index has the wrong length");
	area->runs = calloc(head.runs + 1, sizeof(*area->runs));
	area->checksums = calloc(head.checksums + 1, sizeof(*area->checksums));
	if (!area->runs || !area->checksums)
		return error_errno(err, ENOMEM, "reading the page index");
	memcpy(area->runs, (const char *)rec->data + sizeof(head), head.runs * sizeof(*area->runs));
	memcpy(area->checksums,
	       (const char *)rec->data + sizeof(head) + head.runs * sizeof(*area->runs),
	       head.checksums * sizeof(*area->checksums));
	area->run_count = head.runs;
	area->checksum_count = head.checksums;
	area->data_offset = head.data_offset;
	area->data_len = head.data_len;
	return 0;
}

/* The contents of one FIRN note: exactly one record. */
static int take_record(const void *desc, size_t len, uint32_t type, struct buf *records,
		       struct page_area *area, struct error **err)
{
	struct record rec;
	size_t pos = 0;

	if (record_next(desc, len, &pos, &rec) != 1 || pos != len || rec.type != type)
		return error_set(err, EBADMSG, "malformed record \"%s\"", record_name(type));
	if (type == CKPT_PAGES)
		return take_pages(&rec, area, err);
	return buf_add(records, desc, len) ? 0 : error_errno(err, ENOMEM, "reading records");
}

static int walk_notes(const char *notes, size_t len, struct buf *records, struct page_area *area,
		      struct error **err)
{
	while (len) {
		Elf64_Nhdr h;
		uint64_t name_len, desc_len;
		const char *name, *desc;
		int r = 0;

		if (len < sizeof(h))
			return error_set(err, EBADMSG, "malformed notes");
		memcpy(&h, notes, sizeof(h));
		name_len = (h.n_namesz + 3ULL) & ~3ULL;
		desc_len = (h.n_descsz + 3ULL) & ~3ULL;
		if (name_len + desc_len > len - sizeof(h))
			return error_set(err, EBADMSG, "malformed notes");
		name = notes + sizeof(h);
		desc = name + name_len;
		if (h.n_namesz == sizeof("FIRN") && !memcmp(name, "FIRN", sizeof("FIRN")))
			r = take_record(desc, h.n_descsz, h.n_type, records, area, err);
		if (r)
			return r;
		notes = desc + desc_len;
		len -= sizeof(h) + name_len + desc_len;
	}
	return 0;
}

static int check_header(const Elf64_Ehdr *eh, struct error **err)
{
	if (!eh || memcmp(eh->e_ident, ELFMAG, SELFMAG) || eh->e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh->e_ident[EI_DATA] != ELFDATA2LSB || eh->e_type != ET_CORE)
		return error_set(err, EBADMSG, "not an ELF core");
	if (eh->e_machine != EM_X86_64)
		return error_set(err, EOPNOTSUPP, "of another architecture");
	return 0;
}

/* Notes have the first program header. The others, of which there may be very many, are gdb's. */
static int parse_core(const struct parts *p, struct buf *records, struct page_area *area,
		      struct error **err)
{
	const Elf64_Ehdr *eh = at(p, 0, sizeof(*eh));
	const Elf64_Phdr *first;
	const char *notes;
	int r = check_header(eh, err);

	if (r)
		return r;
	first = eh->e_phoff % 8 || !eh->e_phnum ? NULL : at(p, eh->e_phoff, sizeof(*first));
	if (!first || eh->e_phentsize != sizeof(*first))
		return error_set(err, EBADMSG, "its program headers lie outside");
	if (first->p_type != PT_NOTE)
		return error_set(err, EBADMSG, "its first program header is not that of notes");
	notes = at(p, first->p_offset, first->p_filesz);
	if (!notes)
		return error_set(err, EBADMSG, "its notes lie outside, or behind the headers");
	r = walk_notes(notes, first->p_filesz, records, area, err);
	if (!r && !area->data_offset)
		return error_set(err, EBADMSG, "has no page index");
	return r;
}

/*
 * How much has to be kept of it: up to the first program header. The ELF header that says so is
 * not checked yet; if it lies, what it points at is not there.
 */
static size_t front_of(int fd, const struct manifest_file *f)
{
	Elf64_Ehdr eh;

	if (pread_full(fd, &eh, sizeof(eh), 0) || eh.e_phoff < f->data_len)
		return sizeof(eh);
	return eh.e_phoff - f->data_len + sizeof(Elf64_Phdr);
}

static int read_core(struct image_reader *r, const struct manifest_file *f, struct core *core,
		     struct error **err)
{
	__cleanup_free void *bytes = NULL;
	__cleanup_buf struct buf records = {0};
	struct parts p = {.data_len = f->data_len};
	int ret = image_reader_load(r, f, CORE_MAX, front_of(core->fd, f), &bytes, &p.len, err);

	if (ret)
		return ret;
	p.bytes = bytes;
	p.data_offset = f->data_len ? f->data_offset : f->size;
	ret = parse_core(&p, &records, &core->pages, err);
	if (ret)
		return ret;
	/* else a chunk that no checksum covers could be taken for data */
	if (core->pages.data_len != f->data_len ||
	    (f->data_len && core->pages.data_offset != f->data_offset))
		return error_set(err, EBADMSG, "page index and manifest disagree about the data");
	ret = page_area_validate(&core->pages, f->size, err);
	if (ret)
		return ret;
	core->records = take_ptr(records.data);
	core->records_len = records.len;
	return 0;
}

int core_read(struct image_reader *r, uint32_t pid, struct core *core, struct error **err)
{
	const struct manifest_file *f;
	char name[IMAGE_NAME_MAX];
	uint64_t size;
	int ret;

	*core = (struct core){.fd = -1};
	snprintf(name, sizeof(name), "task-%u.core", pid);
	ret = image_reader_file(r, name, &core->fd, &size, err);
	if (ret)
		return ret;
	f = manifest_find(image_reader_manifest(r), name);
	ret = read_core(r, f, core, err);
	if (!ret)
		return 0;
	core_free(core);
	return image_reader_wrap(r, name, ret, err);
}

void core_free(struct core *core)
{
	free(core->records);
	page_area_free(&core->pages);
	*core = (struct core){.fd = -1};
}
