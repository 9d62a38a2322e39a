// SPDX-License-Identifier: GPL-2.0-only
/* res_memexec GO: executes itself from a memory file, which then is open nowhere. */
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "res.h"

int main(int argc, char **argv)
{
	char exe[64] = "";

	CHECK(argc == 2);
	CHECK(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	if (strncmp(exe, "/memfd:", 7)) {
		int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		int fd = memfd_create("program", MFD_CLOEXEC);

		while (sendfile(fd, self, NULL, 1 << 20) > 0)
			;
		fexecve(fd, argv, environ);
		CHECK(!"reached");
	}
	ready_and_wait(argv[1]);
	memset(exe, 0, sizeof(exe));
	CHECK(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	CHECK(!strcmp(exe, "/memfd:program (deleted)"));
	return passed();
}
