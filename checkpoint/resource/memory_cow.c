// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/resource/memory_cow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define PAGE	4096ull
#define ENTRIES 512

/* Documentation/admin-guide/mm/pagemap.rst */
#define ENTRY_PRESENT	(1ull << 63)
#define ENTRY_SWAPPED	(1ull << 62)
#define ENTRY_EXCLUSIVE (1ull << 56)
#define ENTRY_PFN	((1ull << 55) - 1)

/* What is not given to children, or would not be the same mapping afterwards. */
#define NEVER_INHERITED                                                                            \
	(CKPT_VMA_DONTFORK | CKPT_VMA_WIPEONFORK | CKPT_VMA_HUGETLB | CKPT_VMA_HUGETLB_1G |        \
	 CKPT_VMA_DROPPABLE)

/* Locks are not given to children either, and are set when everybody has its memory. */
#define SET_LATER (CKPT_VMA_LOCKED | CKPT_VMA_ONFAULT)

/*
 * Up to where the mapping v of a process can be what is left of its parent's mapping p; 0: it
 * cannot. Only a beginning of v: growing at its end is a call, at its beginning none.
 */
static uint64_t inheritable(const struct ckpt_vma *v, const struct ckpt_vma *p)
{
	if (v->shared || p->shared || v->kind != p->kind || (v->flags ^ p->flags) & ~SET_LATER ||
	    v->flags & NEVER_INHERITED || v->start < p->start || v->start >= p->end)
		return 0;
	if (v->kind == CKPT_VMA_FILE &&
	    (v->source != p->source || v->offset - p->offset != v->start - p->start))
		return 0;
	if (v->kind != CKPT_VMA_ANON && v->kind != CKPT_VMA_FILE)
		return 0;
	return v->end < p->end ? v->end : p->end;
}

/* --- what records say --- */

/* The memory of a process as it is, or is to be, recorded. */
struct view {
	const struct ckpt_vma *vmas;
	size_t vma_count;
	const struct page_area *pages;
};

static bool inherits(const struct ckpt_page_run *run)
{
	return run->kind == CKPT_PAGES_INHERITED;
}

/* The mapping that has the address; *at is where to look from. */
static const struct ckpt_vma *vma_at(const struct view *m, size_t *at, uint64_t address)
{
	while (*at < m->vma_count && m->vmas[*at].end <= address)
		(*at)++;
	return *at < m->vma_count && m->vmas[*at].start <= address ? &m->vmas[*at] : NULL;
}

/* Whether there are contents for all of [start, end); *at is where to look from. */
static bool is_covered(const struct page_area *area, size_t *at, uint64_t start, uint64_t end)
{
	while (*at < area->run_count && area->runs[*at].address + area->runs[*at].len <= start)
		(*at)++;
	for (size_t i = *at; i < area->run_count && start < end; i++) {
		const struct ckpt_page_run *run = &area->runs[i];

		if (run->address > start || (run->kind != CKPT_PAGES_DATA && !inherits(run)))
			return false;
		start = run->address + run->len;
	}
	return start >= end;
}

/* A run that says it is the parent's (NULL: there is none) and cannot be; or NULL. */
static const struct ckpt_page_run *find_orphan(const struct view *m, const struct view *parents)
{
	size_t v = 0, pv = 0, covered = 0;

	for (size_t i = 0; i < m->pages->run_count; i++) {
		const struct ckpt_page_run *run = &m->pages->runs[i];
		const struct ckpt_vma *own, *theirs;

		if (!inherits(run))
			continue;
		own = parents ? vma_at(m, &v, run->address) : NULL;
		theirs = own ? vma_at(parents, &pv, own->start) : NULL;
		if (!theirs || run->address + run->len > inheritable(own, theirs) ||
		    !is_covered(parents->pages, &covered, run->address, run->address + run->len))
			return run;
	}
	return NULL;
}

static int refuse(uint32_t pid, const struct ckpt_page_run *run, int code, struct error **err)
{
	return error_set(err, code, "process %u: pages at %#llx that its parent does not have", pid,
			 (unsigned long long)run->address);
}

/* --- a checkpoint --- */

