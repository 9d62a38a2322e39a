// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a process has asked for about its memory that is not in the mappings' own flags:
 * guard pages, protection keys, NUMA policies, locks on memory that is or will be mapped,
 * merging (KSM). Contents are loaded before any of it is set.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "checkpoint/kernel/capture.h"
#include "checkpoint/resource/memory.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/user/pages.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67 /* Linux 6.4 */
#define PR_GET_MEMORY_MERGE 68
#endif

#define PAGE	   4096ull
#define NODE_WORDS 4
#define NODES_ASK  1024 /* as many as the kernel may have */
#define PKEYS	   16
#define RANGES_MAX (1u << 22)

typedef VEC(struct ckpt_range) range_vec;

static int add_range(range_vec *ranges, uint64_t start, uint64_t end, uint32_t kind, uint32_t value,
		     const __u64 *nodes, struct error **err)
{
	struct ckpt_range *range = vec_add(ranges);

	if (!range)
		return error_errno(err, ENOMEM, "recording what was asked for memory");
	*range = (struct ckpt_range){.start = start, .end = end, .kind = kind, .value = value};
	if (nodes)
		memcpy(range->nodes, nodes, sizeof(range->nodes));
	return 0;
}

static bool is_kernels(const struct ckpt_vma *v)
{
	return v->kind == CKPT_VMA_SPECIAL;
}

/* --- a checkpoint: page by page --- */

static bool is_looked_through(const struct dump_task *t, const struct ckpt_vma *v)
{
	return is_kernels(v) || (t->guards_found && memory_has_own_pages(v));
}

/* In mappings that nobody has looked through for pages; those without one between them at once. */
static int scan_rest(struct dump_task *t, int pagemap, page_run_vec *runs, struct error **err)
{
	int r = 0;

	for (size_t i = 0, next; !r && i < t->vmas.count; i = next) {
		const struct vma *v = t->vmas.items;

		for (next = i; next < t->vmas.count && !is_looked_through(t, &v[next].rec); next++)
			;
		if (next > i)
			r = pages_scan_guard(pagemap, v[i].rec.start, v[next - 1].rec.end, runs,
					     err);
		else
			next++;
	}
	return r;
}

static int add_guards(const page_run_vec *runs, range_vec *ranges, struct error **err)
{
	int r = 0;

	vec_for_each (run, runs)
		if (!r)
			r = add_range(ranges, run->address, run->address + run->len,
				      CKPT_RANGE_GUARD, 0, NULL, err);
	return r;
}

static int find_guards(struct dump_task *t, int pagemap, range_vec *ranges, struct error **err)
{
	page_run_vec rest = {0};
	int r = scan_rest(t, pagemap, &rest, err);

	if (!r)
		r = add_guards(&t->guards, ranges, err);
	if (!r)
		r = add_guards(&rest, ranges, err);
	vec_free(&rest);
	return r;
}

/*
 * mlock(2) has made all pages present; where some are not, they are to be locked when they
 * come (MLOCK_ONFAULT), which older kernels do not say ("lf" of VmFlags).
 */
static int find_onfault(struct dump_task *t, int pagemap, struct error **err)
{
	vec_for_each (v, &t->vmas) {
		uint64_t entry;

		if (is_kernels(&v->rec) || !(v->rec.flags & CKPT_VMA_LOCKED))
			continue;
		for (uint64_t at = v->rec.start; at < v->rec.end; at += PAGE) {
			if (pread_full(pagemap, &entry, sizeof(entry), at / PAGE * sizeof(entry)))
				return error_errno(err, EIO, "reading /proc/%d/pagemap",
						   t->speaker);
			if (entry >> 63)
				continue;
			v->rec.flags |= CKPT_VMA_ONFAULT;
			break;
		}
	}
	return 0;
}

/* --- policies --- */

struct policy_data {
	uint32_t mode, pad;
	__u64 nodes[NODES_ASK / 64];
};
#define POLICIES 128 /* of one list of questions */

static void ask_policies(const struct dump_task *t, size_t first, struct questions *q)
{
	for (size_t i = first; i < t->vmas.count && i < first + POLICIES; i++) {
		uint64_t at = ask_room(q, sizeof(struct policy_data));

		ask_call(q, SYS_get_mempolicy, at, at + offsetof(struct policy_data, nodes),
			 NODES_ASK, t->vmas.items[i].rec.start, MPOL_F_ADDR);
	}
}

