// SPDX-License-Identifier: GPL-2.0-only
/*
 * task-N.core: an ELF core that gdb reads as it is. The page data is there when
 * this begins; everything that its layout decides comes behind it, so that the
 * data is written once, in place, while nothing of it is known yet.
 */
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <xxhash.h>

#include "checkpoint/image/writer.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define FXSAVE_SIZE  512
#define SIGINFO_SIZE 128

/* A note: header, name, contents, each padded to 4 bytes as gdb and the kernel do. */
static int note_begin(struct buf *notes, const char *owner, uint32_t type, size_t len)
{
	size_t owner_len = strlen(owner) + 1;
	Elf64_Nhdr header = {.n_namesz = owner_len, .n_descsz = len, .n_type = type};

	if (len > UINT32_MAX - 8)
		return -EOVERFLOW;
	if (!buf_add(notes, &header, sizeof(header)) || !buf_add(notes, owner, owner_len))
		return -ENOMEM;
	return buf_align(notes, 4);
}

static int note_add(struct buf *notes, const char *owner, uint32_t type, const void *data,
		    size_t len)
{
	int r = note_begin(notes, owner, type, len);

	if (r)
		return r;
	return !buf_add(notes, data, len) ? -ENOMEM : buf_align(notes, 4);
}

static int note_prstatus(struct buf *notes, const struct core_info *info,
			 const struct core_thread *t)
{
	struct elf_prstatus status = {
		.pr_info.si_signo = t->signo,
		.pr_cursig = t->signo,
		.pr_pid = t->tid,
		.pr_ppid = info->ppid,
		.pr_pgrp = info->pgid,
		.pr_sid = info->sid,
		.pr_fpvalid = t->xstate_len >= FXSAVE_SIZE,
	};

	_Static_assert(sizeof(status.pr_reg) == sizeof(t->regs), "the kernel's elf_gregset_t");
	memcpy(&status.pr_reg, &t->regs, sizeof(t->regs));
	return note_add(notes, "CORE", NT_PRSTATUS, &status, sizeof(status));
}

static int note_xstate(struct buf *notes, const struct core_thread *t)
{
	int r;

	if (t->xstate_len < FXSAVE_SIZE)
		return 0;
	r = note_add(notes, "CORE", NT_FPREGSET, t->xstate, FXSAVE_SIZE);
	return r ? r : note_add(notes, "LINUX", NT_X86_XSTATE, t->xstate, t->xstate_len);
}

static int note_psinfo(struct buf *notes, const struct core_info *info)
{
	static const char states[] = "RSDTZW"; /* fs/binfmt_elf.c, fill_psinfo() */
	const char *state = strchr(states, info->state);
	struct elf_prpsinfo ps = {
		.pr_state = state ? state - states : 0,
		.pr_sname = info->state,
		.pr_zomb = info->state == 'Z',
		.pr_pid = info->pid,
		.pr_ppid = info->ppid,
		.pr_pgrp = info->pgid,
		.pr_sid = info->sid,
	};

	snprintf(ps.pr_fname, sizeof(ps.pr_fname), "%s", info->comm ? info->comm : "");
	snprintf(ps.pr_psargs, sizeof(ps.pr_psargs), "%s", info->args ? info->args : "");
	return note_add(notes, "CORE", NT_PRPSINFO, &ps, sizeof(ps));
}

static int note_siginfo(struct buf *notes, const struct core_info *info)
{
	union {
		siginfo_t info;
		char bytes[SIGINFO_SIZE];
	} si = {.bytes = ""};

	if (info->thread_count)
		si.info.si_signo = info->threads[0].signo;
	return note_add(notes, "CORE", NT_SIGINFO, &si, sizeof(si));
}

/* Which file is mapped where: from here gdb takes what is in no PT_LOAD. */
static int note_file(struct buf *notes, const struct core_info *info)
{
	__cleanup_buf struct buf desc = {0}, names = {0};
	uint64_t head[2] = {0, IMAGE_PAGE_SIZE};

	if (!buf_add(&desc, head, sizeof(head)))
		return -ENOMEM;
	for (size_t i = 0; i < info->vma_count; i++) {
		const struct ckpt_vma *vma = &info->vmas[i];
		const char *path = info->vma_paths ? info->vma_paths[i] : NULL;
		uint64_t row[3] = {vma->start, vma->end, vma->offset / IMAGE_PAGE_SIZE};

		if (!path)
			continue;
		if (!buf_add(&desc, row, sizeof(row)) || !buf_add(&names, path, strlen(path) + 1))
			return -ENOMEM;
		head[0]++;
	}
	if (!head[0])
		return 0;
	memcpy(desc.data, head, sizeof(head));
	if (!buf_add(&desc, names.data, names.len))
		return -ENOMEM;
	return note_add(notes, "CORE", NT_FILE, desc.data, desc.len);
}

