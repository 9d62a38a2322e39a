// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_cowexec GO: children that have a large memory in common with their parent, and others that
 * run programs of their own: an init has one of each, and so has its child, which has become
 * session leader between the two.
 */
#include <sys/mman.h>

#include "res.h"

#define SIZE (64 << 20)
#define PAGE 4096
#define TELL 9 /* descriptor */

static char *memory;
static const char *self, *go;

static void tell_and_wait(void)
{
	struct timespec ms10 = {0, 10000000};

	CHECK(write(TELL, "", 1) == 1);
	while (access(go, F_OK))
		nanosleep(&ms10, NULL);
}

static void check_memory(void)
{
	for (int i = 0; i < SIZE; i += PAGE)
		CHECK(memory[i] == (char)(1 + i / PAGE % 100));
}

static void heir(void)
{
	tell_and_wait();
	check_memory();
}

static void program(void)
{
	execl("/proc/self/exe", self, go, "alone", NULL);
	CHECK(!"started");
}

static void branch(void)
{
	pid_t pids[2];

	pids[0] = start_role(heir);
	CHECK(setsid() > 0);
	pids[1] = start_role(program);
	heir();
	end_role(pids[0]);
	end_role(pids[1]);
}

int main(int argc, char **argv)
{
	pid_t pids[2];
	int told[2];
	char byte;

	CHECK(argc >= 2);
	self = argv[0];
	go = argv[1];
	if (argc == 3) {
		tell_and_wait();
		return 0;
	}
	CHECK(!pipe(told) && dup2(told[1], TELL) == TELL);
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(memory != MAP_FAILED);
	for (int i = 0; i < SIZE; i += PAGE)
		memory[i] = 1 + i / PAGE % 100;
	pids[0] = start_role(branch);
	pids[1] = start_role(program);
	for (int i = 0; i < 4; i++)
		CHECK(read(told[0], &byte, 1) == 1);
	ready_and_wait(go);
	check_memory();
	end_role(pids[0]);
	end_role(pids[1]);
	return passed();
}