/* call is the one of the mapping first. 1: there is no NUMA */
static int add_policies(const struct dump_task *t, size_t first, const struct answers *a,
			const struct remote_call *call, range_vec *ranges, struct error **err)
{
	int r = call->ret == -ENOSYS ? 1 : 0;

	for (size_t i = first; !r && i < t->vmas.count && i < first + POLICIES; i++, call++) {
		const struct policy_data *data = answer_data(a, call->args[0]);
		const struct ckpt_vma *v = &t->vmas.items[i].rec;

		if (call->ret || !data->mode || is_kernels(v))
			continue;
		for (unsigned k = NODE_WORDS; k < NODES_ASK / 64; k++)
			if (data->nodes[k])
				return error_set(err, EOPNOTSUPP,
						 "a NUMA policy of more than 256 nodes");
		r = add_range(ranges, v->start, v->end, CKPT_RANGE_POLICY, data->mode, data->nodes,
			      err);
	}
	return r;
}

/* The first ones are in everybody's answers. */
static int find_policies(struct dump_task *t, const struct remote_call *first, range_vec *ranges,
			 struct error **err)
{
	int r = add_policies(t, 0, &t->answers, first, ranges, err);

	for (size_t i = POLICIES; !r && i < t->vmas.count; i += POLICIES) {
		struct questions q = {.remote = &t->remote};
		struct answers more = {0};

		ask_policies(t, i, &q);
		r = ask_thread(&q, t->speaker, &more, err);
		if (!r)
			r = add_policies(t, i, &more, more.calls, ranges, err);
		answers_free(&more);
	}
	return r < 0 ? r : 0;
}

/* --- protection keys --- */

/* CPUID 7: that the kernel uses them. Asked once: in a virtual machine each time is an exit. */
static bool have_pkeys(void)
{
	static enum { UNKNOWN, NO, YES } have;
	unsigned a, b, c, d;

	if (have == UNKNOWN)
		have = __get_cpuid_count(7, 0, &a, &b, &c, &d) && c & (1 << 4) ? YES : NO;
	return have == YES;
}

/* Above what any process can map, with five levels of page tables as well. */
#define NOWHERE (1ull << 56)

/*
 * Which keys a process has allocated is in no file. But pkey_mprotect() looks at the key before it
 * looks for the mapping (mm/mprotect.c): of nowhere it changes nothing, and says EINVAL or ENOMEM.
 */
static void ask_keys(struct questions *q)
{
	for (unsigned i = 1; have_pkeys() && i < PKEYS; i++)
		ask_call(q, SYS_pkey_mprotect, NOWHERE, PAGE, PROT_NONE, i);
}

/* The answers to that; bit k: key k. *calls moves on behind them. */
static uint32_t keys_answered(const struct remote_call **calls)
{
	uint32_t keys = 0;

	for (unsigned i = 1; have_pkeys() && i < PKEYS; i++)
		if ((*calls)++->ret == -ENOMEM)
			keys |= 1u << i;
	return keys;
}

/* All that are free, with the rights that unused ones have; got: bit k, key k. */
static int take_free_keys(struct remote *remote, uint32_t *got, struct error **err)
{
	struct remote_call *call = remote_calls(remote);
	int r;

	*got = 0;
	for (unsigned i = 1; i < PKEYS; i++)
		remote_set(&call[i - 1], SYS_pkey_alloc, 0, PKEY_DISABLE_ACCESS);
	r = remote_run(remote, 0, PKEYS - 1, err);
	for (unsigned i = 1; !r && i < PKEYS; i++)
		if (call[i - 1].ret > 0 && call[i - 1].ret < PKEYS)
			*got |= 1u << call[i - 1].ret;
	return r;
}

static int free_keys(struct remote *remote, uint32_t keys, struct error **err)
{
	struct remote_call *call = remote_calls(remote);
	unsigned n = 0;

	for (unsigned i = 1; i < PKEYS; i++)
		if (keys & (1u << i))
			remote_set(&call[n++], SYS_pkey_free, i);
	return n ? remote_run(remote, 0, n, err) : 0;
}

