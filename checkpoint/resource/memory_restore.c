// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stub begins with the runtime's address space. The vdso is parked beside the
 * window, everything else goes, the vdso is moved to where it was recorded, and the
 * mappings are made, writable; contents come next, protections last. One that was born to
 * its parent when that had its memory already begins with the parent's, and keeps what it
 * has inherited of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "checkpoint/resource/memory.h"
#include "checkpoint/resource/memory_cow.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/resource/sysvipc.h"
#include "checkpoint/user/fdpass.h"
#include "checkpoint/user/pages.h"
#include "checkpoint/user/proc.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define PAGE	    4096ull
#define LOWEST	    0x10000ull
#define TASK_TOP    0x7ffffffff000ull /* of 47 bits, where stubs live */
#define PARKING	    STUB_PARKING
#define WINDOW_STEP 0x100000ull
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08 /* Linux 6.11 */
#endif
#define VMAS_MAX (1u << 22)
#define AUXV_MAX 8192

/* --- load --- */

static bool vma_is_sane(const struct ckpt_vma *v, uint64_t floor)
{
	return v->start >= floor && v->start < v->end && !(v->start % PAGE) && !(v->end % PAGE) &&
	       v->end <= 1ull << 56 && !(v->offset % PAGE) &&
	       !(v->prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)) && v->shared <= 3 &&
	       v->kind <= CKPT_VMA_SPECIAL && (v->shared || v->kind != CKPT_VMA_SHM);
}

static int load_vmas(struct restore_task *t, const struct record *rec, struct error **err)
{
	const struct ckpt_vma *v = rec->data;
	/* no mapping lower than the stub itself could make: vm.mmap_min_addr is not the image's to
	 * pass */
	uint64_t floor = LOWEST;

	if (rec->len % sizeof(*v) || rec->len / sizeof(*v) > VMAS_MAX)
		return error_set(err, EBADMSG, "mappings: %zu bytes", rec->len);
	t->vmas = v;
	t->vma_count = rec->len / sizeof(*v);
	for (size_t i = 0; i < t->vma_count; i++) {
		if (!vma_is_sane(&v[i], floor) || !memchr(v[i].name, 0, sizeof(v[i].name)))
			return error_set(err, EBADMSG,
					 "process %u: a mapping at %#llx that cannot be",
					 t->rec->pid, (unsigned long long)v[i].start);
		floor = v[i].end;
	}
	return 0;
}

int memory_load(struct restore *r, struct restore_task *t, const struct record *rec,
		struct error **err)
{
	if (!t)
		return error_set(err, EBADMSG, "memory outside of a process");
	switch (rec->type) {
	case CKPT_VMAS:
		return load_vmas(t, rec, err);
	case CKPT_AUXV:
		if (rec->len > AUXV_MAX || rec->len % 16)
			return error_set(err, EBADMSG, "an auxiliary vector of %zu bytes",
					 rec->len);
		t->auxv = rec->data;
		t->auxv_len = rec->len;
		return 0;
	default:
		t->mm = record_head(rec, sizeof(*t->mm), err);
		if (!t->mm)
			return -EBADMSG;
		if ((t->mm->vdso | t->mm->vdso_len | t->mm->vvar | t->mm->vvar_len) % PAGE ||
		    t->mm->vdso_len > PARKING || t->mm->vvar_len > PARKING)
			return error_set(err, EBADMSG, "process %u: a vdso that cannot be",
					 t->rec->pid);
		return 0;
	}
}

/* --- window --- */

static bool touches(uint64_t start, uint64_t end, uint64_t other, uint64_t len)
{
	return start < other + len && end > other;
}

static bool is_free(const struct restore *r, const vma_vec *stub, uint64_t start, uint64_t end)
{
	vec_for_each (v, stub)
		if (start < v->rec.end && end > v->rec.start)
			return false;
	vec_for_each (t, &r->tasks) {
		for (size_t i = 0; i < t->vma_count; i++)
			if (start < t->vmas[i].end && end > t->vmas[i].start)
				return false;
		if (t->mm && (touches(start, end, t->mm->vdso, t->mm->vdso_len) ||
			      touches(start, end, t->mm->vvar, t->mm->vvar_len)))
			return false;
	}
	return true;
}

