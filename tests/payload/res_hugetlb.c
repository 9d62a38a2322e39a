// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_hugetlb GO: private memory of huge pages (MAP_HUGETLB), with contents, without, and
 * one that is for reading only. "ready", and with the file GO "PASS" if all is as it was.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "res.h"

#define HUGE 0x200000ul
#define AT   ((char *)0x600000000000)

/* "KernelPageSize: 2048 kB" of the mapping there */
static long page_size(const void *address)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	int inside = 0;
	long kb = 0;
	char line[512];

	CHECK(f);
	while (!kb && fgets(line, sizeof(line), f)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start <= (unsigned long)address && (unsigned long)address < end;
		else if (inside)
			sscanf(line, "KernelPageSize: %ld", &kb);
	}
	fclose(f);
	return kb;
}

int main(int argc, char **argv)
{
	char *p = mmap(AT, 3 * HUGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED_NOREPLACE, -1, 0);
	int status;

	CHECK(argc == 2 && p == AT);
	for (unsigned long i = 0; i < HUGE; i += 512)
		p[i] = i / 512 % 251;
	p[2 * HUGE + 4097] = 'r';
	CHECK(!mprotect(p + 2 * HUGE, HUGE, PROT_READ));
	ready_and_wait(argv[1]);

	CHECK(page_size(p) == 2048 && page_size(p + HUGE) == 2048 &&
	      page_size(p + 2 * HUGE) == 2048);
	for (unsigned long i = 0; i < HUGE; i += 512)
		CHECK(p[i] == (char)(i / 512 % 251));
	CHECK(p[2 * HUGE + 4097] == 'r' && p[2 * HUGE] == 0);
	memset(p + HUGE, 'n', HUGE);
	if (!fork()) {
		p[2 * HUGE] = 1;
		_exit(0);
	}
	CHECK(wait(&status) > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	return passed();
}