/* Memory that can only be executed has a key of the kernel's own. */
static int find_keys(struct dump_task *t, range_vec *ranges, struct error **err)
{
	int r = 0;

	vec_for_each (v, &t->vmas)
		if (!r && v->pkey && v->rec.prot != PROT_EXEC && !is_kernels(&v->rec))
			r = add_range(ranges, v->rec.start, v->rec.end, CKPT_RANGE_PKEY, v->pkey,
				      NULL, err);
	return r;
}

/* --- the process as a whole --- */

/*
 * MCL_FUTURE is in no file; but our own window has been locked, if it is there, and
 * MADV_DONTNEED refuses locked memory (mm/madvise.c). Of what is shared it forgets nothing.
 */
static void ask_lock_future(const struct dump_task *t, struct questions *q)
{
	ask_call(q, SYS_madvise, t->remote.address + REMOTE_WINDOW - PAGE, PAGE, MADV_DONTNEED);
}

static int find_lock_future(struct dump_task *t, const struct remote_call *answer, uint32_t *flags,
			    struct error **err)
{
	uint8_t *present = remote_data(&t->remote);
	long ret;
	int r;

	if (answer->ret != -EINVAL)
		return 0;
	*flags = MCL_FUTURE;
	r = remote_syscall(&t->remote, err, "mincore", &ret, SYS_mincore, t->remote.address,
			   REMOTE_WINDOW, remote_data_address(&t->remote), 0, 0, 0);
	for (unsigned i = 0; !r && !ret && i < REMOTE_WINDOW / PAGE; i++)
		if (!(present[i] & 1))
			*flags = MCL_FUTURE | MCL_ONFAULT;
	return r;
}

static void policy_ask(struct dump_task *t, struct questions *q)
{
	ask_call(q, SYS_prctl, PR_GET_MEMORY_MERGE, 0, 0, 0, 0);
	ask_lock_future(t, q);
	ask_keys(q);
	ask_policies(t, 0, q);
}

static int record_policy(struct dump_task *t, struct ckpt_mm_policy *rec, const range_vec *ranges,
			 struct error **err)
{
	rec->ranges = ranges->count;
	if (!record_add2(&t->records, CKPT_MM_POLICY, rec, sizeof(*rec), ranges->items,
			 ranges->count * sizeof(*ranges->items)))
		return error_errno(err, ENOMEM, "recording what was asked for memory");
	return 0;
}

static int policy_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	__cleanup_fd int pagemap = -1;
	struct ckpt_mm_policy rec = {0};
	const struct remote_call *call, *lock_future;
	range_vec ranges = {0};
	int r;

	if (!t)
		return 0;
	call = answers_of(t, &resource_memory_policy);
	rec.merge = call++->ret > 0;
	lock_future = call++;
	rec.pkeys = keys_answered(&call);
	pagemap = open_fmt(O_RDONLY, "/proc/%d/pagemap", t->speaker);
	if (pagemap < 0)
		return error_errno(err, -pagemap, "opening /proc/%d/pagemap", t->speaker);
	r = find_guards(t, pagemap, &ranges, err);
	if (!r)
		r = find_onfault(t, pagemap, err);
	if (!r)
		r = find_policies(t, call, &ranges, err);
	if (!r)
		r = find_keys(t, &ranges, err);
	if (!r)
		r = find_lock_future(t, lock_future, &rec.lock_future, err);
	if (!r)
		r = record_policy(t, &rec, &ranges, err);
	vec_free(&ranges);
	return r ? error_wrap(err, "process %u", t->rec.pid) : 0;
}

/* Policies and keys are the kernel's, as a dump would have them: all of one kind, then the other.
 */
static int take_ranges(const struct ckpt_mm_policy *from, range_vec *ranges, struct error **err)
{
	const struct ckpt_range *rows = (const void *)(from + 1);
	int r = 0;

	for (uint32_t kind = CKPT_RANGE_POLICY; kind <= CKPT_RANGE_PKEY; kind++)
		for (uint32_t i = 0; !r && i < from->ranges; i++)
			if (rows[i].kind == kind)
				r = add_range(ranges, rows[i].start, rows[i].end, kind,
					      rows[i].value, rows[i].nodes, err);
	return r;
}

