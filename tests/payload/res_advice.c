// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_advice GO: memory with advice of all sorts, guard pages, locks, NUMA policies,
 * protection keys and huge pages, as far as the kernel has them. "ready" after a line for
 * each that it lacks, and with the file GO "PASS" if all is as it was.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "res.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif
#define PAGE	       4096
#define AT	       ((char *)0x700000000000)
#define STEP	       0x1000000
#define HUGE	       0x200000
#define MPOL_PREFERRED 1
#define MPOL_BIND      2
#define MPOL_F_ADDR    2

/* One step of addresses each. */
enum {
	FIRST_ADVICE,
	GUARDED = 16,
	LOCKED,
	ONFAULT,
	LOCKED_GUARDED,
	BOUND,
	KEYED,
	BIG,
	FUTURE,
	AREAS
};

static const int advices[] = {MADV_HUGEPAGE,   MADV_NOHUGEPAGE, MADV_DONTFORK,
			      MADV_WIPEONFORK, MADV_DONTDUMP,	MADV_SEQUENTIAL,
			      MADV_RANDOM,     MADV_MERGEABLE,	MADV_NORMAL};
#define ADVICES (sizeof(advices) / sizeof(*advices))

static char before[16384], now[16384];
static sigjmp_buf back;
static int has_guards, has_numa, key = -1, keys_free;
static volatile int policy_is_right;
static volatile int go;

static char *area(int i)
{
	return AT + (long)i * STEP;
}

static char *map(int i, size_t len)
{
	char *p = mmap(area(i), len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	CHECK(p == area(i));
	return p;
}

/* What smaps says of the areas that does not change by itself. */
static void describe(char *text, size_t size)
{
	static const char *const keys[] = {
		"VmFlags:", "Locked:", "ProtectionKey:", "AnonHugePages:", "Rss:"};
	FILE *f = fopen("/proc/self/smaps", "re");
	size_t len = 0;
	int inside = 0;
	char line[512];

	CHECK(f);
	*text = '\0';
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end;
		int wanted = 0;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			wanted = inside = start >= (unsigned long)AT &&
					  start < (unsigned long)AT + (unsigned long)AREAS * STEP;
		for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
			wanted |= inside && !strncmp(line, keys[i], strlen(keys[i]));
		/* a page of zeros may be there or not */
		if (!wanted || len + strlen(line) >= size)
			continue;
		strcpy(text + len, line);
		len += strlen(line);
	}
	fclose(f);
}

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

static int faults(volatile char *p)
{
	if (sigsetjmp(back, 1))
		return 1;
	(void)*p;
	return 0;
}

static void make_guards(int i)
{
	char *p = map(i, 16 * PAGE);

	memset(p, 'g', 16 * PAGE);
	has_guards = !madvise(p + 4 * PAGE, 2 * PAGE, MADV_GUARD_INSTALL) &&
		     !madvise(p + 9 * PAGE, PAGE, MADV_GUARD_INSTALL);
	if (!has_guards)
		puts("no guard pages");
}

static void check_guards(int i)
{
	char *p = area(i);

	for (int page = 0; page < 16; page++) {
		int guard = has_guards && (page == 4 || page == 5 || page == 9);

		CHECK(faults(p + page * PAGE) == guard);
		CHECK(guard || p[page * PAGE + 7] == 'g');
	}
	if (!has_guards)
		return;
	CHECK(!madvise(p + 4 * PAGE, PAGE, MADV_GUARD_REMOVE) && !faults(p + 4 * PAGE));
	CHECK(faults(p + 5 * PAGE));
}

static unsigned long policy(void *address, int *mode)
{
	unsigned long nodes[16] = {0};

	CHECK(!syscall(SYS_get_mempolicy, mode, nodes, 1024, address, address ? MPOL_F_ADDR : 0));
	return nodes[0];
}

static void *own_policy(void *arg)
{
	unsigned long nodes = 1;
	int mode;

	(void)arg;
	CHECK(!syscall(SYS_set_mempolicy, MPOL_PREFERRED, &nodes, 64));
	policy_is_right = -1;
	while (!go)
		usleep(1000);
	policy_is_right = policy(NULL, &mode) == 1 && mode == MPOL_PREFERRED;
	return NULL;
}

