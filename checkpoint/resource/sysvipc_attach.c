// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attachments of System V shared memory. shmat(2) makes whole ones, mprotect and munmap cut
 * them, and shmdt(2) takes all pieces of one away: those that lie where they would if it were
 * whole. So these are attached together, aside, and each is moved to its place.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "checkpoint/resource/sysvipc.h"
#include "util/error.h"

#define PAGE   4096ull
#define LOWEST 0x100000ull
#define TOP    0x7ffffffff000ull /* of 47 bits, where stubs live */

/* The pieces of one attachment: they have its segment and would begin at the same address. */
struct attachment {
	const struct ckpt_vma *first;
	uint64_t size; /* of the segment, in whole pages */
	bool write, exec;
	unsigned pieces;
};

static uint64_t start_of(const struct ckpt_vma *v)
{
	return v->start - v->offset;
}

static bool is_piece(const struct ckpt_vma *v, const struct ckpt_vma *of)
{
	return v->kind == CKPT_VMA_SHM && v->source == of->source && start_of(v) == start_of(of);
}

static int find_size(const struct restore *r, const struct ckpt_vma *v, uint64_t *size,
		     struct error **err)
{
	*size = 0;
	if (r->ipc)
		vec_for_each (rec, &r->ipc->records) {
			const struct ckpt_ipc_shm *shm = rec->data;

			if (rec->type == CKPT_IPC_SHM && shm->perm.id == v->source)
				*size = (shm->size + PAGE - 1) & ~(PAGE - 1);
		}
	if (!*size)
		return error_set(err, EBADMSG, "the image has no shared memory %u", v->source);
	return 0;
}

/* What of it v belongs to; pieces is 0 if an earlier mapping was the first of them. */
static int find_attachment(const struct restore *r, const struct restore_task *t,
			   const struct ckpt_vma *v, struct attachment *a, struct error **err)
{
	int ret;

	*a = (struct attachment){.first = v};
	ret = find_size(r, v, &a->size, err);
	if (ret)
		return ret;
	for (const struct ckpt_vma *p = t->vmas; p < t->vmas + t->vma_count; p++) {
		if (!is_piece(p, v))
			continue;
		if (p < v) {
			a->pieces = 0;
			return 0;
		}
		if (p->offset > a->size || p->end - p->start > a->size - p->offset)
			return error_set(err, EBADMSG, "shared memory %u ends before 0x%llx",
					 v->source, (unsigned long long)p->end);
		a->pieces++;
		a->write = a->write || p->shared & CKPT_VMA_SHARED_WRITE;
		a->exec = a->exec || p->prot & PROT_EXEC;
	}
	return 0;
}

/* Room that neither the process has nor its stub: 0 if there is none. */
static uint64_t find_room(const struct restore *r, const struct restore_task *t, uint64_t size)
{
	uint64_t window_end = r->window + REMOTE_WINDOW + STUB_PARKING, low = LOWEST;

	for (size_t i = 0; i <= t->vma_count; i++) {
		uint64_t end = i < t->vma_count && t->vmas[i].start < TOP ? t->vmas[i].start : TOP;

		if (low < window_end && end > r->window) {
			if (r->window > low && r->window - low >= size)
				return low;
			low = window_end;
		}
		if (end > low && end - low >= size)
			return low;
		if (i < t->vma_count && t->vmas[i].end > low)
			low = t->vmas[i].end;
	}
	return 0;
}

static int attach(struct restore_task *t, const struct attachment *a, uint64_t at,
		  struct error **err)
{
	static const struct remote_note note = {.what = "attaching shared memory"};
	unsigned long flags = (a->write ? 0 : SHM_RDONLY) | (a->exec ? SHM_EXEC : 0);

	return remote_later(&t->remote, 0, &note, err, SYS_shmat, a->first->source, at, flags);
}

static int protect(struct restore_task *t, const struct ckpt_vma *v, const struct attachment *a,
		   struct error **err)
{
	static const struct remote_note note = {.what = "protecting shared memory"};
	uint32_t now = PROT_READ | (a->write ? PROT_WRITE : 0) | (a->exec ? PROT_EXEC : 0);

	if (v->prot == now)
		return 0;
	return remote_later(&t->remote, 0, &note, err, SYS_mprotect, v->start, v->end - v->start,
			    v->prot);
}

static int place(struct restore_task *t, const struct attachment *a, uint64_t from,
		 struct error **err)
{
	static const struct remote_note note = {.what = "placing shared memory"};
	int ret = 0;

	for (const struct ckpt_vma *v = a->first; !ret && v < t->vmas + t->vma_count; v++) {
		uint64_t len = v->end - v->start;

		if (!is_piece(v, a->first))
			continue;
		ret = remote_later(&t->remote, 0, &note, err, SYS_mremap, from + v->offset, len,
				   len, MREMAP_MAYMOVE | MREMAP_FIXED, v->start);
		if (!ret)
			ret = protect(t, v, a, err);
	}
	return ret ? ret : remote_later(&t->remote, 0, &note, err, SYS_munmap, from, a->size);
}

int sysvipc_attach(struct restore *r, struct restore_task *t, const struct ckpt_vma *v,
		   struct error **err)
{
	struct attachment a;
	uint64_t aside;
	int ret = find_attachment(r, t, v, &a, err);

	if (ret || !a.pieces)
		return ret;
	if (a.pieces == 1 && v->end - v->start == a.size) {
		ret = attach(t, &a, v->start, err);
		return ret ? ret : protect(t, v, &a, err);
	}
	aside = find_room(r, t, a.size);
	if (!aside)
		return error_set(err, ENOMEM, "process %u has no room to attach shared memory %u",
				 t->rec->pid, v->source);
	ret = attach(t, &a, aside, err);
	return ret ? ret : place(t, &a, aside, err);
}