/* All stubs have the runtime's layout: it is read once. */
static int find_parts(struct restore *r, const vma_vec *stub, struct error **err)
{
	vec_for_each (v, stub) {
		if (!v->path || (strcmp(v->path, "[vdso]") && strncmp(v->path, "[vvar", 5)))
			continue;
		if (r->part_count == sizeof(r->parts) / sizeof(*r->parts))
			return error_set(err, EOPNOTSUPP, "a vdso of too many parts");
		strncpy(r->parts[r->part_count].name, v->path, sizeof(r->parts->name) - 1);
		r->parts[r->part_count].start = v->rec.start;
		r->parts[r->part_count++].len = v->rec.end - v->rec.start;
		if (strcmp(v->path, "[vdso]"))
			continue;
		r->vdso = v->rec.start;
		r->vdso_len = v->rec.end - v->rec.start;
	}
	return r->vdso ? 0 : error_set(err, EOPNOTSUPP, "this kernel gives no vdso");
}

int memory_find_window(struct restore *r, uint64_t *address, struct error **err)
{
	vma_vec stub = {0};
	int ret = proc_vmas(r->init, &stub, err);

	if (!ret)
		ret = find_parts(r, &stub, err);
	*address = 0;
	for (uint64_t a = 0x10000000; !ret && !*address && a < TASK_TOP / 2; a += WINDOW_STEP)
		if (is_free(r, &stub, a, a + REMOTE_WINDOW + PARKING))
			*address = a;
	if (!ret && !*address)
		ret = error_set(err, ENOMEM,
				"no room for a window in the processes' address spaces");
	vmas_free(&stub);
	return ret;
}

/* --- layout --- */

static const struct remote_note vdso_note = {.what = "moving the vdso"};

static int move(struct remote *r, uint64_t from, uint64_t len, uint64_t to, struct error **err)
{
	return remote_later(r, 0, &vdso_note, err, SYS_mremap, from, len, len,
			    MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

static int unmap(struct remote *r, uint64_t start, uint64_t end, struct error **err)
{
	return start < end ? remote_later(r, 0, &vdso_note, err, SYS_munmap, start, end - start)
			   : 0;
}

/* The window and the parking place are in nobody's mappings. */
static int unmap_but_window(struct restore *r, struct remote *remote, uint64_t start, uint64_t end,
			    struct error **err)
{
	uint64_t window_end = r->window + REMOTE_WINDOW + PARKING;
	int ret;

	if (end <= r->window || start >= window_end)
		return unmap(remote, start, end, err);
	ret = unmap(remote, start, r->window, err);
	return ret ? ret : unmap(remote, window_end, end, err);
}

static int unmap_rest(struct restore *r, struct restore_task *t, const cow_kept_vec *kept,
		      struct error **err)
{
	uint64_t at = LOWEST;
	int ret = 0;

	vec_for_each (k, kept) {
		if (!ret)
			ret = unmap_but_window(r, &t->remote, at, k->vma->start, err);
		at = k->end;
	}
	return ret ? ret : unmap_but_window(r, &t->remote, at, TASK_TOP, err);
}

/* Where the process had it; NULL: it has unmapped it. */
static const struct ckpt_vma *find_special(const struct restore_task *t, const char *name)
{
	for (size_t i = 0; i < t->vma_count; i++)
		if (t->vmas[i].kind == CKPT_VMA_SPECIAL && !strcmp(t->vmas[i].name, name))
			return &t->vmas[i];
	return NULL;
}

static uint64_t parked_at(const struct restore *r, uint64_t address)
{
	return r->window + REMOTE_WINDOW + address - r->parts[0].start;
}

/* Each of the kernel's mappings that it had is one of this kernel's, and as long. */
static int check_special(const struct restore *r, const struct restore_task *t, struct error **err)
{
	for (size_t i = 0; i < t->vma_count; i++) {
		const struct ckpt_vma *v = &t->vmas[i];
		unsigned k = 0;

		if (v->kind != CKPT_VMA_SPECIAL || !strcmp(v->name, CKPT_AIO_NAME))
			continue;
		while (k < r->part_count && strcmp(r->parts[k].name, v->name))
			k++;
		if (k == r->part_count || r->parts[k].len != v->end - v->start ||
		    find_special(t, v->name) != v)
			return error_set(err, EBADMSG, "process %u: %s does not fit this kernel's",
					 t->rec->pid, v->name);
	}
	return 0;
}

uint64_t memory_vdso_at(const struct restore *r, const struct restore_task *born)
{
	return born ? find_special(born, "[vdso]")->start : r->vdso;
}

bool memory_to_bequeath(const struct restore *r, const struct restore_task *t)
{
	bool whole = t->bequeaths;

	for (unsigned i = 0; i < r->part_count; i++)
		whole &= whole && find_special(t, r->parts[i].name);
	return whole;
}

/* Where a stub that was born so has it: all have all of it that bequeath their memory. */
static uint64_t born_at(const struct restore *r, const struct restore_task *born, unsigned part)
{
	return born ? find_special(born, r->parts[part].name)->start : r->parts[part].start;
}

/* Leaves nothing where it was but what is kept. */
static int park_vdso(struct restore *r, struct restore_task *t, const cow_kept_vec *kept,
		     struct error **err)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < r->part_count; i++)
		ret = move(&t->remote, born_at(r, t->born, i), r->parts[i].len,
			   parked_at(r, r->parts[i].start), err);
	return ret ? ret : unmap_rest(r, t, kept, err);
}

