/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What container engines that know checkpoints by CRIU ask of it, beside the runtime's verbs:
 * Podman, CRI-O and containerd's CRI ask a program `criu` for its version before they checkpoint,
 * Podman wants inventory.img in an image that it restores, and containerd's CRI and
 * `podman --print-stats` read figures. Nothing of CRIU's own work is done here.
 */
#ifndef FIRN_RUNTIME_CRIU_H
#define FIRN_RUNTIME_CRIU_H

#include <stdbool.h>
#include <stdint.h>

struct error;

/* Whether the command line is one of `criu`: the program was executed by that name. */
bool criu_is_meant(char *const *argv);

/*
 * `criu swrk FD`: answers one request after the other (CRIU's images/rpc.proto, one in a packet) on
 * a socket until it is closed: VERSION and FEATURE_CHECK; all others are refused. `criu --version`
 * prints it. Returns the exit status, or a negative errno with err set.
 */
int criu_main(int argc, char **argv, struct error **err);

struct criu_figures {
	uint64_t frozen_ns, total_ns;
	uint64_t page_bytes;
};

/*
 * After a checkpoint to the directory image, and after a restore: stats-dump or stats-restore
 * (CRIU's images/stats.proto) in the directory work, and inventory.img in the image. Engines that
 * want them say --work-path: without it, work is NULL and nothing is written. What cannot be
 * written is logged: the container has been saved, or goes on, all the same.
 */
void criu_saved(const char *image, const char *work, const struct criu_figures *figures);
void criu_restored(const char *work, const struct criu_figures *figures);

#endif
