/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Firn's own program file. A process of the runtime in a pid namespace that others share
 * shows them its file as /proc/PID/exe, through which root could write to the host's
 * (CVE-2019-5736). Who is about to become such a process becomes one of a sealed file in memory.
 */
#ifndef FIRN_LIBCONTAINER_SELF_IMAGE_H
#define FIRN_LIBCONTAINER_SELF_IMAGE_H

#include <stdbool.h>

struct error;
struct oci_config;

/* Whether the caller runs from a file that nobody can write to any more. */
bool self_image_is_sealed(void);

/*
 * Whether the init of such a container is within reach of others before its program runs,
 * although it is started as soon as it is created. One that waits for `start` always is.
 */
bool self_image_exposed(const struct oci_config *config);

/* The same of a process that enters the container; labelled: it has, or may have, a label. */
bool self_image_exposed_by_exec(const struct oci_config *config, bool labelled);

/*
 * Lets the caller's file be one that nobody can write to: the trampoline's, which *is_trampoline
 * (may be NULL) tells, or, where the kernel does not let a process change its file, a copy of its
 * own that is executed with the same arguments. Returns at once if that has been done.
 */
int self_image_seal(char *const *argv, bool *is_trampoline, struct error **err);

#endif
