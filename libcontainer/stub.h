/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FIRN_LIBCONTAINER_STUB_H
#define FIRN_LIBCONTAINER_STUB_H

/*
 * What the init of a restored container does at last: it says SYNC_READY on fd and waits to be
 * taken over, or for the runtime's end of fd to be closed: then it exits. In a file of its own,
 * with nothing else in it: what `make valgrind` builds has another one, since what runs under
 * Valgrind could not be made into anything else (tests/valgrind/native.c).
 */
_Noreturn void stub_main(int fd);

#endif
