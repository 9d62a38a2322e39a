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
#define TAIL_AT_ONCE (64 * 1024)

/*
 * What goes behind the data. It may be longer than all that a checkpoint may take of memory (a
 * header for each page that stands alone), so it is never there as a whole: it is gone through
 * twice, to learn how long its parts are, and to write it.
 */
struct tail {
	int fd;
	uint64_t len;	     /* so far */
	uint64_t at;	     /* where in the file the buffer goes */
	XXH3_state_t *state; /* of what is written */
	size_t used;
	char *buffer; /* of TAIL_AT_ONCE; NULL: measures only */
};

static int tail_write(struct tail *t, const void *data, size_t len)
{
	int r = pwrite_full(t->fd, data, len, t->at);

	XXH3_64bits_update(t->state, data, len);
	t->at += len;
	return r;
}

static int tail_flush(struct tail *t)
{
	size_t len = t->used;

	t->used = 0;
	return tail_write(t, t->buffer, len);
}

/* 0 or a negative errno. */
static int tail_add(struct tail *t, const void *data, size_t len)
{
	int r = 0;

	t->len += len;
	if (!t->buffer || !len)
		return 0;
	if (len > TAIL_AT_ONCE - t->used)
		r = tail_flush(t);
	if (r || len > TAIL_AT_ONCE)
		return r ? r : tail_write(t, data, len);
	memcpy(t->buffer + t->used, data, len);
	t->used += len;
	return 0;
}

static int tail_align(struct tail *t, size_t align)
{
	static const char zeros[8];

	return tail_add(t, zeros, -t->len & (align - 1));
}

/* A note: header, name, contents, each padded to 4 bytes as gdb and the kernel do. */
static int note_begin(struct tail *t, const char *owner, uint32_t type, size_t len)
{
	size_t owner_len = strlen(owner) + 1;
	Elf64_Nhdr header = {.n_namesz = owner_len, .n_descsz = len, .n_type = type};
	int r;

	if (len > UINT32_MAX - 8)
		return -EOVERFLOW;
	r = tail_add(t, &header, sizeof(header));
	if (!r)
		r = tail_add(t, owner, owner_len);
	return r ? r : tail_align(t, 4);
}

static int note_add(struct tail *t, const char *owner, uint32_t type, const void *data, size_t len)
{
	int r = note_begin(t, owner, type, len);

	if (!r)
		r = tail_add(t, data, len);
	return r ? r : tail_align(t, 4);
}

static int note_prstatus(struct tail *tail, const struct core_info *info,
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
	return note_add(tail, "CORE", NT_PRSTATUS, &status, sizeof(status));
}

static int note_xstate(struct tail *tail, const struct core_thread *t)
{
	int r;

	if (t->xstate_len < FXSAVE_SIZE)
		return 0;
	r = note_add(tail, "CORE", NT_FPREGSET, t->xstate, FXSAVE_SIZE);
	return r ? r : note_add(tail, "LINUX", NT_X86_XSTATE, t->xstate, t->xstate_len);
}

static int note_psinfo(struct tail *tail, const struct core_info *info)
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
	return note_add(tail, "CORE", NT_PRPSINFO, &ps, sizeof(ps));
}

static int note_siginfo(struct tail *tail, const struct core_info *info)
{
	union {
		siginfo_t info;
		char bytes[SIGINFO_SIZE];
	} si = {.bytes = ""};

	if (info->thread_count)
		si.info.si_signo = info->threads[0].signo;
	return note_add(tail, "CORE", NT_SIGINFO, &si, sizeof(si));
}

/* Which file is mapped where: from here gdb takes what is in no PT_LOAD. */
static int note_file(struct tail *tail, const struct core_info *info)
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
	return note_add(tail, "CORE", NT_FILE, desc.data, desc.len);
}

static int notes_standard(struct tail *tail, const struct core_info *info)
{
	int r = 0;

	/* gdb: a thread begins with its NT_PRSTATUS, those of the process follow the first */
	for (size_t i = 0; !r && i < info->thread_count; i++) {
		r = note_prstatus(tail, info, &info->threads[i]);
		if (!r && !i)
			r = note_psinfo(tail, info);
		if (!r && !i)
			r = note_siginfo(tail, info);
		if (!r && !i && info->auxv_len)
			r = note_add(tail, "CORE", NT_AUXV, info->auxv, info->auxv_len);
		if (!r && !i)
			r = note_file(tail, info);
		if (!r)
			r = note_xstate(tail, &info->threads[i]);
	}
	return r;
}

static int notes_records(struct tail *tail, const struct buf *records)
{
	struct record rec;
	size_t pos = 0;
	int r;

	for (size_t start = 0; (r = record_next(records->data, records->len, &pos, &rec)) > 0;
	     start = pos) {
		r = note_add(tail, "FIRN", rec.type, records->data + start, pos - start);
		if (r)
			return r;
	}
	return r;
}

static int note_pages(struct tail *tail, const struct page_area *area)
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
	int r = note_begin(tail, "FIRN", CKPT_PAGES, sizeof(header) + header.len);

	if (!r)
		r = tail_add(tail, &header, sizeof(header));
	if (!r)
		r = tail_add(tail, &pages, sizeof(pages));
	if (!r)
		r = tail_add(tail, area->runs, runs_len);
	return r ? r : tail_add(tail, area->checksums, sums_len);
}

static int load_add(struct tail *tail, const struct ckpt_vma *vma, uint64_t start, uint64_t end,
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
	return tail_add(tail, &ph, sizeof(ph));
}

