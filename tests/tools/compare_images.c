// SPDX-License-Identifier: GPL-2.0-only
/*
 * compare_images A B: whether two images have the same records, that were saved of one frozen
 * container by the two providers. Prints each record that differs, what of it, and whether it
 * may: times go on, and some things only one of the providers can see (the table below).
 * The exit status is 1 if others differ.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/image/image.h"
#include "util/error.h"

#define RECORDS_MAX	   65536
#define FIELD(type, field) offsetof(type, field), sizeof(((type *)0)->field)

/* What may differ: in each row of a record, behind its head, if it has rows. */
static const struct {
	uint32_t type;
	size_t head, row; /* row 0: none */
	size_t offset, len;
	const char *why;
} may_differ[] = {
	{CKPT_BEGIN, 0, 0, FIELD(struct ckpt_begin, realtime), "later"},
	{CKPT_BEGIN, 0, 0, FIELD(struct ckpt_begin, monotonic), "later"},
	{CKPT_BEGIN, 0, 0, FIELD(struct ckpt_begin, boottime), "later"},
	{CKPT_ITIMERS, 0, sizeof(struct ckpt_itimer), FIELD(struct ckpt_itimer, value), "later"},
	{CKPT_POSIX_TIMERS, 0, sizeof(struct ckpt_posix_timer),
	 FIELD(struct ckpt_posix_timer, value), "later"},
	{CKPT_POSIX_TIMERS, 0, sizeof(struct ckpt_posix_timer),
	 FIELD(struct ckpt_posix_timer, overrun), "kernel only"},
	/* a call that sleeps: user space issues again what the kernel goes on with */
	{CKPT_THREAD, 0, 0, FIELD(struct ckpt_thread, sleep), "kernel only"},
	{CKPT_THREAD, 0, 0, FIELD(struct ckpt_thread, sleep_nr), "kernel only"},
	{CKPT_THREAD, 0, 0, FIELD(struct ckpt_thread, sleep_clock), "kernel only"},
	{CKPT_THREAD, 0, 0, FIELD(struct ckpt_thread, sleep_left), "later"},
	{CKPT_THREAD, 0, 0, offsetof(struct ckpt_thread, regs[10]), 8, "rax of a sleep"},
	{CKPT_THREAD, 0, 0, offsetof(struct ckpt_thread, regs[15]), 16, "orig_rax, rip of a sleep"},
	{CKPT_LEASE, 0, 0, FIELD(struct ckpt_lease, left), "kernel only"},
	{CKPT_LEASE, 0, 0, FIELD(struct ckpt_lease, read_left), "kernel only"},
	{CKPT_IPC_SHM, 0, 0, FIELD(struct ckpt_ipc_shm, atime), "read meanwhile"},
	{CKPT_IPC_SHM, 0, 0, FIELD(struct ckpt_ipc_shm, dtime), "read meanwhile"},
	{CKPT_IPC_SHM, 0, 0, FIELD(struct ckpt_ipc_shm, cpid), "kernel only: of those that ended"},
	{CKPT_IPC_SHM, 0, 0, FIELD(struct ckpt_ipc_shm, lpid), "read meanwhile"},
};
#define ROWS (sizeof(may_differ) / sizeof(*may_differ))

static unsigned allowed, refused;

static const char *find_reason(uint32_t type, size_t at)
{
	for (size_t i = 0; i < ROWS; i++) {
		size_t offset = at;

		if (may_differ[i].type != type || at < may_differ[i].head)
			continue;
		if (may_differ[i].row)
			offset = (at - may_differ[i].head) % may_differ[i].row;
		if (offset >= may_differ[i].offset &&
		    offset < may_differ[i].offset + may_differ[i].len)
			return may_differ[i].why;
	}
	return NULL;
}

static void say(const char *file, unsigned n, uint32_t type, const char *what, const char *why)
{
	printf("%s: record %u, %s: %s (%s)\n", file, n, record_name(type), what,
	       why ? why : "must be the same");
	why ? allowed++ : refused++;
}

/* The first byte of each run that differs. */
static void compare(const char *file, unsigned n, const struct record *a, const struct record *b)
{
	const unsigned char *x = a->data, *y = b->data;
	char what[64];

	if (a->len != b->len) {
		snprintf(what, sizeof(what), "%zu and %zu bytes", a->len, b->len);
		say(file, n, a->type, what, NULL);
		return;
	}
	for (size_t i = 0; i < a->len; i++) {
		if (x[i] == y[i] || (i && x[i - 1] != y[i - 1] &&
				     find_reason(a->type, i) == find_reason(a->type, i - 1)))
			continue;
		snprintf(what, sizeof(what), "byte %zu", i);
		say(file, n, a->type, what, find_reason(a->type, i));
	}
}

static size_t split(const void *stream, size_t len, struct record *out)
{
	size_t pos = 0, n = 0;

	while (n < RECORDS_MAX && record_next(stream, len, &pos, &out[n]) == 1)
		n++;
	return n;
}

/*
 * Records of a thread come in the order of who saved them, so those of one type are
 * compared in the order that they have.
 */
static int find(const struct record *in, const bool *taken, size_t n, uint32_t type)
{
	for (size_t i = 0; i < n; i++)
		if (!taken[i] && in[i].type == type)
			return i;
	return -1;
}

