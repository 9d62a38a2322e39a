/* SPDX-License-Identifier: GPL-2.0-only */
/* AppArmor profiles and SELinux labels: of a process's program, of keys, of mounts. */
#ifndef FIRN_LIBCONTAINER_LABELS_H
#define FIRN_LIBCONTAINER_LABELS_H

#include <stdbool.h>

struct error;
struct oci_config;
struct oci_process;

/* Whether the process wants any: then nothing may be executed before its program. */
bool labels_wanted(const struct oci_process *process);

/*
 * Refuses what this kernel has no module for. process may be NULL, mount_label too.
 * -EOPNOTSUPP names the field.
 */
int labels_check(const struct oci_process *process, const char *mount_label, struct error **err);

/* The same with what stands for /sys. */
int labels_check_in(int sys_fd, const struct oci_process *process, const char *mount_label,
		    struct error **err);

/*
 * /proc as a descriptor, and certainly proc: what a mount namespace has in that place may be
 * anybody's file, which would take the label and do nothing (CVE-2019-16884, CVE-2019-19921).
 */
int labels_open_proc(const char *path, struct error **err);

enum labels_for {
	LABELS_PROGRAM, /* the next that the caller executes, and its keys */
	LABELS_CALLER,	/* itself at once, and whom it forks: what is restored executes nothing */
	LABELS_FOR_COUNT
};

int labels_apply(int proc_fd, const struct oci_process *process, enum labels_for whom,
		 struct error **err);

/*
 * labels_open_proc() and labels_apply() for the program, if any is wanted; the caller must see the
 * host's /proc.
 */
int labels_set(const struct oci_process *process, struct error **err);

/*
 * The data of a file system to be mounted, with the label in it where that kind takes one:
 * malloc'ed, or NULL for want of memory.
 */
char *labels_mount_data(const char *type, const char *data, const char *mount_label);

#endif