/* Without a vdso the stub keeps its own in the parking place, until it has other code. */
static int move_vdso(struct restore *r, struct restore_task *t, const cow_kept_vec *kept,
		     struct error **err)
{
	uint64_t park = r->window + REMOTE_WINDOW;
	const struct ckpt_vma *vdso = find_special(t, "[vdso]");
	int ret = check_special(r, t, err);

	if (!ret)
		ret = park_vdso(r, t, kept, err);
	for (unsigned i = 0; !ret && i < r->part_count; i++) {
		const struct ckpt_vma *v = find_special(t, r->parts[i].name);

		if (v)
			ret = move(&t->remote, parked_at(r, r->parts[i].start), r->parts[i].len,
				   v->start, err);
	}
	if (!ret && vdso)
		ret = unmap(&t->remote, park, park + PARKING, err);
	/* used when it has moved: whatever needs it makes what is queued first */
	t->remote.syscall_insn +=
		(vdso ? vdso->start : parked_at(r, r->vdso)) - memory_vdso_at(r, t->born);
	return ret;
}

/* Now: many such copies of a large memory at a time may be more than the system commits to. */
int memory_give_up(struct restore *r, struct restore_task *t, struct error **err)
{
	static const cow_kept_vec nothing;
	int ret = 0;

	if (!t->born)
		return 0;
	ret = park_vdso(r, t, &nothing, err);
	for (unsigned i = 0; !ret && i < r->part_count; i++)
		ret = move(&t->remote, parked_at(r, r->parts[i].start), r->parts[i].len,
			   r->parts[i].start, err);
	t->remote.syscall_insn += r->vdso - memory_vdso_at(r, t->born);
	t->born = NULL;
	return ret ? ret : remote_flush(&t->remote, err);
}

/* The contents are there, and with them code that makes system calls. */
static int leave_vdso(struct restore *r, struct restore_task *t, struct error **err)
{
	uint64_t park = r->window + REMOTE_WINDOW, insn = 0;

	if (find_special(t, "[vdso]"))
		return 0;
	for (size_t i = 0; !insn && i < t->vma_count; i++)
		if (t->vmas[i].kind == CKPT_VMA_FILE && t->vmas[i].prot & PROT_EXEC)
			insn = remote_find_syscall(t->pid, t->vmas[i].start,
						   t->vmas[i].end - t->vmas[i].start);
	if (!insn)
		return error_set(err, EBADMSG, "process %u has no code to make system calls by",
				 t->rec->pid);
	/* calls of the window need none of it */
	t->remote.syscall_insn = insn;
	return unmap(&t->remote, park, park + PARKING, err);
}

