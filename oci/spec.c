// SPDX-License-Identifier: GPL-2.0-only
#include "oci/spec.h"

#include <stddef.h>

#include "oci/config.h"
#include "util/json_write.h"

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Which of the two configurations a line belongs to. */
enum which { BOTH, ROOT, ROOTLESS };

static const struct {
	const char *destination, *type, *source;
	const char *const *options;
	enum which which;
} mounts[] = {
	{"/proc", "proc", "proc", NULL, BOTH},
	{"/dev", "tmpfs", "tmpfs", LIST("nosuid", "strictatime", "mode=755", "size=65536k"), BOTH},
	{"/dev/pts", "devpts", "devpts",
	 LIST("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"), ROOT},
	/* group 5 is not mapped */
	{"/dev/pts", "devpts", "devpts",
	 LIST("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"), ROOTLESS},
	{"/dev/shm", "tmpfs", "shm", LIST("nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
	 BOTH},
	{"/dev/mqueue", "mqueue", "mqueue", LIST("nosuid", "noexec", "nodev"), BOTH},
	{"/sys", "sysfs", "sysfs", LIST("nosuid", "noexec", "nodev", "ro"), ROOT},
	/* sysfs wants a network namespace of one's own */
	{"/sys", "none", "/sys", LIST("rbind", "nosuid", "noexec", "nodev", "ro"), ROOTLESS},
	{"/sys/fs/cgroup", "cgroup", "cgroup", LIST("nosuid", "noexec", "nodev", "relatime", "ro"),
	 BOTH},
};

static const struct {
	const char *type;
	enum which which;
} namespaces[] = {
	{"pid", BOTH},	 {"network", ROOT}, {"ipc", BOTH},	{"uts", BOTH},
	{"mount", BOTH}, {"cgroup", BOTH},  {"user", ROOTLESS},
};

static const char *const capabilities[] = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE",
					   NULL};

static const char *const masked_paths[] = {
	"/proc/acpi",
	"/proc/asound",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/proc/sched_debug",
	"/sys/firmware",
	"/proc/scsi",
	NULL,
};

static const char *const readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL,
};

static bool included(enum which which, bool rootless)
{
	return which == BOTH || (which == ROOTLESS) == rootless;
}

static void write_process(struct json *j)
{
	json_key(j, "process");
	json_object_begin(j);
	json_add_bool(j, "terminal", true);
	json_key(j, "user");
	json_object_begin(j);
	json_add_int(j, "uid", 0);
	json_add_int(j, "gid", 0);
	json_object_end(j);
	json_add_strings(j, "args", LIST("sh"));
	json_add_strings(j, "env",
			 LIST("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			      "TERM=xterm"));
	json_add_string(j, "cwd", "/");
	json_key(j, "capabilities");
	json_object_begin(j);
	json_add_strings(j, "bounding", capabilities);
	json_add_strings(j, "effective", capabilities);
	json_add_strings(j, "permitted", capabilities);
	json_object_end(j);
	json_key(j, "rlimits");
	json_array_begin(j);
	json_object_begin(j);
	json_add_string(j, "type", "RLIMIT_NOFILE");
	json_add_int(j, "hard", 1024);
	json_add_int(j, "soft", 1024);
	json_object_end(j);
	json_array_end(j);
	json_add_bool(j, "noNewPrivileges", true);
	json_object_end(j);
}

static void write_mounts(struct json *j, bool rootless)
{
	json_key(j, "mounts");
	json_array_begin(j);
	for (size_t i = 0; i < sizeof(mounts) / sizeof(*mounts); i++) {
		if (!included(mounts[i].which, rootless))
			continue;
		json_object_begin(j);
		json_add_string(j, "destination", mounts[i].destination);
		json_add_string(j, "type", mounts[i].type);
		json_add_string(j, "source", mounts[i].source);
		if (mounts[i].options)
			json_add_strings(j, "options", mounts[i].options);
		json_object_end(j);
	}
	json_array_end(j);
}

static void write_mapping(struct json *j, const char *key, uint32_t id)
{
	json_key(j, key);
	json_array_begin(j);
	json_object_begin(j);
	json_add_int(j, "containerID", 0);
	json_add_int(j, "hostID", id);
	json_add_int(j, "size", 1);
	json_object_end(j);
	json_array_end(j);
}

static void write_resources(struct json *j)
{
	json_key(j, "resources");
	json_object_begin(j);
	json_key(j, "devices");
	json_array_begin(j);
	json_object_begin(j);
	json_add_bool(j, "allow", false);
	json_add_string(j, "access", "rwm");
	json_object_end(j);
	json_array_end(j);
	json_object_end(j);
}

static void write_linux(struct json *j, bool rootless, uid_t uid, gid_t gid)
{
	json_key(j, "linux");
	json_object_begin(j);
	if (rootless) {
		write_mapping(j, "uidMappings", uid);
		write_mapping(j, "gidMappings", gid);
	} else {
		write_resources(j);
	}
	json_key(j, "namespaces");
	json_array_begin(j);
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(*namespaces); i++) {
		if (!included(namespaces[i].which, rootless))
			continue;
		json_object_begin(j);
		json_add_string(j, "type", namespaces[i].type);
		json_object_end(j);
	}
	json_array_end(j);
	json_add_strings(j, "maskedPaths", masked_paths);
	json_add_strings(j, "readonlyPaths", readonly_paths);
	json_object_end(j);
}

char *oci_spec_default(bool rootless, uid_t uid, gid_t gid)
{
	__cleanup_json struct json *j = json_new(true);

	json_object_begin(j);
	json_add_string(j, "ociVersion", OCI_VERSION);
	write_process(j);
	json_key(j, "root");
	json_object_begin(j);
	json_add_string(j, "path", "rootfs");
	json_add_bool(j, "readonly", true);
	json_object_end(j);
	json_add_string(j, "hostname", "firn");
	write_mounts(j, rootless);
	write_linux(j, rootless, uid, gid);
	json_object_end(j);
	return json_text(j);
}