static void compare_streams(const char *file, const void *a, size_t a_len, const void *b,
			    size_t b_len)
{
	static struct record x[RECORDS_MAX], y[RECORDS_MAX];
	static bool taken[RECORDS_MAX];
	size_t m = split(a, a_len, x), n = split(b, b_len, y);

	memset(taken, 0, sizeof(taken));
	for (size_t i = 0; i < m; i++) {
		int k = find(y, taken, n, x[i].type);

		if (k < 0) {
			say(file, i, x[i].type, "only in the first",
			    x[i].type == CKPT_SEM_UNDO ? "kernel only" : NULL);
			continue;
		}
		taken[k] = true;
		/* their offsets are where each has put the pages; contents have checksums */
		if (x[i].type != CKPT_PAGES)
			compare(file, i, &x[i], &y[k]);
	}
	for (size_t i = 0; i < n; i++)
		if (!taken[i])
			say(file, i, y[i].type, "only in the second",
			    y[i].type == CKPT_SEM_UNDO ? "kernel only" : NULL);
}

static void fail(struct error *err)
{
	fprintf(stderr, "compare_images: %s\n", error_message(err));
	exit(2);
}

static int open_core(const char *image, const char *name)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", image, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		perror(path);
		exit(2);
	}
	return fd;
}

/* Where the page is in the file; 0: nowhere, it has no contents. */
static off_t find_page(const struct page_area *pages, uint64_t address)
{
	for (size_t i = 0; i < pages->run_count; i++)
		if (pages->runs[i].kind == CKPT_PAGES_DATA && address >= pages->runs[i].address &&
		    address - pages->runs[i].address < pages->runs[i].len)
			return pages->runs[i].offset + (address - pages->runs[i].address);
	return 0;
}

static bool is_same_page(int a, off_t at_a, int b, off_t at_b)
{
	static char x[IMAGE_PAGE_SIZE], y[IMAGE_PAGE_SIZE];

	memset(y, 0, sizeof(y));
	if (pread(a, x, sizeof(x), at_a) != sizeof(x) ||
	    (at_b && pread(b, y, sizeof(y), at_b) != sizeof(y)))
		exit(2);
	return !memcmp(x, y, sizeof(x));
}

/* Only the user provider tells what a process has from its parent: it is in that one's core. */
static bool is_inherited(const struct page_area *pages, uint64_t address)
{
	for (size_t i = 0; i < pages->run_count; i++)
		if (pages->runs[i].kind == CKPT_PAGES_INHERITED &&
		    address >= pages->runs[i].address &&
		    address - pages->runs[i].address < pages->runs[i].len)
			return true;
	return false;
}

/* Those of a that are other ones in b. */
static unsigned other_pages(int a, const struct page_area *in_a, int b,
			    const struct page_area *in_b)
{
	unsigned n = 0;

	for (size_t i = 0; i < in_a->run_count; i++) {
		const struct ckpt_page_run *run = &in_a->runs[i];

		for (uint64_t at = 0; run->kind == CKPT_PAGES_DATA && at < run->len;
		     at += IMAGE_PAGE_SIZE)
			n += !is_inherited(in_b, run->address + at) &&
			     !is_same_page(a, run->offset + at, b,
					   find_page(in_b, run->address + at));
	}
	return n;
}

/* The user provider has a thread's calls made on an unused part of its stack. */
#define STACK_PAGES 16

static unsigned count_threads(const struct core *core)
{
	struct record rec;
	unsigned n = 0;
	size_t pos = 0;

	while (record_next(core->records, core->records_len, &pos, &rec) == 1)
		n += rec.type == CKPT_THREAD;
	return n;
}

static void compare_pages(char **images, const char *name, const struct core *x,
			  const struct core *y)
{
	int a = open_core(images[0], name), b = open_core(images[1], name);
	unsigned most = STACK_PAGES * count_threads(x);
	unsigned n =
		other_pages(a, &x->pages, b, &y->pages) + other_pages(b, &y->pages, a, &x->pages);

	if (n)
		printf("%s: %u pages (%s)\n", name, n,
		       n <= most ? "unused stack" : "must be the same");
	allowed += n && n <= most;
	refused += n > most;
	close(a);
	close(b);
}

static void compare_cores(char **images, struct image_reader *a, struct image_reader *b,
			  uint32_t pid)
{
	struct core x = {0}, y = {0};
	struct error *err = NULL;
	char name[32];

	snprintf(name, sizeof(name), "task-%u.core", pid);
	if (core_read(a, pid, &x, &err) || core_read(b, pid, &y, &err))
		fail(err);
	compare_streams(name, x.records, x.records_len, y.records, y.records_len);
	compare_pages(images, name, &x, &y);
	core_free(&x);
	core_free(&y);
}

int main(int argc, char **argv)
{
	struct image_reader *image[2] = {NULL};
	const void *records[2];
	struct error *err = NULL;
	struct record rec;
	size_t len[2], pos = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: compare_images IMAGE IMAGE\n");
		return 2;
	}
	for (int i = 0; i < 2; i++)
		if (image_open(argv[i + 1], &image[i], &err) ||
		    image_reader_records(image[i], &records[i], &len[i], &err))
			fail(err);
	compare_streams("container.rec", records[0], len[0], records[1], len[1]);
	while (record_next(records[0], len[0], &pos, &rec) == 1) {
		const struct ckpt_task *task = rec.data;

		if (rec.type == CKPT_TASK && task->state != CKPT_TASK_ZOMBIE)
			compare_cores(argv + 1, image[0], image[1], task->pid);
	}
	for (int i = 0; i < 2; i++)
		image_reader_free(image[i]);
	printf("%u differ and may, %u differ and must not\n", allowed, refused);
	return refused != 0;
}