static int mapping_flags(const struct ckpt_vma *v)
{
	return v->shared & CKPT_VMA_SHARED_WRITE ? O_RDWR : O_RDONLY;
}

static struct stub_file *find_mapped(const stub_file_vec *m, uint32_t kind, uint32_t source,
				     int flags)
{
	/* neighbours are mostly the same file: look from the end */
	for (size_t i = m->count; i--;)
		if (m->items[i].kind == kind && m->items[i].source == source &&
		    m->items[i].flags == flags)
			return &m->items[i];
	return NULL;
}

static int add_source(stub_file_vec *mapped, uint32_t kind, uint32_t source, int flags,
		      struct error **err)
{
	struct stub_file *m = find_mapped(mapped, kind, source, flags);

	if (m)
		return 0;
	m = vec_add(mapped);
	if (!m)
		return error_errno(err, ENOMEM, "mapping files");
	*m = (struct stub_file){kind, source, flags, -1};
	return 0;
}

/* What it maps; and its program, which is set when all is there. */
static int list_sources(const struct restore_task *t, stub_file_vec *mapped, struct error **err)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < t->vma_count; i++) {
		const struct ckpt_vma *v = &t->vmas[i];

		if (v->kind == CKPT_VMA_FILE || v->kind == CKPT_VMA_OBJECT)
			ret = add_source(mapped, v->kind, v->source, mapping_flags(v), err);
	}
	return ret ? ret : add_source(mapped, CKPT_VMA_FILE, t->mm->exe, O_RDONLY, err);
}

static int open_source(struct restore *r, const struct stub_file *m, int *fd, struct error **err)
{
	const struct file_object *o = files_object(r, m->source);
	__cleanup_fd int object = -1;
	int ret;

	/* its ring: of this very socket */
	if (m->kind == CKPT_VMA_FILE && o && o->kind == &file_kind_packet) {
		*fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 3);
		return *fd < 0 ? error_errno(err, errno, "mapping a packet socket") : 0;
	}
	if (m->kind == CKPT_VMA_FILE)
		return files_open(r, m->source, m->flags, fd, err);
	ret = memory_object_open(r, m->source, &object, err);
	if (ret)
		return ret;
	/* a mapping that could become writable stands in the way of a seal against writing */
	*fd = reopen_fd(object, m->flags);
	return *fd < 0 ? error_errno(err, -*fd, "opening shared memory") : 0;
}

static int give_some(struct restore *r, struct restore_task *t, struct stub_file *mapped,
		     unsigned count, struct error **err)
{
	int fds[FDPASS_MAX], numbers[FDPASS_MAX], ret = 0;
	unsigned n = 0;

	while (!ret && n < count) {
		ret = open_source(r, &mapped[n], &fds[n], err);
		n += !ret;
	}
	if (!ret)
		ret = fdpass_send(r, t, fds, n, numbers, err);
	while (n-- > 0) {
		close(fds[n]);
		if (!ret)
			mapped[n].number = numbers[n];
	}
	return ret;
}

/* But for those that the stub was born with: children mostly map what their parent maps. */
static int give_sources(struct restore *r, struct restore_task *t, struct error **err)
{
	stub_file_vec *mapped = &t->sources;
	size_t inherited = mapped->count;
	int ret = list_sources(t, mapped, err);

	for (size_t at = inherited; !ret && at < mapped->count; at += FDPASS_MAX) {
		size_t n = mapped->count - at;

		ret = give_some(r, t, mapped->items + at, n < FDPASS_MAX ? n : FDPASS_MAX, err);
	}
	if (!ret)
		t->exe_number = find_mapped(mapped, CKPT_VMA_FILE, t->mm->exe, O_RDONLY)->number;
	return ret;
}

