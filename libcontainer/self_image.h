/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Firn's own program file. A process of the runtime in a pid namespace that others share
 * shows them its file as /proc/PID/exe, through which root could write to the host's
 * (CVE-2019-5736). Who is about to become such a process runs from a sealed copy in memory.
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

/* Executes the sealed copy with the same arguments; returns at once if that has been done. */
int self_image_seal(char *const *argv, struct error **err);

#endif