/*
 * A block of a pagemap: what one table of the process's page tables has, which is what the
 * kernel walks through for a single entry as well.
 */
struct entries {
	int pagemap;
	bool there;
	uint64_t start;
	uint64_t of[ENTRIES];
};

#define BLOCK (ENTRIES * PAGE)

static bool has_block(const struct entries *e, uint64_t address)
{
	return e->there && address - e->start < BLOCK;
}

/* The last block of the address space is a page short. */
static int read_block(struct entries *e, uint64_t address, struct error **err)
{
	ssize_t n;

	e->start = address & ~(BLOCK - 1);
	n = pread(e->pagemap, e->of, sizeof(e->of), e->start / PAGE * 8);
	if (n < (ssize_t)((address - e->start) / PAGE * 8))
		return error_errno(err, n < 0 ? errno : EIO, "reading a pagemap");
	memset((char *)e->of + n, 0, sizeof(e->of) - n);
	e->there = true;
	return 0;
}

static uint64_t entry_of(const struct entries *e, uint64_t address)
{
	return e->of[(address - e->start) / PAGE];
}

/* Without CAP_SYS_ADMIN no frame is told, and nothing is known to be shared. */
static bool same_frame(uint64_t a, uint64_t b)
{
	const uint64_t where = ENTRY_PRESENT | ENTRY_SWAPPED | ENTRY_PFN;

	return a & (ENTRY_PRESENT | ENTRY_SWAPPED) && a & ENTRY_PFN && !((a ^ b) & where);
}

/* In flags of a run, for as long as runs are being looked at: others may have the pages too. */
#define MAYBE_SHARED 0x8000

struct piece {
	uint16_t kind, flags;
};

static const struct piece alone = {.kind = CKPT_PAGES_DATA};

/* own: t's entry of the page; others: its parent's */
static struct piece classify(uint64_t own, uint64_t others)
{
	if (own & ENTRY_EXCLUSIVE)
		return alone;
	if (same_frame(own, others))
		return (struct piece){.kind = CKPT_PAGES_INHERITED};
	return (struct piece){CKPT_PAGES_DATA, MAYBE_SHARED};
}

static int add_piece(page_run_vec *runs, const struct ckpt_page_run *whole, uint64_t start,
		     uint64_t end, struct piece piece, struct error **err)
{
	struct ckpt_page_run *last = runs->count ? &runs->items[runs->count - 1] : NULL;
	uint16_t flags = whole->flags | piece.flags;

	/* more of the same piece; no run reaches out of its mapping */
	if (last && last->address + last->len == start && last->kind == piece.kind &&
	    last->flags == flags && start > whole->address) {
		last->len += end - start;
		return 0;
	}
	last = vec_add(runs);
	if (!last)
		return error_errno(err, ENOMEM, "listing pages");
	*last = *whole;
	last->address = start;
	last->len = end - start;
	last->kind = piece.kind;
	last->flags = flags;
	return 0;
}

static bool all_exclusive(const struct entries *e, uint64_t start, uint64_t end)
{
	for (; start < end; start += PAGE)
		if (!(entry_of(e, start) & ENTRY_EXCLUSIVE))
			return false;
	return true;
}

/* The parent's side: its entries, ours read again behind them, and what is saved of its pages. */
struct theirs {
	struct entries entries, again;
	const struct page_area *pages;
	size_t at; /* where to look from */
};

static int read_theirs(struct theirs *theirs, uint64_t address, struct error **err)
{
	int r = 0;

	if (has_block(&theirs->again, address))
		return 0;
	r = read_block(&theirs->entries, address, err);
	return r ? r : read_block(&theirs->again, address, err);
}

/*
 * The parent's entry for own, 0 where the page cannot be the parent's. It may have been moved
 * before that was read, and another one of the parent's have got its frame: so it must be where it
 * was. And what is no page of the parent's to be saved is nothing to inherit: the kernel makes
 * pages that are all zeros its page of zeros (KSM, split huge pages), which a parent that has read
 * without ever writing has, too.
 */
