// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_novdso GO: one child has unmapped the vdso and its data, one the data alone, one has moved
 * the vdso. They are as they were afterwards, and so is who has all of it.
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "res.h"

#define PARTS 4
#define ASIDE ((char *)0x30000000)

struct part {
	char *start;
	size_t len;
	char name[32];
};

/* The kernel's mappings that have names which begin so. */
static int find_parts(const char *begin, struct part parts[PARTS])
{
	char line[256];
	int n = 0;
	FILE *f = fopen("/proc/self/maps", "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end;
		char name[32] = "";

		CHECK(sscanf(line, "%lx-%lx %*s %*s %*s %*s %31s", &start, &end, name) >= 2);
		if (strncmp(name, begin, strlen(begin)))
			continue;
		CHECK(n < PARTS);
		parts[n] = (struct part){.start = (char *)start, .len = end - start};
		strcpy(parts[n++].name, name);
	}
	fclose(f);
	return n;
}

static int unmap(const char *begin)
{
	struct part parts[PARTS];
	int n = find_parts(begin, parts);

	for (int i = 0; i < n; i++)
		CHECK(!munmap(parts[i].start, parts[i].len));
	return n;
}

static void wait_for_go(const char *go)
{
	struct timespec ms10 = {0, 10000000};

	while (syscall(SYS_access, go, F_OK))
		syscall(SYS_nanosleep, &ms10, NULL);
}

static void none_left(const char *go)
{
	struct part parts[PARTS];

	CHECK(unmap("[vvar") && unmap("[vdso") == 1);
	wait_for_go(go);
	CHECK(!find_parts("[v", parts) || !strcmp(parts[0].name, "[vsyscall]"));
}

static void no_data(const char *go)
{
	struct part parts[PARTS];

	CHECK(unmap("[vvar"));
	wait_for_go(go);
	CHECK(!find_parts("[vvar", parts) && find_parts("[vdso", parts) == 1);
}

static void moved(const char *go)
{
	struct part parts[PARTS];

	CHECK(find_parts("[vdso", parts) == 1);
	CHECK(mremap(parts[0].start, parts[0].len, parts[0].len, MREMAP_MAYMOVE | MREMAP_FIXED,
		     ASIDE) == ASIDE);
	wait_for_go(go);
	CHECK(find_parts("[vdso", parts) == 1 && parts[0].start == ASIDE);
}

int main(int argc, char **argv)
{
	static void (*const kinds[])(const char *) = {none_left, no_data, moved};
	struct part before[PARTS], after[PARTS];
	int n = find_parts("[v", before), status;
	struct timespec now;

	CHECK(argc > 1);
	for (int i = 0; i < 3; i++)
		if (!fork()) {
			kinds[i](argv[1]);
			exit(0);
		}
	/* they have unmapped what they will, or look at it at the end in vain */
	for (int i = 0; i < 100 && waitpid(-1, &status, WNOHANG) == 0; i++)
		usleep(1000);
	ready_and_wait(argv[1]);
	for (int i = 0; i < 3; i++)
		CHECK(wait(&status) > 0 && !status);
	CHECK(find_parts("[v", after) == n);
	for (int i = 0; i < n; i++)
		CHECK(before[i].start == after[i].start && before[i].len == after[i].len);
	CHECK(!clock_gettime(CLOCK_MONOTONIC, &now));
	return passed();
}
