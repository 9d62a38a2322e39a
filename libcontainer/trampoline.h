/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Executing a program of the container without ever letting it hold the
 * runtime's binary. A script whose interpreter is /proc/self/exe would make the
 * kernel run the runtime again, inside, from where it can be overwritten
 * (CVE-2019-5736). So the runtime first becomes a sealed file in memory of a few
 * instructions, and that executes the program.
 */
#ifndef FIRN_LIBCONTAINER_TRAMPOLINE_H
#define FIRN_LIBCONTAINER_TRAMPOLINE_H

struct error;

/* Makes the sealed file. Returns its descriptor. Call it before privileges go. */
int trampoline_open(struct error **err);

/*
 * Executes program with args and env through it. If that fails in the end,
 * its errno is written to report_fd as four bytes; report_fd is closed by
 * success. Returns, a negative errno, only if the trampoline cannot be entered.
 * A seccomp filter has to allow fcntl, execve, write and exit.
 */
int trampoline_execute(int trampoline_fd, int report_fd, const char *program, char *const *args,
		       char *const *env);

#endif
