// SPDX-License-Identifier: GPL-2.0-only
/* Page contents: out of a process into a file, and into another process. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "checkpoint/user/pages.h"
#include "tests/unit/child.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define PAGE  4096UL
#define PAGES 16384UL /* 64 MiB: many chunks */
#define SIZE  (PAGES * PAGE)

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static char *reserve(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

/* A child that has prepared its copy of memory and sleeps. */
static pid_t child_with(void (*prepare)(char *memory), char *memory)
{
	int sync[2];
	pid_t pid = child_fork(sync);

	if (!pid) {
		if (prepare)
			prepare(memory);
		child_sleeps(sync);
	}
	assert_true(child_wait(sync));
	return pid;
}

static void mark(char *page, unsigned long n)
{
	for (unsigned long i = 0; i < PAGE / sizeof(n); i++)
		((unsigned long *)page)[i] = n * 0x9e3779b97f4a7c15UL + i;
}

static int scan(pid_t pid, char *memory, size_t size, struct page_area *area)
{
	__cleanup_fd int fd = open_fmt(O_RDONLY, "/proc/%d/pagemap", pid);
	struct error *err = NULL;
	page_run_vec runs = {0};

	assert_true(fd >= 0);
	pages_scan(fd, (uintptr_t)memory, (uintptr_t)memory + size, 0, &runs, NULL, &err);
	no_error(err);
	*area = (struct page_area){.runs = runs.items, .run_count = runs.count};
	return pages_layout(area, PAGE, NULL);
}

static int temporary(void)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void dump(pid_t pid, struct page_area *area, int fd)
{
	struct page_memory from = {.pid = pid};
	struct error *err = NULL;

	pages_dump(&from, area, fd, "image", NULL, &err);
	no_error(err);
}

static void read_child(pid_t pid, void *to, const void *from, size_t size)
{
	__cleanup_fd int fd = open_fmt(O_RDONLY, "/proc/%d/mem", pid);

	assert_int_equal(pread_full(fd, to, size, (uintptr_t)from), 0);
}

/* Both children's memory, whatever its protection. */
static void assert_same(pid_t a, pid_t b, char *memory, size_t size)
{
	char *x = reserve(size), *y = reserve(size);

	read_child(a, x, memory, size);
	read_child(b, y, memory, size);
	assert_memory_equal(x, y, size);
	munmap(x, size);
	munmap(y, size);
}

static void round_trip(void (*prepare)(char *), void (*prepare_target)(char *), size_t min_runs,
		       uint64_t data_len)
{
	char *memory = reserve(SIZE);
	pid_t from = child_with(prepare, memory), to = child_with(prepare_target, memory);
	struct page_memory target = {.pid = to};
	struct page_area area;
	struct error *err = NULL;
	__cleanup_fd int fd = temporary();

	assert_int_equal(scan(from, memory, SIZE, &area), 0);
	assert_true(area.run_count >= min_runs);
	assert_int_equal(area.data_len, data_len);
	dump(from, &area, fd);
	assert_int_equal(page_area_validate(&area, lseek(fd, 0, SEEK_END), &err), 0);
	pages_load(&target, &area, fd, "image", NULL, &err);
	no_error(err);
	assert_same(from, to, memory, SIZE);
	page_area_free(&area);
	child_end(from);
	child_end(to);
	munmap(memory, SIZE);
}

static void fill_all(char *memory)
{
	for (unsigned long i = 0; i < PAGES; i++)
		mark(memory + i * PAGE, i);
}

static void fill_sparsely(char *memory)
{
	volatile char c;

	for (unsigned long i = 0; i < PAGES; i += 3)
		mark(memory + i * PAGE, i);
	/* read only: the zero page, which needs no place in an image */
	for (unsigned long i = 1; i < PAGES; i += 3)
		c = memory[i * PAGE];
	(void)c;
}

static void fill_protected(char *memory)
{
	fill_all(memory);
	mprotect(memory + 5 * PAGE, 300 * PAGE, PROT_NONE);
	mprotect(memory + 1000 * PAGE, 10 * PAGE, PROT_EXEC);
	for (unsigned long i = 2000; i < 4000; i += 2)
		mprotect(memory + i * PAGE, PAGE, PROT_NONE);
}

static void protect_target(char *memory)
{
	mprotect(memory + 7 * PAGE, 500 * PAGE, PROT_NONE);
	mprotect(memory + 3000 * PAGE, 10 * PAGE, PROT_READ);
}

static void test_all(void **state)
{
	round_trip(fill_all, NULL, 1, SIZE);
}

static void test_many_runs(void **state)
{
	round_trip(fill_sparsely, NULL, 5000, (PAGES + 2) / 3 * PAGE);
}

static void test_protected(void **state)
{
	round_trip(fill_protected, protect_target, 1, SIZE);
}

static void install_guard(char *memory)
{
	mark(memory, 1);
	mark(memory + PAGE, 2);
	mark(memory + 2 * PAGE, 3);
	if (madvise(memory + PAGE, PAGE, MADV_GUARD_INSTALL))
		_exit(1);
}

static void test_guard(void **state)
{
	char *memory = reserve(4 * PAGE);
	struct page_area area;
	struct error *err = NULL;
	page_run_vec guards = {0}, data = {0};
	pid_t pid;
	int fd;

	if (madvise(memory, PAGE, MADV_GUARD_INSTALL)) {
		print_message("wants MADV_GUARD_INSTALL (Linux 6.13)\n");
		skip();
	}
	munmap(memory, 4 * PAGE);
	memory = reserve(4 * PAGE);
	pid = child_with(install_guard, memory);
	scan(pid, memory, 4 * PAGE, &area);
	assert_int_equal(area.run_count, 2);
	assert_int_equal(area.data_len, 2 * PAGE);
	fd = open_fmt(O_RDONLY, "/proc/%d/pagemap", pid);
	assert_int_equal(pages_scan_guard(fd, (uintptr_t)memory, (uintptr_t)memory + 4 * PAGE,
					  &guards, &err),
			 0);
	assert_int_equal(guards.count, 1);
	assert_int_equal(guards.items[0].address, (uintptr_t)memory + PAGE);
	assert_int_equal(guards.items[0].len, PAGE);
	guards.count = 0;
	assert_int_equal(pages_scan(fd, (uintptr_t)memory, (uintptr_t)memory + 4 * PAGE, 0, &data,
				    &guards, &err),
			 0);
	assert_int_equal(data.count, 2);
	assert_int_equal(guards.count, 1);
	assert_int_equal(guards.items[0].address, (uintptr_t)memory + PAGE);
	assert_int_equal(guards.items[0].len, PAGE);
	vec_free(&data);
	vec_free(&guards);
	close(fd);
	page_area_free(&area);
	child_end(pid);
	munmap(memory, 4 * PAGE);
}

/* Of a private file mapping only what was written is data. */
static void test_file_mapping(void **state)
{
	__cleanup_fd int file = temporary();
	__cleanup_fd int pagemap = open_fmt(O_RDONLY, "/proc/self/pagemap");
	page_run_vec runs = {0};
	struct error *err = NULL;
	volatile char c;
	char *p;

	assert_int_equal(ftruncate(file, 8 * PAGE), 0);
	p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	for (int i = 0; i < 8; i++)
		c = p[i * PAGE];
	(void)c;
	p[3 * PAGE] = 1;
	pages_scan(pagemap, (uintptr_t)p, (uintptr_t)p + 8 * PAGE, PAGES_SCAN_FILE, &runs, NULL,
		   &err);
	no_error(err);
	assert_int_equal(runs.count, 1);
	assert_int_equal(runs.items[0].address, (uintptr_t)p + 3 * PAGE);
	assert_int_equal(runs.items[0].len, PAGE);
	vec_free(&runs);
	munmap(p, 8 * PAGE);
}

/* A damaged chunk is refused, and not a byte of it reaches the process. */
static void test_flipped_byte(void **state)
{
	char *memory = reserve(SIZE);
	pid_t from = child_with(fill_all, memory), to = child_with(NULL, memory);
	struct page_memory target = {.pid = to};
	const off_t where = 17 * CKPT_CHUNK + 12345;
	__cleanup_fd int fd = temporary();
	struct error *err = NULL;
	struct page_area area;
	char page[PAGE], c;

	assert_int_equal(scan(from, memory, SIZE, &area), 0);
	dump(from, &area, fd);
	assert_int_equal(pread_full(fd, &c, 1, PAGE + where), 0);
	c ^= 1;
	assert_int_equal(pwrite_full(fd, &c, 1, PAGE + where), 0);
	assert_int_equal(pages_load(&target, &area, fd, "task-7.core", NULL, &err), -EBADMSG);
	assert_non_null(strstr(error_message(err), "task-7.core"));
	error_free(err);
	err = NULL;
	read_child(to, page, memory + where / PAGE * PAGE, PAGE);
	for (unsigned i = 0; i < PAGE; i++)
		assert_int_equal(page[i], 0);
	assert_int_equal(ftruncate(fd, 3 * CKPT_CHUNK), 0);
	assert_int_equal(pages_load(&target, &area, fd, "task-7.core", NULL, &err), -EBADMSG);
	error_free(err);
	page_area_free(&area);
	child_end(from);
	child_end(to);
	munmap(memory, SIZE);
}

static volatile int stop;

static void watch(void *ctx, uint64_t done, uint64_t total)
{
	uint64_t *last = ctx;

	assert_true(done >= *last && done <= total);
	*last = done;
}

static void test_cancel_and_progress(void **state)
{
	char *memory = reserve(SIZE);
	pid_t pid = child_with(fill_all, memory);
	struct page_memory from = {.pid = pid};
	uint64_t last = 0;
	struct page_options options = {.progress = watch, .ctx = &last, .cancel = &stop};
	__cleanup_fd int fd = temporary();
	struct error *err = NULL;
	struct page_area area;

	assert_int_equal(scan(pid, memory, SIZE, &area), 0);
	stop = 1;
	assert_int_equal(pages_dump(&from, &area, fd, "image", &options, &err), -ECANCELED);
	assert_true(last < SIZE);
	error_free(err);
	err = NULL;
	stop = 0;
	pages_dump(&from, &area, fd, "image", &options, &err);
	no_error(err);
	assert_int_equal(last, SIZE);
	page_area_free(&area);
	child_end(pid);
	munmap(memory, SIZE);
}

static void test_dead_process(void **state)
{
	char *memory = reserve(SIZE);
	pid_t pid = child_with(fill_all, memory);
	struct page_memory from = {.pid = pid};
	__cleanup_fd int fd = temporary();
	struct error *err = NULL;
	struct page_area area;

	assert_int_equal(scan(pid, memory, SIZE, &area), 0);
	child_end(pid);
	assert_int_equal(pages_dump(&from, &area, fd, "image", NULL, &err), -ESRCH);
	error_free(err);
	page_area_free(&area);
	munmap(memory, SIZE);
}

static void fill_small(char *memory)
{
	for (unsigned long i = 0; i < 64; i++)
		mark(memory + i * 2 * PAGE, i);
}

/* One pool, used twice for many small processes. */
static void test_pool(void **state)
{
	enum { TASKS = 40 };
	char *memory = reserve(128 * PAGE);
	__cleanup(cleanup_page_pool) struct page_pool *pool = NULL;
	struct page_area areas[TASKS];
	pid_t pids[TASKS], targets[TASKS];
	struct error *err = NULL;
	int fds[TASKS];

	page_pool_create(&pool, NULL, &err);
	no_error(err);
	for (int i = 0; i < TASKS; i++) {
		pids[i] = child_with(fill_small, memory);
		targets[i] = child_with(NULL, memory);
		fds[i] = temporary();
		scan(pids[i], memory, 128 * PAGE, &areas[i]);
		page_pool_dump(pool, &(struct page_memory){.pid = pids[i]}, &areas[i], fds[i],
			       "image", &err);
		no_error(err);
	}
	page_pool_finish(pool, &err);
	no_error(err);
	for (int i = 0; i < TASKS; i++)
		page_pool_load(pool, &(struct page_memory){.pid = targets[i]}, &areas[i], fds[i],
			       "image", &err);
	no_error(err);
	page_pool_finish(pool, &err);
	no_error(err);
	for (int i = 0; i < TASKS; i++) {
		assert_same(pids[i], targets[i], memory, 128 * PAGE);
		child_end(pids[i]);
		child_end(targets[i]);
		close(fds[i]);
		page_area_free(&areas[i]);
	}
	munmap(memory, 128 * PAGE);
}

/* Of data that somebody else has written, the checksums are those that its writer had made. */
static void test_hash(void **state)
{
	char *memory = reserve(128 * PAGE);
	pid_t pid = child_with(fill_small, memory);
	__cleanup(cleanup_page_pool) struct page_pool *pool = NULL;
	__cleanup_fd int fd = temporary();
	struct error *err = NULL;
	struct page_area area;
	uint64_t made;

	scan(pid, memory, 128 * PAGE, &area);
	pages_dump(&(struct page_memory){.pid = pid}, &area, fd, "image", NULL, &err);
	no_error(err);
	assert_int_equal(area.checksum_count, 1);
	made = area.checksums[0];
	area.checksums[0] = 0;
	page_pool_create(&pool, NULL, &err);
	no_error(err);
	assert_int_equal(page_pool_hash(pool, &area, fd, "image", &err), 0);
	assert_int_equal(page_pool_finish(pool, &err), 0);
	assert_true(made == area.checksums[0]);
	/* there must be all of it */
	assert_int_equal(ftruncate(fd, area.data_offset + area.data_len - 1), 0);
	assert_int_equal(page_pool_hash(pool, &area, fd, "image", &err), 0);
	assert_int_equal(page_pool_finish(pool, &err), -ENODATA);
	error_free(err);
	child_end(pid);
	page_area_free(&area);
	munmap(memory, 128 * PAGE);
}

/* An image may say that two runs share their data: that is not one of ours. */
static void test_shared_data(void **state)
{
	struct ckpt_page_run runs[2] = {
		{.address = 0x10000, .len = 2 * PAGE, .offset = PAGE, .kind = CKPT_PAGES_DATA},
		{.address = 0x20000, .len = PAGE, .offset = 2 * PAGE, .kind = CKPT_PAGES_DATA},
	};
	uint64_t checksum = 0;
	struct page_area area = {.runs = runs,
				 .run_count = 2,
				 .checksums = &checksum,
				 .checksum_count = 1,
				 .data_offset = PAGE,
				 .data_len = 2 * PAGE};
	struct error *err = NULL;

	assert_int_equal(
		pages_load(&(struct page_memory){.pid = getpid()}, &area, -1, "image", NULL, &err),
		-EBADMSG);
	error_free(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_many_runs),
		cmocka_unit_test(test_protected),
		cmocka_unit_test(test_guard),
		cmocka_unit_test(test_file_mapping),
		cmocka_unit_test(test_flipped_byte),
		cmocka_unit_test(test_cancel_and_progress),
		cmocka_unit_test(test_dead_process),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_shared_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