int memory_inherit_sources(const struct restore_task *maker, struct restore_task *t,
			   struct error **err)
{
	vec_for_each (file, &maker->sources) {
		struct stub_file *slot = vec_add(&t->sources);

		if (!slot)
			return error_errno(err, ENOMEM, "making stubs");
		*slot = *file;
	}
	return 0;
}

static bool has_contents(const struct restore_task *t, const struct ckpt_vma *v)
{
	const struct page_area *pages = &t->core.pages;
	size_t low = 0, high = pages->run_count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (pages->runs[mid].address + pages->runs[mid].len <= v->start)
			low = mid + 1;
		else
			high = mid;
	}
	return low < pages->run_count && pages->runs[low].address < v->end;
}

/*
 * Contents are loaded with the mapping writable; what has none gets its protection
 * at once: a reservation that nobody may write to is not charged for.
 */
static int first_prot(const struct restore_task *t, const struct ckpt_vma *v)
{
	return has_contents(t, v) ? (int)v->prot | PROT_READ | PROT_WRITE : (int)v->prot;
}

static int map(struct restore_task *t, const struct ckpt_vma *v, int number, struct error **err)
{
	static const struct remote_note note = {.what = "mapping"};
	unsigned long type = v->shared			     ? MAP_SHARED
			     : v->flags & CKPT_VMA_DROPPABLE ? MAP_DROPPABLE
							     : MAP_PRIVATE;
	unsigned long flags = MAP_FIXED_NOREPLACE | type;

	if (v->kind == CKPT_VMA_ANON)
		flags |= MAP_ANONYMOUS;
	if (v->flags & CKPT_VMA_HUGETLB)
		flags |= MAP_HUGETLB | MAP_HUGE_2MB;
	if (v->flags & CKPT_VMA_HUGETLB_1G)
		flags |= MAP_HUGETLB | MAP_HUGE_1GB;
	if (v->flags & CKPT_VMA_GROWSDOWN)
		flags |= MAP_GROWSDOWN;
	if (v->flags & CKPT_VMA_NORESERVE)
		flags |= MAP_NORESERVE;
	return remote_later(&t->remote, 0, &note, err, SYS_mmap, v->start, v->end - v->start,
			    first_prot(t, v), flags, number,
			    v->kind == CKPT_VMA_ANON ? 0 : v->offset);
}

/* What it was born with, at the size that it has now, and as writable as what is mapped anew. */
static int keep(struct restore_task *t, const struct cow_kept *k, struct error **err)
{
	static const struct remote_note grow_note = {.what = "growing what is inherited"},
					protect_note = {.what = "protecting what is inherited"};
	const struct ckpt_vma *v = k->vma;
	int prot = first_prot(t, v), ret = 0;

	if (k->end < v->end)
		ret = remote_later(&t->remote, 0, &grow_note, err, SYS_mremap, v->start,
				   k->end - v->start, v->end - v->start, 0);
	if (!ret && prot != first_prot(t->born, k->parents))
		ret = remote_later(&t->remote, 0, &protect_note, err, SYS_mprotect, v->start,
				   v->end - v->start, prot);
	return ret;
}

static int make_mappings(struct restore *r, struct restore_task *t, const cow_kept_vec *kept,
			 struct error **err)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < t->vma_count; i++) {
		const struct ckpt_vma *v = &t->vmas[i];
		const struct stub_file *m =
			find_mapped(&t->sources, v->kind, v->source, mapping_flags(v));
		const struct cow_kept *k = cow_kept_of(kept, v);

		if (k)
			ret = keep(t, k, err);
		else if (v->kind == CKPT_VMA_SHM)
			ret = sysvipc_attach(r, t, v, err);
		else if (v->kind != CKPT_VMA_SPECIAL)
			ret = map(t, v, m ? m->number : -1, err);
	}
	return ret;
}