static uint64_t parents_entry(struct theirs *theirs, uint64_t at, uint64_t own)
{
	if (!theirs || own != entry_of(&theirs->again, at) ||
	    !is_covered(theirs->pages, &theirs->at, at, at + PAGE))
		return 0;
	return entry_of(&theirs->entries, at);
}

/* [start, end) is part of a run. theirs: of who could have the same pages, or NULL. */
static int split(const struct ckpt_page_run *run, uint64_t start, uint64_t end, struct entries *own,
		 struct theirs *theirs, page_run_vec *out, struct error **err)
{
	int r = 0;

	while (!r && start < end) {
		uint64_t stop;

		if (!has_block(own, start))
			r = read_block(own, start, err);
		stop = own->start + BLOCK < end ? own->start + BLOCK : end;
		if (!r && all_exclusive(own, start, stop)) {
			r = add_piece(out, run, start, stop, alone, err);
			start = stop;
			continue;
		}
		if (!r && theirs)
			r = read_theirs(theirs, start, err);
		for (; !r && start < stop; start += PAGE) {
			uint64_t entry = entry_of(own, start);

			r = add_piece(out, run, start, start + PAGE,
				      classify(entry, parents_entry(theirs, start, entry)), err);
		}
	}
	return r;
}

/* --- a checkpoint: who is looked at --- */

/* A program's start gives these, and they are random; a child has them of its parent. */
static int compare_origins(const void *pa, const void *pb)
{
	const struct proc_stat *a = &(*(struct dump_task *const *)pa)->stat;
	const struct proc_stat *b = &(*(struct dump_task *const *)pb)->stat;

	if (a->start_stack != b->start_stack)
		return a->start_stack < b->start_stack ? -1 : 1;
	if (a->start_brk != b->start_brk)
		return a->start_brk < b->start_brk ? -1 : 1;
	return a->start_code < b->start_code ? -1 : a->start_code > b->start_code;
}

int cow_find_kin(struct checkpoint *c, struct error **err)
{
	__cleanup_free struct dump_task **order = calloc(c->tasks.count, sizeof(*order));
	size_t n = 0;

	if (!order)
		return error_errno(err, ENOMEM, "comparing tasks");
	vec_for_each (t, &c->tasks)
		if (t->rec.state != CKPT_TASK_ZOMBIE && !t->pages_written)
			order[n++] = t;
	qsort(order, n, sizeof(*order), compare_origins);
	for (size_t i = 1; i < n; i++)
		if (!compare_origins(&order[i - 1], &order[i]))
			order[i - 1]->kin = order[i]->kin = true;
	return 0;
}

static const struct dump_task *parent_of(const struct checkpoint *c, const struct dump_task *t)
{
	vec_for_each (p, &c->tasks)
		if (p->rec.pid == t->rec.ppid)
			return p < t && p->rec.state != CKPT_TASK_ZOMBIE && !p->pages_written
				       ? p
				       : NULL;
	return NULL;
}

static int open_parent(struct cow_parent *parent, const struct dump_task *p, struct error **err)
{
	if (parent->task == p)
		return 0;
	if (parent->pagemap >= 0)
		close(parent->pagemap);
	parent->task = p;
	parent->pagemap = open_fmt(O_RDONLY, "/proc/%d/pagemap", p->speaker);
	return parent->pagemap < 0
		       ? error_errno(err, -parent->pagemap, "opening /proc/%d/pagemap", p->speaker)
		       : 0;
}

/* Walks t's mappings and its parent's, both by address, side by side. */
struct pairs {
	const struct dump_task *t, *p;
	size_t v, at;
};

/* Up to where the mapping that has this address can be the parent's; 0: it cannot. */
static uint64_t inherited_end(struct pairs *w, uint64_t address)
{
	const struct vma *v;

	while (w->t->vmas.items[w->v].rec.end <= address)
		w->v++;
	v = &w->t->vmas.items[w->v];
	while (w->at < w->p->vmas.count && w->p->vmas.items[w->at].rec.end <= v->rec.start)
		w->at++;
	if (w->at == w->p->vmas.count)
		return 0;
	return inheritable(&v->rec, &w->p->vmas.items[w->at].rec);
}

