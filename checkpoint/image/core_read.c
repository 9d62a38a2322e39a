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

/* The checked parts of a core, one behind the other. */
struct parts {
	const char *bytes;
	size_t len;
	uint64_t data_offset, data_len; /* what is left out, in file offsets */
};

/* len bytes at a file offset, or NULL if they are not all in one checked part. */
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

/* The program headers of a core, with their true number. */
static int find_headers(const struct parts *p, const Elf64_Phdr **phdrs, size_t *count,
			struct error **err)
{
	const Elf64_Ehdr *eh = at(p, 0, sizeof(*eh));
	const Elf64_Shdr *section;

	if (!eh || memcmp(eh->e_ident, ELFMAG, SELFMAG) || eh->e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh->e_ident[EI_DATA] != ELFDATA2LSB || eh->e_type != ET_CORE)
		return error_set(err, EBADMSG, "not an ELF core");
	if (eh->e_machine != EM_X86_64)
		return error_set(err, EOPNOTSUPP, "of another architecture");
	*count = eh->e_phnum;
	if (eh->e_phnum == PN_XNUM) {
		section = eh->e_shoff % 8 ? NULL : at(p, eh->e_shoff, sizeof(*section));
		if (!section)
			return error_set(err, EBADMSG, "its section header lies outside");
		*count = section->sh_info;
	}
	*phdrs = eh->e_phoff % 8 ? NULL : at(p, eh->e_phoff, *count * sizeof(**phdrs));
	if (!*phdrs || eh->e_phentsize != sizeof(**phdrs))
		return error_set(err, EBADMSG, "its program headers lie outside");
	return 0;
}

static int parse_core(const struct parts *p, struct buf *records, struct page_area *area,
		      struct error **err)
{
	const Elf64_Phdr *phdrs = NULL;
	size_t count = 0;
	int r = find_headers(p, &phdrs, &count, err);

	for (size_t i = 0; !r && i < count; i++) {
		const char *notes;

		if (phdrs[i].p_type != PT_NOTE)
			continue;
		notes = at(p, phdrs[i].p_offset, phdrs[i].p_filesz);
		if (!notes)
			return error_set(err, EBADMSG, "its notes lie outside");
		r = walk_notes(notes, phdrs[i].p_filesz, records, area, err);
	}
	if (r)
		return r;
	if (!area->data_offset)
		return error_set(err, EBADMSG, "has no page index");
	return 0;
}

static int read_core(struct image_reader *r, const struct manifest_file *f, struct core *core,
		     struct error **err)
{
	__cleanup_free void *bytes = NULL;
	__cleanup_buf struct buf records = {0};
	struct parts p = {.data_len = f->data_len};
	int ret = image_reader_load(r, f, CORE_MAX, &bytes, &p.len, err);

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
	f = manifest_find(image_reader_manifest(r), name);
	ret = f ? read_core(r, f, core, err)
		: error_set(err, ENOENT, "the manifest does not name it");
	if (ret) {
		core_free(core);
		return image_reader_wrap(r, name, ret, err);
	}
	return image_reader_file(r, name, &core->fd, &size, err);
}

void core_free(struct core *core)
{
	free(core->records);
	page_area_free(&core->pages);
	*core = (struct core){.fd = -1};
}