static const struct {
	uint32_t flag;
	int advice;
} advices[] = {
	{CKPT_VMA_HUGEPAGE, MADV_HUGEPAGE},	{CKPT_VMA_NOHUGE, MADV_NOHUGEPAGE},
	{CKPT_VMA_DONTFORK, MADV_DONTFORK},	{CKPT_VMA_DONTDUMP, MADV_DONTDUMP},
	{CKPT_VMA_WIPEONFORK, MADV_WIPEONFORK}, {CKPT_VMA_MERGEABLE, MADV_MERGEABLE},
	{CKPT_VMA_SEQ, MADV_SEQUENTIAL},	{CKPT_VMA_RAND, MADV_RANDOM},
};

/* One call per flag of each mapping; what is refused is an error, not a difference. */
static int advise(struct restore_task *t, struct error **err)
{
	static const struct remote_note note = {.what = "advising on memory"};
	int ret = 0;

	for (size_t i = 0; i < t->vma_count; i++) {
		const struct ckpt_vma *v = &t->vmas[i];

		if (v->kind == CKPT_VMA_SPECIAL)
			continue;
		for (size_t k = 0; k < sizeof(advices) / sizeof(*advices); k++)
			if (!ret && v->flags & advices[k].flag)
				ret = remote_later(&t->remote, 0, &note, err, SYS_madvise, v->start,
						   v->end - v->start, advices[k].advice);
	}
	return ret;
}

#define SOURCES_KEPT 64

/*
 * A few stay open for the children, who are born with them, until files_give() closes whatever
 * is not the process's own.
 */
static int close_sources(struct restore_task *t, struct error **err)
{
	static const struct remote_note note = {.what = "closing what was mapped"};
	int ret = 0;

	if (t->sources.count <= SOURCES_KEPT)
		return 0;
	vec_for_each (file, &t->sources)
		if (!ret && file->number != t->exe_number)
			ret = remote_later(&t->remote, 0, &note, err, SYS_close, file->number);
	t->sources.count = 0;
	return ret;
}

static int make_layout(struct restore *r, struct restore_task *t, struct error **err)
{
	cow_kept_vec kept = {0};
	int ret = cow_find_kept(r, t, &kept, err);

	if (!ret)
		ret = move_vdso(r, t, &kept, err);
	if (!ret)
		ret = give_sources(r, t, err);
	if (!ret)
		ret = make_mappings(r, t, &kept, err);
	if (!ret)
		ret = cow_drop_others(t, &kept, err);
	if (!ret)
		ret = advise(t, err);
	if (!ret)
		ret = close_sources(t, err);
	vec_free(&kept);
	return ret;
}

/* --- contents --- */

/* Every run must lie in a mapping that the image says has contents of its own. */
static int check_runs(const struct restore_task *t, struct error **err)
{
	size_t v = 0;

	for (size_t i = 0; i < t->core.pages.run_count; i++) {
		const struct ckpt_page_run *run = &t->core.pages.runs[i];
		uint64_t at = run->address, end = run->address + run->len;

		while (at < end) {
			const struct ckpt_vma *vma;

			while (v < t->vma_count && t->vmas[v].end <= at)
				v++;
			vma = &t->vmas[v];
			if (v == t->vma_count || at < vma->start ||
			    (vma->kind != CKPT_VMA_ANON &&
			     ((vma->kind != CKPT_VMA_FILE && vma->kind != CKPT_VMA_OBJECT) ||
			      vma->shared)))
				return error_set(err, EBADMSG,
						 "process %u: pages at %#llx without a mapping",
						 t->rec->pid, (unsigned long long)at);
			at = vma->end < end ? vma->end : end;
		}
	}
	return 0;
}

static int set_protections(struct restore_task *t, struct error **err)
{
	static const struct remote_note note = {.what = "protecting"};
	int ret = 0;

	for (size_t i = 0; !ret && i < t->vma_count; i++) {
		const struct ckpt_vma *v = &t->vmas[i];

		if (v->kind != CKPT_VMA_SPECIAL && first_prot(t, v) != (int)v->prot)
			ret = remote_later(&t->remote, 0, &note, err, SYS_mprotect, v->start,
					   v->end - v->start, v->prot);
	}
	return ret;
}