static int mark_run(const struct ckpt_page_run *run, uint64_t cut, struct entries *own,
		    struct theirs *theirs, page_run_vec *out, struct error **err)
{
	uint64_t start = run->address, end = start + run->len;
	int r = 0;

	cut = cut < start ? start : cut < end ? cut : end;
	if (cut > start)
		r = split(run, start, cut, own, theirs, out, err);
	return r || cut == end ? r : split(run, cut, end, own, NULL, out, err);
}

/* What runs have said by a flag so far. */
static int take_flags(page_run_vec *runs, bool **shared, struct error **err)
{
	*shared = calloc(runs->count + 1, sizeof(**shared));
	if (!*shared)
		return error_errno(err, ENOMEM, "listing pages");
	for (size_t i = 0; i < runs->count; i++) {
		(*shared)[i] = runs->items[i].flags & MAYBE_SHARED;
		runs->items[i].flags &= ~MAYBE_SHARED;
	}
	return 0;
}

int cow_mark(struct checkpoint *c, const struct dump_task *t, int pagemap,
	     struct cow_parent *parent, page_run_vec *runs, bool **shared, struct error **err)
{
	const struct dump_task *p = t->kin ? parent_of(c, t) : NULL;
	struct pairs w = {.t = t, .p = p};
	struct entries own = {.pagemap = pagemap};
	struct theirs theirs = {0};
	page_run_vec out = {0};
	int r = 0;

	if (!t->kin)
		return 0;
	if (p) {
		r = open_parent(parent, p, err);
		theirs.entries.pagemap = parent->pagemap;
		theirs.again.pagemap = pagemap;
		theirs.pages = &p->pages;
	}
	/* runs do not reach out of their mappings */
	vec_for_each (run, runs)
		if (!r)
			r = mark_run(run, p ? inherited_end(&w, run->address) : 0, &own, &theirs,
				     &out, err);
	vec_free(runs);
	*runs = out;
	return r ? r : take_flags(runs, shared, err);
}

/* --- a checkpoint: what was recorded --- */

static struct view recorded_view(const struct dump_task *t)
{
	struct view m = {.pages = &t->pages};
	struct record rec;
	size_t pos = 0;

	while (record_next(t->records.data, t->records.len, &pos, &rec) == 1)
		if (rec.type == CKPT_VMAS) {
			m.vmas = rec.data;
			m.vma_count = rec.len / sizeof(*m.vmas);
			break;
		}
	return m;
}

/* Pages were looked at before mappings were recorded, and a restore goes by the records. */
int cow_verify(const struct checkpoint *c, struct error **err)
{
	vec_for_each (t, &c->tasks) {
		const struct dump_task *p = t->kin ? parent_of(c, t) : NULL;
		const struct ckpt_page_run *orphan;
		struct view own, parents;

		if (!p)
			continue;
		own = recorded_view(t);
		parents = recorded_view(p);
		orphan = find_orphan(&own, &parents);
		if (orphan)
			return refuse(t->rec.pid, orphan, EPROTO, err);
	}
	return 0;
}

/* --- a restore: what an image says --- */

static struct view view_of(const struct restore_task *t)
{
	return (struct view){t->vmas, t->vma_count, &t->core.pages};
}

static struct restore_task *giver_of(struct restore *r, const struct restore_task *t)
{
	struct restore_task *p = t->rec->ppid ? restore_find(r, t->rec->ppid) : NULL;

	return p && p < t && p->rec->state != CKPT_TASK_ZOMBIE ? p : NULL;
}

static int check_task(struct restore *r, struct restore_task *t, struct error **err)
{
	struct restore_task *p = giver_of(r, t);
	struct view own = view_of(t), parents = p ? view_of(p) : (struct view){0};
	const struct ckpt_page_run *orphan = find_orphan(&own, p ? &parents : NULL);

	if (orphan)
		return refuse(t->rec->pid, orphan, EBADMSG, err);
	for (size_t i = 0; !t->inherits && i < own.pages->run_count; i++)
		t->inherits = inherits(&own.pages->runs[i]);
	if (t->inherits)
		p->bequeaths = true;
	return 0;
}

