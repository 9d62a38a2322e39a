/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process whose first thread has exited while others run (pthread_exit() in main()) is still
 * known by its pid, but memory, descriptors, directories and namespaces are gone from under it:
 * /proc/PID/maps is empty, pidfd_getfd(2) and setns(2) fail. The other threads have them. One
 * that runs speaks for the process: /proc/TID/..., though no listing of /proc names it, is the
 * same as /proc/PID/... of a process whose first thread runs.
 */
#ifndef FIRN_UTIL_SPEAKER_H
#define FIRN_UTIL_SPEAKER_H

#include <sys/types.h>

/* The thread that speaks for a process: its first one, unless that has exited. */
pid_t process_speaker(pid_t pid);

/*
 * A pidfd for what only a thread that runs has. Negative errno; -EINVAL before Linux 6.9, which
 * knows no pidfds of other threads than first ones.
 */
int speaker_pidfd(pid_t tid);

#endif
