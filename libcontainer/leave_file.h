/* SPDX-License-Identifier: GPL-2.0-only */
/* How a process of the runtime stops being one of the runtime's file, without executing anything.
 */
#ifndef FIRN_LIBCONTAINER_LEAVE_FILE_H
#define FIRN_LIBCONTAINER_LEAVE_FILE_H

/*
 * Puts copies in place of all that is mapped of the program's file, and lets file_fd, which must be
 * executable, be the caller's /proc/self/exe. With a single thread only. Negative errno if the
 * kernel does not let it; then the process runs on as before.
 */
int leave_file(int file_fd);

#endif