/*
 * The segments of one mapping: its runs of data, and between them, where nobody
 * else has contents, segments without bytes: gdb reads those as zeros. What is in the
 * parent's core has no segment: gdb says that it is not there. Runs before *run end
 * before the mapping.
 */
static int load_vma(struct tail *tail, const struct ckpt_vma *vma, const struct page_area *area,
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
			r = load_add(tail, vma, pos, from, nowhere, false);
		if (!r && p->kind == CKPT_PAGES_DATA)
			r = load_add(tail, vma, from, end, p->offset + (from - p->address), true);
		pos = end;
	}
	return !r && zeros ? load_add(tail, vma, pos, vma->end, nowhere, false) : r;
}

static int loads(struct tail *tail, const struct core_info *info)
{
	size_t run = 0;
	int r = 0;

	for (size_t i = 0; !r && i < info->vma_count; i++)
		r = load_vma(tail, &info->vmas[i], info->pages, &run);
	return r;
}

/* What a first pass learns about a tail. Offsets are from its beginning. */
struct shape {
	uint64_t notes_len;
	uint64_t headers, header_count;
	uint64_t section; /* 0: none, there are not that many headers */
};

static int add_headers(struct tail *tail, const struct core_info *info, struct shape *shape,
		       uint64_t base)
{
	Elf64_Phdr note = {
		.p_type = PT_NOTE, .p_offset = base, .p_filesz = shape->notes_len, .p_align = 4};
	int r = tail_align(tail, 8);

	shape->headers = tail->len;
	/* first, where readers of Firn's records expect it */
	if (!r)
		r = tail_add(tail, &note, sizeof(note));
	if (!r)
		r = loads(tail, info);
	shape->header_count = (tail->len - shape->headers) / sizeof(note);
	return r;
}

/* With more program headers than an ELF header can count a section header counts them. */
static int add_section(struct tail *tail, struct shape *shape)
{
	Elf64_Shdr section = {.sh_info = shape->header_count};

	if (shape->header_count < PN_XNUM)
		return 0;
	if (shape->header_count > UINT32_MAX)
		return -EOVERFLOW;
	shape->section = tail->len;
	return tail_add(tail, &section, sizeof(section));
}

/* Behind the data, which ends at base: notes, program headers and perhaps a section header. */
static int add_all(struct tail *tail, const struct core_info *info, struct shape *shape,
		   uint64_t base)
{
	int r = notes_standard(tail, info);

	*shape = (struct shape){0};
	if (!r)
		r = notes_records(tail, info->records);
	if (!r)
		r = note_pages(tail, info->pages);
	shape->notes_len = tail->len;
	if (!r)
		r = add_headers(tail, info, shape, base);
	return r ? r : add_section(tail, shape);
}

union head {
	Elf64_Ehdr eh;
	char page[CORE_DATA_OFFSET];
};

static union head make_head(const struct shape *shape, uint64_t base)
{
	union head head = {.eh = {
				   .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					       ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE},
				   .e_type = ET_CORE,
				   .e_machine = EM_X86_64,
				   .e_version = EV_CURRENT,
				   .e_ehsize = sizeof(Elf64_Ehdr),
				   .e_phentsize = sizeof(Elf64_Phdr),
				   .e_phoff = base + shape->headers,
				   .e_phnum = shape->header_count,
			   }};

	if (!shape->section)
		return head;
	head.eh.e_phnum = PN_XNUM;
	head.eh.e_shoff = base + shape->section;
	head.eh.e_shentsize = sizeof(Elf64_Shdr);
	head.eh.e_shnum = 1;
	return head;
}

/* *sum is of all that is not data, in the order of the file. */
static int write_around(int fd, const struct core_info *info, struct shape *shape, uint64_t base,
			uint64_t *sum)
{
	union head head = make_head(shape, base);
	char buffer[TAIL_AT_ONCE];
	struct tail tail = {.fd = fd, .state = XXH3_createState(), .buffer = buffer};
	int r;

	if (!tail.state)
		return -ENOMEM;
	XXH3_64bits_reset(tail.state);
	r = tail_write(&tail, &head, sizeof(head));
	tail.at = base;
	if (!r)
		r = add_all(&tail, info, shape, base);
	if (!r)
		r = tail_flush(&tail);
	*sum = XXH3_64bits_digest(tail.state);
	XXH3_freeState(tail.state);
	return r;
}

static int measure(const struct core_info *info, struct shape *shape, uint64_t base, uint64_t *len)
{
	struct tail tail = {0};
	int r = add_all(&tail, info, shape, base);

	*len = sizeof(union head) + tail.len;
	return r;
}

int core_write(struct image_file *f, const struct core_info *info, struct error **err)
{
	uint64_t base = CORE_DATA_OFFSET + info->pages->data_len, sum, len;
	struct shape shape;
	int r = page_area_validate(info->pages, base, err);

	if (r)
		return r;
	if (info->pages->data_offset != CORE_DATA_OFFSET)
		return image_file_error(f, EINVAL, "its data area", err);
	r = measure(info, &shape, base, &len);
	if (!r && len > CORE_MAX) {
		error_set(err, EFBIG,
			  "task-%u.core: %llu bytes without the pages, at most %u are read",
			  info->pid, (unsigned long long)len, CORE_MAX);
		return error_hint(err, "the process has too many mappings, or single pages strewn");
	}
	if (!r)
		r = write_around(image_file_fd(f), info, &shape, base, &sum);
	return r ? image_file_error(f, -r, "writing", err)
		 : image_file_checked(f, CORE_DATA_OFFSET, info->pages->data_len, sum, err);
}
