/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page contents: out of processes and memory objects into the data area of an
 * image file, and back. Chunks of CKPT_CHUNK are the unit of work, so that one
 * large process and 200 small ones keep every CPU busy alike; each is hashed
 * while it is in the cache.
 */
#ifndef FIRN_CHECKPOINT_USER_PAGES_H
#define FIRN_CHECKPOINT_USER_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "checkpoint/image/image.h"
#include "util/buf.h"

struct error;

typedef VEC(struct ckpt_page_run) page_run_vec;

#define PAGES_SCAN_FILE                                                                            \
	1 /* a private file mapping: pages that are still the file's are no data                   \
	   */

/*
 * Appends the runs of [start, end) whose contents an image needs: present or
 * swapped pages, without those that map the zero page. pagemap_fd is
 * /proc/PID/pagemap, the process must not run. Offsets are left 0. Guard pages
 * (MADV_GUARD_INSTALL) are no data; guards, if it is not NULL, gets their runs: to look at all
 * entries a second time takes as long.
 * Kernels before 6.7 have no PAGEMAP_SCAN (fs/proc/task_mmu.c): there the
 * entries are read, and nothing is marked as huge.
 */
int pages_scan(int pagemap_fd, uint64_t start, uint64_t end, unsigned flags, page_run_vec *runs,
	       page_run_vec *guards, struct error **err);

/* Appends only the runs of guard pages in [start, end). Kernels before 6.15 tell of none. */
int pages_scan_guard(int pagemap_fd, uint64_t start, uint64_t end, page_run_vec *runs,
		     struct error **err);

/*
 * Gives the data runs their offsets in the file, contiguous from data_offset
 * (page aligned), sets data_len, and makes room for the checksums.
 */
int pages_layout(struct page_area *area, uint64_t data_offset, struct error **err);

/* One end of a transfer: what the addresses of an area's runs are addresses of. */
struct page_memory {
	pid_t pid;  /* a process, or 0: an object */
	int object; /* a descriptor of an object: addresses are offsets in it */
};

struct page_options {
	/* Bytes done of what was queued; called by page_pool_finish() now and then. May be NULL. */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
	const volatile int *cancel; /* becomes nonzero: -ECANCELED. May be NULL */
};

/*
 * Saves the data runs of an area to fd, at the offsets that pages_layout() gave
 * them, and fills in its checksums. Pages that the process itself may not read
 * come through /proc/PID/mem. o may be NULL. name is the file's, for errors.
 */
int pages_dump(const struct page_memory *from, struct page_area *area, int fd, const char *name,
	       const struct page_options *o, struct error **err);

/*
 * The other way. Every chunk is compared with its checksum before a byte of it
 * is handed on; -EBADMSG names the file. The area is one that page_area_validate()
 * accepted, but that its addresses are ones the process should get is the caller's
 * to see to. Pages that the process may not write are written through /proc/PID/mem.
 */
int pages_load(const struct page_memory *to, const struct page_area *area, int fd, const char *name,
	       const struct page_options *o, struct error **err);

/*
 * The same for many areas at once, beside what the caller does meanwhile: work begins when
 * an area is queued. Worker threads are made when there is work for them, and stay until
 * the pool is freed; they touch nothing but memory and the descriptors that they are given.
 */
struct page_pool;

/* o is copied; NULL: no options. */
int page_pool_create(struct page_pool **pool, const struct page_options *o, struct error **err);

/* Whatever is not done yet is left undone. */
void page_pool_free(struct page_pool *pool);

/* Queues an area; it, fd and name must stay until page_pool_finish() or page_pool_free(). */
int page_pool_dump(struct page_pool *pool, const struct page_memory *from, struct page_area *area,
		   int fd, const char *name, struct error **err);
int page_pool_load(struct page_pool *pool, const struct page_memory *to,
		   const struct page_area *area, int fd, const char *name, struct error **err);

/* Only fills in the checksums, of data that the file has already. fd is readable. */
int page_pool_hash(struct page_pool *pool, struct page_area *area, int fd, const char *name,
		   struct error **err);

/* Waits for what was queued. The first error if there were several; the queue is empty then. */
int page_pool_finish(struct page_pool *pool, struct error **err);

static inline void cleanup_page_pool(struct page_pool **pool)
{
	page_pool_free(*pool);
}

#endif