static int policy_adopt(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	__cleanup_fd int pagemap = -1;
	const struct ckpt_mm_policy *from;
	struct ckpt_mm_policy rec;
	range_vec ranges = {0};
	size_t len = 0;
	int r;

	if (!t)
		return 0;
	from = kernel_find_record(t, CKPT_MM_POLICY, sizeof(rec), &len);
	if (!from || len - sizeof(rec) < from->ranges * sizeof(struct ckpt_range))
		return error_set(err, EPROTO, "the kernel has not recorded process %u", t->rec.pid);
	pagemap = open_fmt(O_RDONLY, "/proc/%d/pagemap", t->speaker);
	if (pagemap < 0)
		return error_errno(err, -pagemap, "opening /proc/%d/pagemap", t->speaker);
	r = find_guards(t, pagemap, &ranges, err);
	if (!r)
		r = take_ranges(from, &ranges, err);
	rec = *from;
	if (!r)
		r = record_policy(t, &rec, &ranges, err);
	vec_free(&ranges);
	return r ? error_wrap(err, "process %u", t->rec.pid) : 0;
}

/* --- a restore --- */

static bool range_is_sane(const struct ckpt_range *range)
{
	return range->start < range->end && !(range->start % PAGE) && !(range->end % PAGE) &&
	       range->kind <= CKPT_RANGE_PKEY &&
	       (range->kind != CKPT_RANGE_PKEY || (range->value && range->value < PKEYS));
}

static int policy_load(struct restore *r, struct restore_task *t, const struct record *rec,
		       struct error **err)
{
	const struct ckpt_mm_policy *p = record_head(rec, sizeof(*p), err);
	const struct ckpt_range *ranges;
	struct record *more;

	if (!p)
		return -EBADMSG;
	ranges = (const void *)(p + 1);
	if (!t || p->ranges > RANGES_MAX || rec->len - sizeof(*p) != p->ranges * sizeof(*ranges) ||
	    p->lock_future & ~(MCL_FUTURE | MCL_ONFAULT) || p->merge > 1)
		return error_set(err, EBADMSG, "malformed");
	for (uint32_t i = 0; i < p->ranges; i++)
		if (!range_is_sane(&ranges[i]))
			return error_set(err, EBADMSG, "a range at %#llx that cannot be",
					 (unsigned long long)ranges[i].start);
	more = vec_add(&t->more);
	if (!more)
		return error_errno(err, ENOMEM, "loading");
	*more = *rec;
	return 0;
}

static uint32_t prot_at(const struct restore_task *t, uint64_t address)
{
	for (size_t i = 0; i < t->vma_count; i++)
		if (address >= t->vmas[i].start && address < t->vmas[i].end)
			return t->vmas[i].prot;
	return PROT_NONE;
}

static int set_policy(struct restore_task *t, const struct ckpt_range *range, struct error **err)
{
	static const struct remote_note note = {.what = "setting the NUMA policy of memory"};
	uint64_t at;
	uint8_t *nodes = remote_later_data(&t->remote, NODES_ASK / 8, &at, err);

	if (!nodes)
		return -error_code(*err);
	memcpy(nodes, range->nodes, sizeof(range->nodes));
	return remote_later(&t->remote, 0, &note, err, SYS_mbind, range->start,
			    range->end - range->start, range->value, at, NODES_ASK, MPOL_MF_MOVE);
}

static int set_range(struct restore_task *t, const struct ckpt_range *range, struct error **err)
{
	static const struct remote_note guard = {.what = "installing guard pages"},
					key = {.what = "giving memory its protection key"};
	uint64_t len = range->end - range->start;

	switch (range->kind) {
	case CKPT_RANGE_GUARD:
		return remote_later(&t->remote, 0, &guard, err, SYS_madvise, range->start, len,
				    MADV_GUARD_INSTALL);
	case CKPT_RANGE_POLICY:
		return set_policy(t, range, err);
	default:
		return remote_later(&t->remote, 0, &key, err, SYS_pkey_mprotect, range->start, len,
				    prot_at(t, range->start), range->value);
	}
}

