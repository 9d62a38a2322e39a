// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/stub.h"

#include <stdlib.h>
#include <unistd.h>

#include "libcontainer/sync.h"
#include "util/error.h"

_Noreturn void stub_main(int fd)
{
	struct error *err = NULL;
	char byte;

	sync_send(fd, SYNC_READY, fd, &err);
	while (read(fd, &byte, 1) > 0)
		;
	_exit(EXIT_SUCCESS);
}