int cow_check(struct restore *r, struct error **err)
{
	int ret = 0;

	vec_for_each (t, &r->tasks)
		if (!ret && t->rec->state != CKPT_TASK_ZOMBIE)
			ret = check_task(r, t, err);
	return ret;
}

/* --- a restore: what is kept --- */

int cow_find_kept(struct restore *r, const struct restore_task *t, cow_kept_vec *kept,
		  struct error **err)
{
	const struct restore_task *p = t->inherits ? giver_of(r, t) : NULL;
	const struct page_area *area = &t->core.pages;
	struct view view, parents_view;
	size_t v = 0, pv = 0;

	if (!p || t->born != p)
		return 0;
	view = view_of(t);
	parents_view = view_of(p);
	for (size_t i = 0; i < area->run_count; i++) {
		const struct ckpt_vma *own, *parents;
		struct cow_kept *k = kept->count ? &kept->items[kept->count - 1] : NULL;

		if (!inherits(&area->runs[i]))
			continue;
		own = vma_at(&view, &v, area->runs[i].address);
		if (k && k->vma == own)
			continue;
		parents = vma_at(&parents_view, &pv, own->start);
		k = vec_add(kept);
		if (!k)
			return error_errno(err, ENOMEM, "looking at what is inherited");
		*k = (struct cow_kept){own, parents, inheritable(own, parents)};
	}
	return 0;
}

const struct cow_kept *cow_kept_of(const cow_kept_vec *kept, const struct ckpt_vma *v)
{
	size_t low = 0, high = kept->count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (kept->items[mid].vma < v)
			low = mid + 1;
		else
			high = mid;
	}
	return low < kept->count && kept->items[low].vma == v ? &kept->items[low] : NULL;
}

static int drop(struct restore_task *t, uint64_t start, uint64_t end, struct error **err)
{
	static const struct remote_note note = {.what = "giving up what is not inherited"};

	if (start >= end)
		return 0;
	return remote_later(&t->remote, 0, &note, err, SYS_madvise, start, end - start,
			    MADV_DONTNEED);
}

int cow_drop_others(struct restore_task *t, const cow_kept_vec *kept, struct error **err)
{
	const struct page_area *area = &t->core.pages;
	size_t i = 0;
	int ret = 0;

	vec_for_each (k, kept) {
		uint64_t at = k->vma->start;

		for (; !ret && i < area->run_count && area->runs[i].address < k->end; i++) {
			const struct ckpt_page_run *run = &area->runs[i];

			if (!inherits(run) || run->address < at)
				continue;
			ret = drop(t, at, run->address, err);
			at = run->address + run->len;
		}
		if (!ret)
			ret = drop(t, at, k->end, err);
	}
	return ret;
}

/* --- a restore: copies instead --- */

struct range {
	uint64_t start, end;
};
typedef VEC(struct range) range_vec;

/* Part of an ancestor's data, as an area of its own. */
struct cow_loan {
	struct page_area area;
	page_run_vec runs;
};

static uint64_t chunk_of(const struct page_area *area, uint64_t offset)
{
	return (offset - area->data_offset) / CKPT_CHUNK;
}

/* A loan for what begins at this place in a's file: the last one goes on if it is near enough. */
static struct cow_loan *loan_for(struct restore_task *t, const struct page_area *a, uint64_t offset,
				 size_t first)
{
	struct cow_loan *loan = t->loans.count > first ? t->loans.items[t->loans.count - 1] : NULL;
	struct cow_loan **slot;

	if (loan && chunk_of(a, offset) <=
			    chunk_of(a, loan->area.data_offset + loan->area.data_len - 1) + 1)
		return loan;
	loan = calloc(1, sizeof(*loan));
	slot = loan ? vec_add(&t->loans) : NULL;
	if (!slot) {
		free(loan);
		return NULL;
	}
	*slot = loan;
	loan->area = (struct page_area){
		.data_offset = a->data_offset + chunk_of(a, offset) * CKPT_CHUNK,
		.checksums = a->checksums + chunk_of(a, offset),
	};
	return loan;
}

