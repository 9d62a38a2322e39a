// SPDX-License-Identifier: GPL-2.0-only
/* Which pages of a process hold something. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "checkpoint/user/pages.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/* include/uapi/linux/fs.h of 6.7; guard pages came with 6.15 */
struct scan_region {
	uint64_t start, end, categories;
};
struct scan_arg {
	uint64_t size, flags, start, end, walk_end;
	uint64_t vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_IOCTL   _IOWR('f', 16, struct scan_arg)
#define SCAN_FILE    (1 << 2)
#define SCAN_PRESENT (1 << 3)
#define SCAN_SWAPPED (1 << 4)
#define SCAN_PFNZERO (1 << 5)
#define SCAN_HUGE    (1 << 6)
#define SCAN_GUARD   (1 << 8)
#define SCAN_REGIONS 512

/* Documentation/admin-guide/mm/pagemap.rst */
#define ENTRY_PRESENT (1ULL << 63)
#define ENTRY_SWAPPED (1ULL << 62)
#define ENTRY_FILE    (1ULL << 61)
#define ENTRY_GUARD   (1ULL << 58)
#define ENTRY_PFN     ((1ULL << 55) - 1)

#define PAGE 4096ULL

/* Joins what is adjacent, down to run number first: no run reaches out of its mapping. */
static int add_run(page_run_vec *runs, size_t first, uint64_t start, uint64_t end, uint16_t flags)
{
	struct ckpt_page_run *last = runs->count > first ? &runs->items[runs->count - 1] : NULL;

	if (last && last->address + last->len == start && last->flags == flags) {
		last->len += end - start;
		return 0;
	}
	last = vec_add(runs);
	if (!last)
		return -ENOMEM;
	*last = (struct ckpt_page_run){
		.address = start,
		.len = end - start,
		.kind = CKPT_PAGES_DATA,
		.flags = flags,
	};
	return 0;
}

/* What a scan found: pages with contents, and guards. */
struct found {
	page_run_vec *data, *guards; /* NULL: not asked for */
	size_t first_data, first_guard;
};

static struct found found_to(page_run_vec *data, page_run_vec *guards)
{
	return (struct found){data, guards, data ? data->count : 0, guards ? guards->count : 0};
}

static void forget(const struct found *found)
{
	if (found->data)
		found->data->count = found->first_data;
	if (found->guards)
		found->guards->count = found->first_guard;
}

static int add_region(const struct found *found, const struct scan_region *region)
{
	uint16_t flags = region->categories & SCAN_HUGE ? CKPT_PAGES_HUGE : 0;

	if (region->categories & SCAN_GUARD)
		return found->guards ? add_run(found->guards, found->first_guard, region->start,
					       region->end, 0)
				     : 0;
	return add_run(found->data, found->first_data, region->start, region->end, flags);
}

/* Runs the scan to the end; returns 0 or a negative errno (-ENOTTY: not on this kernel). */
static int scan_all(int fd, struct scan_arg arg, const struct found *found)
{
	struct scan_region regions[SCAN_REGIONS];

	arg.size = sizeof(arg);
	arg.vec = (uintptr_t)regions;
	arg.vec_len = SCAN_REGIONS;
	for (;;) {
		int n = ioctl(fd, SCAN_IOCTL, &arg);
		int r = n < 0 ? -errno : 0;

		for (int i = 0; !r && i < n; i++)
			r = add_region(found, &regions[i]);
		if (r || n < SCAN_REGIONS)
			return r;
		/* walk_end is stale when the array was filled: it may lie before what was found */
		arg.start = regions[n - 1].end;
		if (arg.walk_end > arg.start)
			arg.start = arg.walk_end;
		if (arg.start >= arg.end)
			return 0;
	}
}

/* The frame number of the zero page, or 0 if it cannot be told (no CAP_SYS_ADMIN). */
static uint64_t zero_pfn(void)
{
	__cleanup_fd int fd = open_fmt(O_RDONLY, "/proc/self/pagemap");
	volatile char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t entry = 0;

	if (page == MAP_FAILED)
		return 0;
	(void)*page;
	if (fd < 0 || pread_full(fd, &entry, sizeof(entry), (uintptr_t)page / PAGE * 8))
		entry = 0;
	munmap((void *)page, PAGE);
	return entry & ENTRY_PFN;
}

static bool entry_has_data(uint64_t entry, unsigned flags, uint64_t zero)
{
	if (!(entry & (ENTRY_PRESENT | ENTRY_SWAPPED)) || entry & ENTRY_GUARD)
		return false;
	if (flags & PAGES_SCAN_FILE && entry & ENTRY_FILE)
		return false;
	return !(entry & ENTRY_PRESENT && zero && (entry & ENTRY_PFN) == zero);
}

static int scan_entries(int fd, uint64_t start, uint64_t end, unsigned flags, page_run_vec *runs)
{
	uint64_t entries[2048];
	uint64_t zero = zero_pfn();
	size_t first = runs->count;

	while (start < end) {
		size_t count = (end - start) / PAGE;
		int r;

		if (count > sizeof(entries) / sizeof(*entries))
			count = sizeof(entries) / sizeof(*entries);
		r = pread_full(fd, entries, count * sizeof(*entries), start / PAGE * 8);
		if (r)
			return r;
		for (size_t i = 0; i < count && !r; i++, start += PAGE)
			if (entry_has_data(entries[i], flags, zero))
				r = add_run(runs, first, start, start + PAGE, 0);
		if (r)
			return r;
	}
	return 0;
}

int pages_scan(int pagemap_fd, uint64_t start, uint64_t end, unsigned flags, page_run_vec *runs,
	       page_run_vec *guards, struct error **err)
{
	struct scan_arg arg = {
		.start = start,
		.end = end,
		.category_mask = SCAN_PFNZERO,
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_HUGE | SCAN_GUARD,
	};
	const struct found found = found_to(runs, guards);
	int r;

	if (flags & PAGES_SCAN_FILE)
		arg.category_mask |= SCAN_FILE;
	arg.category_inverted = arg.category_mask;
	r = scan_all(pagemap_fd, arg, &found);
	if (r == -EINVAL) { /* a kernel without guard pages */
		forget(&found);
		arg.return_mask = SCAN_HUGE;
		r = scan_all(pagemap_fd, arg, &found);
	}
	if (r == -ENOTTY) {
		forget(&found);
		r = scan_entries(pagemap_fd, start, end, flags, runs);
	}
	if (r)
		return error_errno(err, -r, "looking at the pages of 0x%llx-0x%llx",
				   (unsigned long long)start, (unsigned long long)end);
	return 0;
}

int pages_scan_guard(int pagemap_fd, uint64_t start, uint64_t end, page_run_vec *runs,
		     struct error **err)
{
	struct scan_arg arg = {
		.start = start,
		.end = end,
		.category_mask = SCAN_GUARD,
		.return_mask = SCAN_GUARD,
	};
	const struct found found = found_to(NULL, runs);
	int r = scan_all(pagemap_fd, arg, &found);

	if (r && r != -EINVAL && r != -ENOTTY)
		return error_errno(err, -r, "looking for guard pages in 0x%llx-0x%llx",
				   (unsigned long long)start, (unsigned long long)end);
	return 0;
}