static void make_policies(pthread_t *thread)
{
	unsigned long nodes = 1;
	int mode;

	has_numa = !syscall(SYS_mbind, map(BOUND, 8 * PAGE), 8 * PAGE, MPOL_BIND, &nodes, 64, 0);
	if (!has_numa) {
		puts("no NUMA policies");
		return;
	}
	CHECK(policy(area(BOUND), &mode) == 1 && mode == MPOL_BIND);
	memset(area(BOUND), 'b', PAGE);
	CHECK(!pthread_create(thread, NULL, own_policy, NULL));
	while (!policy_is_right)
		usleep(1000);
}

static void make_keys(void)
{
	int first = pkey_alloc(0, 0), all[16], n = 0;

	if (first < 0) {
		puts("no protection keys");
		return;
	}
	key = pkey_alloc(0, PKEY_DISABLE_WRITE);
	CHECK(key > 0 && !pkey_free(first));
	CHECK(!pkey_mprotect(map(KEYED, 2 * PAGE), 2 * PAGE, PROT_READ | PROT_WRITE, key));
	while ((all[n] = pkey_alloc(0, PKEY_DISABLE_ACCESS)) > 0)
		n++;
	keys_free = n;
	while (n)
		pkey_free(all[--n]);
}

static void check_keys(void)
{
	volatile int n = 0;

	if (key < 0)
		return;
	CHECK(pkey_get(key) == PKEY_DISABLE_WRITE && !faults(area(KEYED)));
	if (sigsetjmp(back, 1) == 0) {
		*(volatile char *)area(KEYED) = 1;
		CHECK(!"written in spite of its key");
	}
	CHECK(!pkey_set(key, 0));
	*(volatile char *)area(KEYED) = 1;
	while (pkey_alloc(0, 0) > 0)
		n++;
	CHECK(n == keys_free);
}

static void check_policies(pthread_t thread)
{
	int mode;

	if (!has_numa)
		return;
	CHECK(policy(area(BOUND), &mode) == 1 && mode == MPOL_BIND && area(BOUND)[9] == 'b');
	CHECK(policy(area(GUARDED), &mode) == 0 && mode == 0);
	CHECK(policy(NULL, &mode) == 0 && mode == 0);
	go = 1;
	pthread_join(thread, NULL);
	CHECK(policy_is_right == 1);
}

static int is_locked(int i)
{
	unsigned char present[4];

	CHECK(!mincore(area(i), 4 * PAGE, present));
	return present[0] & present[3] & 1;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char *p;

	CHECK(argc == 2);
	signal(SIGSEGV, on_fault);
	for (size_t i = 0; i < ADVICES; i++) {
		p = map(FIRST_ADVICE + i, 64 * PAGE);
		memset(p, 'a' + i, 3 * PAGE);
		if (madvise(p, 64 * PAGE, advices[i]))
			printf("no advice %d\n", advices[i]);
	}
	make_guards(GUARDED);
	make_policies(&thread);
	make_keys();
	p = map(BIG, 4 * HUGE);
	madvise(p, 4 * HUGE, MADV_HUGEPAGE);
	memset(p, 'h', 3 * HUGE);
	memset(map(LOCKED, 16 * PAGE), 'l', 4 * PAGE);
	CHECK(!mlock(area(LOCKED), 16 * PAGE));
	memset(map(ONFAULT, 16 * PAGE), 'o', 4 * PAGE);
	CHECK(!mlock2(area(ONFAULT), 16 * PAGE, MLOCK_ONFAULT));
	make_guards(LOCKED_GUARDED);
	CHECK(!mlock2(area(LOCKED_GUARDED), 16 * PAGE, MLOCK_ONFAULT));
	CHECK(!mlockall(MCL_FUTURE));
	describe(before, sizeof(before));
	ready_and_wait(argv[1]);

	describe(now, sizeof(now));
	if (strcmp(before, now)) {
		printf("FAIL had\n%sand has\n%s", before, now);
		return 1;
	}
	for (size_t i = 0; i < ADVICES; i++)
		CHECK(area(FIRST_ADVICE + i)[3 * PAGE - 1] == (char)('a' + i) &&
		      !area(FIRST_ADVICE + i)[3 * PAGE]);
	check_guards(GUARDED);
	check_policies(thread);
	check_keys();
	CHECK(area(LOCKED)[4 * PAGE - 1] == 'l' && area(ONFAULT)[4 * PAGE - 1] == 'o');
	map(FUTURE, 4 * PAGE);
	CHECK(is_locked(FUTURE));
	CHECK(!munlock(area(LOCKED_GUARDED), 16 * PAGE));
	check_guards(LOCKED_GUARDED);
	return passed();
}