static int borrow(struct restore_task *t, const struct page_area *a, uint64_t offset,
		  const struct range *range, size_t first, struct error **err)
{
	struct cow_loan *loan = loan_for(t, a, offset, first);
	struct ckpt_page_run *run = loan ? vec_add(&loan->runs) : NULL;
	uint64_t end = offset + (range->end - range->start);

	if (!run)
		return error_errno(err, ENOMEM, "copying what is inherited");
	*run = (struct ckpt_page_run){.address = range->start,
				      .len = range->end - range->start,
				      .offset = offset,
				      .kind = CKPT_PAGES_DATA};
	/* up to the end of the last chunk that has some of it */
	end = a->data_offset + (chunk_of(a, end - 1) + 1) * CKPT_CHUNK;
	if (end > a->data_offset + a->data_len)
		end = a->data_offset + a->data_len;
	loan->area.data_len = end - loan->area.data_offset;
	return 0;
}

/* What a has of these ranges is borrowed; what it has inherited itself is left in rest. */
static int borrow_from(struct restore_task *t, const struct restore_task *a,
		       const range_vec *wanted, range_vec *rest, struct error **err)
{
	const struct page_area *area = &a->core.pages;
	size_t first = t->loans.count, i = 0;
	int ret = 0;

	vec_for_each (w, wanted) {
		while (i < area->run_count && area->runs[i].address + area->runs[i].len <= w->start)
			i++;
		for (size_t k = i; !ret && k < area->run_count && area->runs[k].address < w->end;
		     k++) {
			const struct ckpt_page_run *run = &area->runs[k];
			uint64_t end = run->address + run->len;
			struct range part = {run->address > w->start ? run->address : w->start,
					     end < w->end ? end : w->end};
			struct range *slot = inherits(run) ? vec_add(rest) : NULL;

			if (slot)
				*slot = part;
			else if (inherits(run))
				ret = error_errno(err, ENOMEM, "copying what is inherited");
			else
				ret = borrow(t, area, run->offset + (part.start - run->address),
					     &part, first, err);
		}
	}
	return ret;
}

static int queue_loans(struct restore *r, struct restore_task *t, const struct restore_task *a,
		       size_t first, struct error **err)
{
	struct page_memory to = {.pid = t->pid, .object = -1};
	int ret = 0;

	for (size_t i = first; !ret && i < t->loans.count; i++) {
		struct cow_loan *loan = t->loans.items[i];

		loan->area.runs = loan->runs.items;
		loan->area.run_count = loan->runs.count;
		loan->area.checksum_count = (loan->area.data_len + CKPT_CHUNK - 1) / CKPT_CHUNK;
		ret = page_pool_load(r->pages, &to, &loan->area, a->core.fd, a->core_name, err);
	}
	return ret;
}

static int list_inherited(const struct restore_task *t, range_vec *ranges, struct error **err)
{
	for (size_t i = 0; i < t->core.pages.run_count; i++) {
		const struct ckpt_page_run *run = &t->core.pages.runs[i];
		struct range *slot = inherits(run) ? vec_add(ranges) : NULL;

		if (slot)
			*slot = (struct range){run->address, run->address + run->len};
		else if (inherits(run))
			return error_errno(err, ENOMEM, "copying what is inherited");
	}
	return 0;
}

int cow_copy(struct restore *r, struct restore_task *t, struct error **err)
{
	const struct restore_task *a = giver_of(r, t);
	range_vec wanted = {0};
	int ret = 0;

	if (!t->inherits || t->born == a)
		return 0;
	ret = list_inherited(t, &wanted, err);
	/* every step is to one that comes before: cow_check() */
	for (; !ret && wanted.count; a = giver_of(r, a)) {
		size_t first = t->loans.count;
		range_vec rest = {0};

		ret = borrow_from(t, a, &wanted, &rest, err);
		if (!ret)
			ret = queue_loans(r, t, a, first, err);
		vec_free(&wanted);
		wanted = rest;
	}
	vec_free(&wanted);
	return ret;
}

void cow_forget(struct restore_task *t)
{
	for (size_t i = 0; i < t->loans.count; i++) {
		vec_free(&t->loans.items[i]->runs);
		free(t->loans.items[i]);
	}
	vec_free(&t->loans);
}
