// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel changes what /proc/PID/exe leads to for who may checkpoint, as soon as nothing is
 * mapped of the old file (prctl_set_mm_exe_file() in kernel/sys.c). So each piece is copied to
 * memory of its own, which then moves to where the piece was: in one step, because this code and
 * its variables are in two of them. What is written to variables in between is lost: only the
 * dynamic linker does, when it has looked up a function, and it looks it up again.
 * The pieces are those of the program headers: the files in /proc/self/maps may be of a layer
 * below.
 */
#include "libcontainer/leave_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <linux/prctl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define PAGE ((uintptr_t)4096)

struct program {
	const ElfW(Phdr) * headers;
	size_t count;
	uintptr_t base;			  /* what is added to the addresses in them */
	uintptr_t relro_start, relro_end; /* what the dynamic linker has made read-only */
};

static uintptr_t page_down(uintptr_t address)
{
	return address & ~(PAGE - 1);
}

static uintptr_t page_up(uintptr_t address)
{
	return page_down(address + PAGE - 1);
}

static bool find_program(struct program *p)
{
	bool found = false;

	p->headers = (const void *)getauxval(AT_PHDR);
	p->count = getauxval(AT_PHNUM);
	for (size_t i = 0; p->headers && i < p->count; i++) {
		if (p->headers[i].p_type != PT_PHDR)
			continue;
		p->base = (uintptr_t)p->headers - p->headers[i].p_vaddr;
		found = true;
	}
	for (size_t i = 0; found && i < p->count; i++) {
		const ElfW(Phdr) *h = &p->headers[i];

		if (h->p_type != PT_GNU_RELRO)
			continue;
		p->relro_start = page_down(p->base + h->p_vaddr);
		p->relro_end = page_down(p->base + h->p_vaddr + h->p_memsz);
	}
	return found;
}

/* Not memcpy(3): ASan would look at what lies between variables. */
static void copy_bytes(void *to, uintptr_t from, size_t len)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
}

/* One mapping: the same contents and rights, and no file. */
static int replace(uintptr_t start, uintptr_t end, int rights)
{
	size_t len = end - start;
	void *copy;
	int code;

	if (end <= start)
		return 0;
	copy = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		    -1, 0);
	if (copy == MAP_FAILED)
		return -errno;
	copy_bytes(copy, start, len);
	if (mprotect(copy, len, rights) == 0 &&
	    mremap(copy, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)start) != MAP_FAILED)
		return 0;
	code = errno;
	munmap(copy, len);
	return -code;
}

/* Its last page holds the first variables that are zero as well; pages behind are no file's. */
static int replace_segment(const struct program *p, const ElfW(Phdr) * h)
{
	uintptr_t start = page_down(p->base + h->p_vaddr);
	uintptr_t end = page_up(p->base + h->p_vaddr + h->p_filesz);
	int rights = (h->p_flags & PF_R ? PROT_READ : 0) | (h->p_flags & PF_W ? PROT_WRITE : 0) |
		     (h->p_flags & PF_X ? PROT_EXEC : 0);
	int ret;

	if (p->relro_start < start || p->relro_start >= end)
		return replace(start, end, rights);
	ret = replace(start, p->relro_start, rights);
	if (ret == 0)
		ret = replace(p->relro_start, p->relro_end, PROT_READ);
	return ret < 0 ? ret : replace(p->relro_end, end, rights);
}

static int replace_all(void)
{
	struct program p = {0};
	int ret = find_program(&p) ? 0 : -ENOEXEC;

	for (size_t i = 0; ret == 0 && i < p.count; i++)
		if (p.headers[i].p_type == PT_LOAD && p.headers[i].p_filesz)
			ret = replace_segment(&p, &p.headers[i]);
	return ret;
}

/* proc(5): the numbers of the fields of /proc/PID/stat. */
enum { STARTCODE = 26, ENDCODE = 27, STARTSTACK = 28, START_DATA = 45, ENV_END = 51 };

/* What the kernel wants to be told again together with the file: what it says itself. */
static int read_layout(struct prctl_mm_map *map)
{
	uint64_t *const after[] = {
		(uint64_t *)&map->start_data, (uint64_t *)&map->end_data,
		(uint64_t *)&map->start_brk,  (uint64_t *)&map->arg_start,
		(uint64_t *)&map->arg_end,    (uint64_t *)&map->env_start,
		(uint64_t *)&map->env_end,
	};
	__cleanup_free char *text = NULL;
	char *at, *save = NULL;
	int ret = read_file(AT_FDCWD, "/proc/self/stat", 4096, &text, NULL);
	int field = 3;

	if (ret < 0)
		return ret;
	at = strrchr(text, ')');
	for (at = at ? strtok_r(at + 1, " ", &save) : NULL; at; at = strtok_r(NULL, " ", &save)) {
		uint64_t value = strtoull(at, NULL, 10);

		if (field == STARTCODE)
			map->start_code = value;
		else if (field == ENDCODE)
			map->end_code = value;
		else if (field == STARTSTACK)
			map->start_stack = value;
		else if (field >= START_DATA && field <= ENV_END)
			*after[field - START_DATA] = value;
		field++;
	}
	map->brk = syscall(SYS_brk, 0);
	return field > ENV_END ? 0 : -EINVAL;
}

int leave_file(int file_fd)
{
	struct prctl_mm_map map = {.exe_fd = file_fd};
	int ret = read_layout(&map);

	if (ret == 0)
		ret = replace_all();
	if (ret == 0 && prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) < 0)
		ret = -errno;
	return ret;
}