static int notes_standard(struct buf *notes, const struct core_info *info)
{
	int r = 0;

	/* gdb: a thread begins with its NT_PRSTATUS, those of the process follow the first */
	for (size_t i = 0; !r && i < info->thread_count; i++) {
		r = note_prstatus(notes, info, &info->threads[i]);
		if (!r && !i)
			r = note_psinfo(notes, info);
		if (!r && !i)
			r = note_siginfo(notes, info);
		if (!r && !i && info->auxv_len)
			r = note_add(notes, "CORE", NT_AUXV, info->auxv, info->auxv_len);
		if (!r && !i)
			r = note_file(notes, info);
		if (!r)
			r = note_xstate(notes, &info->threads[i]);
	}
	return r;
}

static int notes_records(struct buf *notes, const struct buf *records)
{
	struct record rec;
	size_t pos = 0;
	int r;

	for (size_t start = 0; (r = record_next(records->data, records->len, &pos, &rec)) > 0;
	     start = pos) {
		r = note_add(notes, "FIRN", rec.type, records->data + start, pos - start);
		if (r)
			return r;
	}
	return r;
}

static int note_pages(struct buf *notes, const struct page_area *area)
{
	size_t runs_len = area->run_count * sizeof(*area->runs);
	size_t sums_len = area->checksum_count * sizeof(*area->checksums);
	struct ckpt_pages pages = {
		.data_offset = area->data_offset,
		.data_len = area->data_len,
		.runs = area->run_count,
		.checksums = area->checksum_count,
	};
	struct ckpt_header header = {
		.type = CKPT_PAGES,
		.version = 1,
		.len = sizeof(pages) + runs_len + sums_len,
	};
	int r = note_begin(notes, "FIRN", CKPT_PAGES, sizeof(header) + header.len);

	if (r)
		return r;
	if (!buf_add(notes, &header, sizeof(header)) || !buf_add(notes, &pages, sizeof(pages)) ||
	    (runs_len && !buf_add(notes, area->runs, runs_len)) ||
	    (sums_len && !buf_add(notes, area->checksums, sums_len)))
		return -ENOMEM;
	return 0;
}

static int load_add(struct buf *phdrs, const struct ckpt_vma *vma, uint64_t start, uint64_t end,
		    uint64_t offset, bool data)
{
	Elf64_Phdr ph = {
		.p_type = PT_LOAD,
		.p_flags = (vma->prot & PROT_READ ? PF_R : 0) |
			   (vma->prot & PROT_WRITE ? PF_W : 0) | (vma->prot & PROT_EXEC ? PF_X : 0),
		.p_offset = offset,
		.p_vaddr = start,
		.p_filesz = data ? end - start : 0,
		.p_memsz = end - start,
		.p_align = IMAGE_PAGE_SIZE,
	};

	if (start >= end)
		return 0;
	return buf_add(phdrs, &ph, sizeof(ph)) ? 0 : -ENOMEM;
}

/*
 * The segments of one mapping: its runs of data, and between them, where nobody
 * else has contents, segments without bytes: gdb reads those as zeros. What is in the
 * parent's core has no segment: gdb says that it is not there. Runs before *run end
 * before the mapping.
 */
static int load_vma(struct buf *phdrs, const struct ckpt_vma *vma, const struct page_area *area,
		    size_t *run)
{
	/*
	 * Of a segment without bytes: what gdb finds at its offset must not look
	 * like the ELF header of a mapped file, in which it looks for a build id.
	 */
	uint64_t nowhere = area->data_offset + area->data_len;
	bool zeros = vma->kind == CKPT_VMA_ANON;
	uint64_t pos = vma->start;
	size_t i = *run;
	int r = 0;

	while (i < area->run_count && area->runs[i].address + area->runs[i].len <= vma->start)
		i++;
	*run = i;
	for (; !r && i < area->run_count && area->runs[i].address < vma->end; i++) {
		const struct ckpt_page_run *p = &area->runs[i];
		uint64_t from = p->address > vma->start ? p->address : vma->start;
		uint64_t end = p->address + p->len < vma->end ? p->address + p->len : vma->end;

		if (p->kind != CKPT_PAGES_DATA && p->kind != CKPT_PAGES_INHERITED)
			continue;
		if (zeros)
			r = load_add(phdrs, vma, pos, from, nowhere, false);
		if (!r && p->kind == CKPT_PAGES_DATA)
			r = load_add(phdrs, vma, from, end, p->offset + (from - p->address), true);
		pos = end;
	}
	return !r && zeros ? load_add(phdrs, vma, pos, vma->end, nowhere, false) : r;
}

