// SPDX-License-Identifier: GPL-2.0-only
/*
 * ck_memory: every kind of mapping with a pseudo-random pattern, verified after
 * go. Before that it may go through as many checkpoints as the test likes.
 */
#include <linux/membarrier.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "ck.h"

#define MEMBARRIER_GET_REGISTRATIONS (1 << 9)

#define HEAP  (3 << 20)
#define PAGE  4096
#define PAGES 64

static uint64_t bss[8192], data[4096] = {1};
static __thread uint64_t tls = 0x1122334455667788;
static sigjmp_buf fault;

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void fill(void *at, size_t len, uint64_t seed)
{
	uint64_t *p = at;

	for (size_t i = 0; i < len / 8; i++)
		p[i] = next(&seed);
}

static int intact(const void *at, size_t len, uint64_t seed)
{
	const uint64_t *p = at;

	for (size_t i = 0; i < len / 8; i++)
		if (p[i] != next(&seed))
			return 0;
	return 1;
}

static void on_fault(int signo)
{
	(void)signo;
	siglongjmp(fault, 1);
}

static int readable(volatile char *at)
{
	if (sigsetjmp(fault, 1))
		return 0;
	(void)*at;
	return 1;
}

static int writable(volatile char *at)
{
	if (sigsetjmp(fault, 1))
		return 0;
	*at = *at;
	return 1;
}

static void *map(int prot, int flags, int fd, size_t pages)
{
	void *p = mmap(NULL, pages * PAGE, prot, flags, fd, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

struct maps {
	char *heap, *none, *ro, *file, *shared_file, *shared, *holes, *rx, *wide, *big, *gone;
	int key; /* -1: there are none */
};

static int membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

/* What belongs to the memory as a whole. One key is the kernel's, one ours, one free again. */
static void set_up_whole(struct maps *m)
{
	int freed;

	mprotect(map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 1), PAGE, PROT_EXEC);
	freed = pkey_alloc(0, 0);
	m->key = pkey_alloc(0, 0);
	pkey_free(freed);
	ck_check(!membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED));
	ck_check(!membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ));
}

static void look_at_whole(struct maps *m)
{
	int registered = membarrier(MEMBARRIER_GET_REGISTRATIONS);

	ck_check(!membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
	/* older kernels do not tell */
	ck_check(registered < 0 || registered == (MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
						  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ));
	if (m->key < 0)
		return;
	ck_check(!pkey_mprotect(m->gone, PAGE, PROT_READ | PROT_WRITE, m->key));
	ck_check(!pkey_free(m->key) && pkey_free(m->key));
}

static void set_up(struct maps *m)
{
	int fd = open("/tmp/file", O_RDWR | O_CREAT | O_TRUNC, 0644);

	m->heap = malloc(HEAP);
	fill(m->heap, HEAP, 1);
	fill(bss, sizeof(bss), 2);
	fill(data, sizeof(data), 3);
	/* contents behind pages that nobody may read, and that nobody may write */
	m->none = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, PAGES);
	fill(m->none, PAGES * PAGE, 4);
	mprotect(m->none, PAGES * PAGE, PROT_NONE);
	m->ro = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, PAGES);
	fill(m->ro, PAGES * PAGE, 5);
	mprotect(m->ro, PAGES * PAGE, PROT_READ);
	/* a private file mapping, two of its pages written, one through the file afterwards */
	for (int i = 0; i < PAGES; i++) {
		char page[PAGE];

		fill(page, sizeof(page), 100 + i);
		if (write(fd, page, sizeof(page)) != sizeof(page))
			abort();
	}
	m->file = map(PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGES);
	fill(m->file + 3 * PAGE, PAGE, 6);
	fill(m->file + 7 * PAGE, PAGE, 7);
	m->shared_file = map(PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGES);
	fill(m->shared_file + 9 * PAGE, PAGE, 8);
	close(fd);
	m->shared = map(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, PAGES);
	fill(m->shared, PAGES * PAGE, 9);
	/* every other page touched: more runs than one scan of the page tables returns */
	m->holes = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 4096);
	madvise(m->holes, 4096 * PAGE, MADV_NOHUGEPAGE);
	for (int i = 0; i < 4096; i += 2)
		fill(m->holes + i * PAGE, 64, 1000 + i);
	m->rx = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 1);
	memcpy(m->rx, "\xb8\x2a\x00\x00\x00\xc3", 6); /* mov $42, %eax; ret */
	mprotect(m->rx, PAGE, PROT_READ | PROT_EXEC);
	m->wide = map(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 1 << 20);
	/* huge pages if there are any */
	m->big = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 2048);
	madvise(m->big, 2048 * PAGE, MADV_HUGEPAGE);
	fill(m->big, 2048 * PAGE, 10);
	m->gone = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, PAGES);
	fill(m->gone, PAGES * PAGE, 11);
	madvise(m->gone, PAGES * PAGE, MADV_DONTNEED);
}