struct mm_data {
	struct prctl_mm_map map;
	char auxv[AUXV_MAX];
};

static int set_mm(struct restore_task *t, struct error **err)
{
	static const struct remote_note
		mm_note = {.what = "setting program and heap",
			   .hint = "the program's file must be executable, on a mount that is not "
				   "noexec, and open for writing by nobody"},
		thp_note = {.what = "setting the use of huge pages"};
	const struct ckpt_mm *mm = t->mm;
	uint64_t at;
	struct mm_data *d = remote_later_data(&t->remote, sizeof(*d), &at, err);
	int ret;

	if (!d)
		return -error_code(*err);
	memcpy(d->auxv, t->auxv, t->auxv_len);
	d->map = (struct prctl_mm_map){
		.start_code = mm->start_code,
		.end_code = mm->end_code,
		.start_data = mm->start_data,
		.end_data = mm->end_data,
		.start_brk = mm->start_brk,
		.brk = mm->brk,
		.start_stack = mm->start_stack,
		.arg_start = mm->arg_start,
		.arg_end = mm->arg_end,
		.env_start = mm->env_start,
		.env_end = mm->env_end,
		.auxv = (void *)(at + offsetof(struct mm_data, auxv)),
		.auxv_size = t->auxv_len,
		.exe_fd = t->exe_number,
	};
	ret = remote_later(&t->remote, 0, &mm_note, err, SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, at,
			   sizeof(d->map), 0);
	/* what the kernel answers is 1, and the flags with which it was set (Linux 6.18) */
	if (!ret && mm->thp_disable)
		ret = remote_later(&t->remote, 0, &thp_note, err, SYS_prctl, PR_SET_THP_DISABLE, 1,
				   mm->thp_disable & ~1u, 0, 0);
	return ret;
}

static int begin_load(struct restore *r, struct restore_task *t, struct error **err)
{
	struct page_memory to = {.pid = t->pid, .object = -1};
	int ret = remote_finish(&t->remote, err);

	if (!ret)
		ret = check_runs(t, err);
	if (ret)
		return ret;
	r->page_bytes += t->core.pages.data_len;
	ret = page_pool_load(r->pages, &to, &t->core.pages, t->core.fd, t->core_name, err);
	if (!ret)
		ret = cow_copy(r, t, err);
	t->laid_out = !ret;
	return ret;
}

/* The stub makes the last of it by itself: begin_load() waits. */
static int start_layout(struct restore *r, struct restore_task *t, struct error **err)
{
	struct page_options options = {.cancel = r->request->cancel};
	int ret = r->pages ? 0 : page_pool_create(&r->pages, &options, err);

	if (!ret)
		ret = make_layout(r, t, err);
	return ret ? ret : remote_start_queued(&t->remote, err);
}

int memory_prepare(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret = start_layout(r, t, err);

	if (!ret)
		ret = begin_load(r, t, err);
	return ret ? ret : page_pool_finish(r->pages, err);
}

/* One stub maps while the next one's calls are prepared. */
int memory_layout(struct restore *r, struct error **err)
{
	struct restore_task *mapping = NULL;
	int ret = 0;

	vec_for_each (t, &r->tasks) {
		if (ret || t->rec->state == CKPT_TASK_ZOMBIE || t->laid_out)
			continue;
		ret = start_layout(r, t, err);
		if (!ret && mapping)
			ret = begin_load(r, mapping, err);
		mapping = t;
	}
	return ret || !mapping ? ret : begin_load(r, mapping, err);
}

int memory_end_load(struct restore *r, struct error **err)
{
	int ret = page_pool_finish(r->pages, err);

	vec_for_each (t, &r->tasks) {
		if (ret || t->rec->state == CKPT_TASK_ZOMBIE)
			continue;
		ret = set_protections(t, err);
		if (!ret)
			ret = set_mm(t, err);
		if (!ret)
			ret = leave_vdso(r, t, err);
		if (!ret && restore_shares_files(r, t))
			ret = remote_flush(&t->remote, err);
	}
	return ret;
}