static int loads(struct buf *phdrs, const struct core_info *info)
{
	size_t run = 0;
	int r = 0;

	for (size_t i = 0; !r && i < info->vma_count; i++)
		r = load_vma(phdrs, &info->vmas[i], info->pages, &run);
	return r;
}

/* The program headers go to where they belong at once: there may be very many. */
static int build_headers(struct buf *tail, const struct core_info *info, uint64_t base,
			 size_t *count)
{
	Elf64_Phdr note = {
		.p_type = PT_NOTE, .p_offset = base, .p_filesz = tail->len, .p_align = 4};
	size_t start;
	int r = buf_align(tail, 8);

	start = tail->len;
	if (!r && !buf_add(tail, &note, sizeof(note)))
		r = -ENOMEM;
	if (!r)
		r = loads(tail, info);
	*count = (tail->len - start) / sizeof(note);
	return r;
}

/* Behind the data: notes, program headers and, with many of them, a section header. */
static int build_tail(struct buf *tail, const struct core_info *info, uint64_t base, Elf64_Ehdr *eh)
{
	Elf64_Shdr section = {0};
	size_t count;
	int r = notes_standard(tail, info);

	if (!r)
		r = notes_records(tail, info->records);
	if (!r)
		r = note_pages(tail, info->pages);
	if (!r)
		r = build_headers(tail, info, base, &count);
	if (r)
		return r;
	eh->e_phoff = base + tail->len - count * sizeof(Elf64_Phdr);
	eh->e_phnum = count < PN_XNUM ? count : PN_XNUM;
	if (count < PN_XNUM)
		return 0;
	if (count > UINT32_MAX)
		return -EOVERFLOW;
	eh->e_shoff = base + tail->len;
	eh->e_shentsize = sizeof(section);
	eh->e_shnum = 1;
	section.sh_info = count;
	return buf_add(tail, &section, sizeof(section)) ? 0 : -ENOMEM;
}

int core_write(struct image_file *f, const struct core_info *info, struct error **err)
{
	union {
		Elf64_Ehdr eh;
		char page[CORE_DATA_OFFSET];
	} head = {.eh = {
			  .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				      EV_CURRENT, ELFOSABI_NONE},
			  .e_type = ET_CORE,
			  .e_machine = EM_X86_64,
			  .e_version = EV_CURRENT,
			  .e_ehsize = sizeof(Elf64_Ehdr),
			  .e_phentsize = sizeof(Elf64_Phdr),
		  }};
	uint64_t base = CORE_DATA_OFFSET + info->pages->data_len;
	__cleanup_buf struct buf tail = {0};
	XXH3_state_t *state;
	uint64_t sum;
	int r = page_area_validate(info->pages, base, err);

	if (r)
		return r;
	if (info->pages->data_offset != CORE_DATA_OFFSET)
		return image_file_error(f, EINVAL, "its data area", err);
	r = build_tail(&tail, info, base, &head.eh);
	if (!r && sizeof(head) + tail.len > CORE_MAX) {
		error_set(err, EFBIG,
			  "task-%u.core: %zu bytes without the pages, at most %u are read",
			  info->pid, sizeof(head) + tail.len, CORE_MAX);
		return error_hint(err, "the process has too many mappings, or single pages strewn");
	}
	if (!r)
		r = pwrite_full(image_file_fd(f), tail.data, tail.len, base);
	if (!r)
		r = pwrite_full(image_file_fd(f), &head, sizeof(head), 0);
	state = r ? NULL : XXH3_createState();
	if (!r && !state)
		r = -ENOMEM;
	if (r)
		return image_file_error(f, -r, "writing", err);
	XXH3_64bits_reset(state);
	XXH3_64bits_update(state, &head, sizeof(head));
	XXH3_64bits_update(state, tail.data, tail.len);
	sum = XXH3_64bits_digest(state);
	XXH3_freeState(state);
	return image_file_checked(f, CORE_DATA_OFFSET, info->pages->data_len, sum, err);
}