/* The numbers of those that were in use. */
static int take_keys(struct restore_task *t, const struct ckpt_mm_policy *p, struct error **err)
{
	const struct ckpt_range *ranges = (const void *)(p + 1);
	uint32_t got = 0;
	int r;

	if (!p->pkeys)
		return 0;
	r = have_pkeys() ? take_free_keys(&t->remote, &got, err) : 0;
	for (uint32_t i = 0; !r && i < p->ranges; i++)
		if (ranges[i].kind == CKPT_RANGE_PKEY && !(got & (1u << ranges[i].value)))
			r = error_set(err, EOPNOTSUPP, "protection key %u is not to be had",
				      ranges[i].value);
	return r ? r : free_keys(&t->remote, got & ~p->pkeys, err);
}

/* What is not to be merged although everything is. */
static int set_merge(struct restore_task *t, struct error **err)
{
	static const struct remote_note merge = {.what = "prctl(PR_SET_MEMORY_MERGE)"},
					keep = {.what = "madvise(MADV_UNMERGEABLE)", .any = true};
	int r = remote_later(&t->remote, 0, &merge, err, SYS_prctl, PR_SET_MEMORY_MERGE, 1);

	for (size_t i = 0; !r && i < t->vma_count; i++)
		if (t->vmas[i].kind == CKPT_VMA_ANON && !(t->vmas[i].flags & CKPT_VMA_MERGEABLE))
			r = remote_later(&t->remote, 0, &keep, err, SYS_madvise, t->vmas[i].start,
					 t->vmas[i].end - t->vmas[i].start, MADV_UNMERGEABLE);
	return r;
}

/* Last: guards cannot be installed in what is locked. */
static int lock_mappings(struct restore_task *t, struct error **err)
{
	static const struct remote_note note = {
		.what = "locking memory",
		.hint = "needs the limit RLIMIT_MEMLOCK or CAP_IPC_LOCK of the host",
	};
	int r = 0;

	for (size_t i = 0; !r && i < t->vma_count; i++) {
		const struct ckpt_vma *v = &t->vmas[i];

		if (v->kind == CKPT_VMA_SPECIAL || !(v->flags & CKPT_VMA_LOCKED))
			continue;
		r = remote_later(&t->remote, 0, &note, err, SYS_mlock2, v->start, v->end - v->start,
				 v->flags & CKPT_VMA_ONFAULT ? MLOCK_ONFAULT : 0);
	}
	return r;
}

static const struct ckpt_mm_policy *find_record(const struct restore_task *t)
{
	vec_for_each (rec, &t->more)
		if (rec->type == CKPT_MM_POLICY)
			return rec->data;
	return NULL;
}

static int policy_restore(struct restore *r, struct restore_task *t, struct error **err)
{
	const struct ckpt_mm_policy *p = find_record(t);
	const struct ckpt_range *ranges = (const void *)(p + 1);
	int ret = p ? take_keys(t, p, err) : 0;

	for (uint32_t i = 0; p && !ret && i < p->ranges; i++)
		ret = set_range(t, &ranges[i], err);
	if (!ret && p && p->merge)
		ret = set_merge(t, err);
	if (!ret)
		ret = lock_mappings(t, err);
	return ret ? error_wrap(err, "process %u", t->rec->pid) : 0;
}

/* Nothing is mapped any more. */
static int policy_arm(struct restore *r, struct restore_task *none, struct error **err)
{
	static const struct remote_note note = {.what = "locking what will be mapped"};
	int ret = 0;

	vec_for_each (t, &r->tasks) {
		const struct ckpt_mm_policy *p =
			t->rec->state == CKPT_TASK_ZOMBIE ? NULL : find_record(t);

		if (!ret && p && p->lock_future)
			ret = remote_later(&t->remote, 0, &note, err, SYS_mlockall, p->lock_future);
	}
	return ret;
}

static const enum ckpt_type types[] = {CKPT_MM_POLICY, 0};

static const char *const not_captured[] = {
	"guard pages on Linux 6.13 and 6.14, which tell nobody of them",
	"on kernels whose smaps lacks \"lf\", MLOCK_ONFAULT of memory whose pages have all come "
	"already",
	NULL,
};

const struct resource_class resource_memory_policy = {
	.name = "memory policy",
	.version = 1,
	.types = types,
	.dump = policy_dump,
	.ask = policy_ask,
	.kernel = KERNEL_CLASS(MEMORY),
	.adopt = policy_adopt,
	.load = policy_load,
	.restore = {[STAGE_TASK] = policy_restore, [STAGE_ARM] = policy_arm},
	.not_captured = not_captured,
};