static void look_at_files(struct maps *m)
{
	int fd = open("/tmp/file", O_RDONLY);
	char page[PAGE];

	for (int i = 0; i < PAGES; i++) {
		int seed = i == 3 ? 6 : i == 7 ? 7 : i == 9 ? 8 : 100 + i;

		ck_check(intact(m->file + i * PAGE, PAGE, seed));
	}
	ck_check(pread(fd, page, PAGE, 3 * PAGE) == PAGE && intact(page, PAGE, 103));
	/* the shared one is the file */
	fill(m->shared_file + 11 * PAGE, PAGE, 12);
	ck_check(pread(fd, page, PAGE, 11 * PAGE) == PAGE && intact(page, PAGE, 12));
	ck_check(intact(m->file + 11 * PAGE, PAGE, 12));
	close(fd);
}

static void look(struct maps *m, const volatile uint64_t *stack)
{
	uint64_t seed = 77;
	int status = -1;
	void *before = sbrk(0);

	ck_check(intact(m->heap, HEAP, 1) && intact(bss, sizeof(bss), 2));
	ck_check(intact(data, sizeof(data), 3));
	for (int i = 0; i < 2048; i++)
		if (stack[i] != next(&seed))
			ck_bad("stack word %d differs", i);
	ck_check(!readable(m->none) && !readable(m->none + 63 * PAGE));
	mprotect(m->none, PAGES * PAGE, PROT_READ);
	ck_check(intact(m->none, PAGES * PAGE, 4));
	ck_check(readable(m->ro) && !writable(m->ro) && intact(m->ro, PAGES * PAGE, 5));
	look_at_files(m);
	ck_check(intact(m->shared, PAGES * PAGE, 9));
	for (int i = 0; i < 4096; i++)
		if (i % 2 ? m->holes[i * PAGE] : !intact(m->holes + i * PAGE, 64, 1000 + i))
			ck_bad("page %d of 4096 differs", i);
	ck_check(((int (*)(void))m->rx)() == 42 && !writable(m->rx));
	ck_check(!readable(m->wide + (1ull << 31)));
	ck_check(intact(m->big, 2048 * PAGE, 10));
	for (int i = 0; i < PAGES * PAGE; i++)
		if (m->gone[i])
			ck_bad("byte %d is not zero", i);
	ck_check(tls == 0x1122334455667788);
	ck_check(sbrk(PAGE) == before && writable(before));
	/* still shared with who is forked */
	if (!fork()) {
		m->shared[5] = 99;
		m->ro = NULL;
		_exit(m->file[0] == 0);
	}
	ck_check(wait(&status) > 0 && WIFEXITED(status));
	ck_check(m->shared[5] == 99);
	ck_check(getauxval(AT_PAGESZ) == PAGE && getenv("PATH"));
	ck_check(ck_ms(CLOCK_MONOTONIC) > 0); /* through the vdso */
}

int main(void)
{
	volatile uint64_t stack[2048];
	uint64_t seed = 77;
	struct maps m;

	signal(SIGSEGV, on_fault);
	for (int i = 0; i < 2048; i++)
		stack[i] = next(&seed);
	set_up(&m);
	set_up_whole(&m);
	ck_ready();
	ck_wait_go();
	look(&m, stack);
	look_at_whole(&m);
	return ck_end();
}
