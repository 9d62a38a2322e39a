// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/labels.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define APPARMOR_ENABLED "module/apparmor/parameters/enabled"
#define SELINUX_ENFORCE	 "fs/selinux/enforce"

static bool given(const char *text)
{
	return text && *text;
}

bool labels_wanted(const struct oci_process *process)
{
	return process && (given(process->apparmor_profile) || given(process->selinux_label));
}

static bool has_apparmor(int sys_fd)
{
	__cleanup_free char *text = NULL;

	return read_file(sys_fd, APPARMOR_ENABLED, 16, &text, NULL) == 0 && *text == 'Y';
}

static int refuse(const char *field, const char *module, struct error **err)
{
	error_set(err, EOPNOTSUPP, "%s of config.json: this kernel runs without %s", field, module);
	return error_hint(err, "leave it out, or boot with lsm=...,%s",
			  *module == 'A' ? "apparmor" : "selinux");
}

int labels_check_in(int sys_fd, const struct oci_process *process, const char *mount_label,
		    struct error **err)
{
	bool selinux = faccessat(sys_fd, SELINUX_ENFORCE, F_OK, 0) == 0;

	if (process && given(process->apparmor_profile) && !has_apparmor(sys_fd))
		return refuse("/process/apparmorProfile", "AppArmor", err);
	if (process && given(process->selinux_label) && !selinux)
		return refuse("/process/selinuxLabel", "SELinux", err);
	if (given(mount_label) && !selinux)
		return refuse("/linux/mountLabel", "SELinux", err);
	return 0;
}

int labels_check(const struct oci_process *process, const char *mount_label, struct error **err)
{
	__cleanup_fd int sys = -1;

	if (!labels_wanted(process) && !given(mount_label))
		return 0;
	sys = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return sys < 0 ? error_errno(err, errno, "opening /sys")
		       : labels_check_in(sys, process, mount_label, err);
}

int labels_open_proc(const char *path, struct error **err)
{
	__cleanup_fd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return error_errno(err, errno, "opening \"%s\"", path);
	if (fs.f_type != PROC_SUPER_MAGIC)
		return error_set(err, EPERM, "\"%s\" is not the kernel's proc: no label is written",
				 path);
	return take_fd(&fd);
}

static const struct {
	const char *file;	 /* SELinux's, and that of all before Linux 5.1 */
	const char *of_apparmor; /* in a directory of its own */
	const char *command;	 /* AppArmor's */
} attributes[LABELS_FOR_COUNT] = {
	[LABELS_PROGRAM] = {"self/attr/exec", "self/attr/apparmor/exec", "exec"},
	[LABELS_CALLER] = {"self/attr/current", "self/attr/apparmor/current", "changeprofile"},
};

static int apply_apparmor(int proc_fd, const char *profile, enum labels_for whom,
			  struct error **err)
{
	char text[512];
	int ret;

	if (snprintf(text, sizeof(text), "%s %s", attributes[whom].command, profile) >=
	    (int)sizeof(text))
		return error_errno(err, ENAMETOOLONG, "/process/apparmorProfile");
	ret = write_file(proc_fd, attributes[whom].of_apparmor, text);
	if (ret == -ENOENT)
		ret = write_file(proc_fd, attributes[whom].file, text);
	if (ret == 0)
		return 0;
	error_errno(err, -ret, "/process/apparmorProfile: \"%s\"", profile);
	return ret == -ENOENT ? error_hint(err, "is the profile loaded?") : ret;
}

static int apply_selinux(int proc_fd, const char *label, enum labels_for whom, struct error **err)
{
	int ret = write_file(proc_fd, attributes[whom].file, label);

	/* for the session keyring, which would else be the runtime's */
	if (ret == 0)
		ret = write_file(proc_fd, "self/attr/keycreate", label);
	return ret < 0 ? error_errno(err, -ret, "/process/selinuxLabel: \"%s\"", label) : 0;
}

int labels_apply(int proc_fd, const struct oci_process *process, enum labels_for whom,
		 struct error **err)
{
	int ret = 0;

	if (given(process->apparmor_profile))
		ret = apply_apparmor(proc_fd, process->apparmor_profile, whom, err);
	if (ret == 0 && given(process->selinux_label))
		ret = apply_selinux(proc_fd, process->selinux_label, whom, err);
	return ret;
}

int labels_set(const struct oci_process *process, struct error **err)
{
	__cleanup_fd int proc = -1;

	if (!labels_wanted(process))
		return 0;
	proc = labels_open_proc("/proc", err);
	return proc < 0 ? proc : labels_apply(proc, process, LABELS_PROGRAM, err);
}

char *labels_mount_data(const char *type, const char *data, const char *mount_label)
{
	/*
	 * The policy itself labels these, by the name of each file; the file system of message
	 * queues was made with the IPC namespace, and takes no other label any more.
	 */
	static const char *const labelled_by_kernel[] = {"proc",    "sysfs",  "cgroup",
							 "cgroup2", "mqueue", NULL};
	char *text = NULL;

	for (const char *const *t = labelled_by_kernel; *t; t++)
		if (!strcmp(type, *t))
			return strdup(data);
	if (!given(mount_label))
		return strdup(data);
	/* quoted: a label of several categories has a comma */
	if (asprintf(&text, "%s%scontext=\"%s\"", data, *data ? "," : "", mount_label) < 0)
		return NULL;
	return text;
}
