/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The OCI runtime configuration (runtime-spec 1.3, Linux) as plain structs.
 *
 * Strings are malloc'ed and NULL where the field is absent. Words with a number
 * behind them (namespaces, rlimits, capabilities, seccomp actions ...) are kept
 * as the number that the kernel or libseccomp wants, so that nobody compares
 * strings again. A scalar whose absence means something has a has_ flag beside it.
 * Lists have the layout of VEC() in util/buf.h: vec_for_each() walks them.
 */
#ifndef FIRN_OCI_CONFIG_H
#define FIRN_OCI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/buf.h"

struct error;

/* The highest version of the specification that Firn follows. */
#define OCI_VERSION	"1.3.0"
#define OCI_VERSION_MIN "1.0.0"

/* config.json above this size is refused. */
#define OCI_CONFIG_MAX (8u << 20)

/* If items is not NULL, items[count] is NULL: fit for execve(). */
struct oci_strings {
	char **items;
	size_t count, size;
};

struct oci_pair {
	char *key;
	char *value;
};

/* A JSON object of strings, in the order of the file. */
struct oci_pairs {
	struct oci_pair *items;
	size_t count, size;
};

struct oci_gids {
	uint32_t *items;
	size_t count, size;
};

struct oci_id_map {
	uint32_t container_id, host_id, size;
};

struct oci_id_maps {
	struct oci_id_map *items;
	size_t count, size;
};

struct oci_root {
	char *path; /* as written: relative to the bundle, or absolute */
	bool readonly;
};

struct oci_user {
	uint32_t uid, gid;
	bool has_umask;
	uint32_t umask;
	struct oci_gids additional_gids;
};

/* Bit n is capability n of linux/capability.h. has_: the set was given, if only as []. */
struct oci_capabilities {
	bool has_bounding, has_effective, has_inheritable, has_permitted, has_ambient;
	uint64_t bounding, effective, inheritable, permitted, ambient;
};

struct oci_rlimit {
	int type; /* RLIMIT_* */
	bool has_soft, has_hard;
	uint64_t soft, hard; /* RLIM_INFINITY is UINT64_MAX */
};

struct oci_scheduler {
	int policy; /* SCHED_* */
	int32_t nice, priority;
	uint64_t flags;			    /* SCHED_FLAG_* */
	uint64_t runtime, deadline, period; /* ns */
};

struct oci_io_priority {
	int class; /* IOPRIO_CLASS_*: 1 real time, 2 best effort, 3 idle */
	int32_t priority;
};

struct oci_process {
	bool terminal;
	bool has_console_size;
	uint32_t console_height, console_width;
	char *cwd;
	struct oci_strings env;
	struct oci_strings args;
	struct oci_user user;
	bool has_capabilities;
	struct oci_capabilities capabilities;
	VEC(struct oci_rlimit) rlimits;
	bool no_new_privileges;
	char *apparmor_profile;
	char *selinux_label;
	bool has_oom_score_adj;
	int32_t oom_score_adj;
	struct oci_scheduler *scheduler;     /* or NULL */
	struct oci_io_priority *io_priority; /* or NULL */
	bool has_exec_cpu_affinity;
	char *exec_cpu_affinity_initial, *exec_cpu_affinity_final; /* lists as "0-3,7", or NULL */
};

struct oci_mount {
	char *destination;
	char *type;
	char *source;
	struct oci_strings options;
	struct oci_id_maps uid_mappings, gid_mappings;
};

struct oci_hook {
	char *path;
	struct oci_strings args; /* argv[0] included; may be empty: then path alone */
	struct oci_strings env;
	bool has_timeout;
	int32_t timeout; /* s */
};

struct oci_hook_list {
	struct oci_hook *items;
	size_t count, size;
};

struct oci_hooks {
	struct oci_hook_list prestart, create_runtime, create_container, start_container, poststart,
		poststop;
};

struct oci_namespace {
	int type;   /* CLONE_NEW* */
	char *path; /* one to join, or NULL: a new one */
};

struct oci_time_offset {
	int64_t secs;
	uint32_t nanosecs;
};

struct oci_time_offsets {
	bool has_monotonic, has_boottime;
	struct oci_time_offset monotonic, boottime;
};

struct oci_device {
	char type; /* 'c', 'b', 'u' or 'p' */
	char *path;
	bool has_major, has_minor;
	int64_t major, minor;
	bool has_file_mode, has_uid, has_gid;
	uint32_t file_mode; /* permission bits; the spec writes them in decimal */
	uint32_t uid, gid;
};

struct oci_device_rule {
	bool allow;
	char type;		   /* 'a' (also if absent), 'c' or 'b' */
	bool has_major, has_minor; /* false, and also for -1 in the file: any number */
	int64_t major, minor;
	char *access; /* of "rwm"; NULL: all of them */
};

struct oci_memory {
	bool has_limit, has_reservation, has_swap, has_kernel, has_kernel_tcp, has_swappiness;
	int64_t limit, reservation, swap, kernel,
		kernel_tcp; /* bytes, -1 unlimited; swap: with memory */
	int64_t swappiness; /* percent */
	bool has_disable_oom_killer, has_use_hierarchy, has_check_before_update;
	bool disable_oom_killer, use_hierarchy, check_before_update;
};

struct oci_cpu {
	bool has_shares, has_quota, has_burst, has_period, has_realtime_runtime,
		has_realtime_period, has_idle;
	int64_t shares;
	int64_t quota, burst, period, realtime_runtime,
		realtime_period; /* us; quota -1 unlimited */
	int64_t idle;
	char *cpus, *mems;
};

struct oci_weight_device {
	int64_t major, minor;
	bool has_weight, has_leaf_weight;
	int64_t weight, leaf_weight;
};

struct oci_throttle_device {
	int64_t major, minor;
	uint64_t rate; /* bytes or operations per second */
};

struct oci_throttle_devices {
	struct oci_throttle_device *items;
	size_t count, size;
};

struct oci_block_io {
	bool has_weight, has_leaf_weight;
	int64_t weight, leaf_weight; /* 10 to 1000, as on v1 */
	VEC(struct oci_weight_device) weight_devices;
	struct oci_throttle_devices read_bps, write_bps, read_iops, write_iops;
};

struct oci_hugepage_limit {
	char *page_size; /* "2MB" */
	uint64_t limit;	 /* bytes */
};

struct oci_net_priority {
	char *name;
	uint32_t priority;
};

struct oci_rdma {
	char *name; /* the device */
	bool has_hca_handles, has_hca_objects;
	uint32_t hca_handles, hca_objects;
};

struct oci_resources {
	struct oci_memory memory;
	struct oci_cpu cpu;
	bool has_pids_limit;
	int64_t pids_limit; /* -1 unlimited */
	struct oci_block_io block_io;
	VEC(struct oci_hugepage_limit) hugepage_limits;
	bool has_class_id;
	uint32_t class_id;
	VEC(struct oci_net_priority) net_priorities;
	VEC(struct oci_rdma) rdma;
	VEC(struct oci_device_rule) devices;
	struct oci_pairs unified; /* file name in the v2 cgroup, text to write */
};

struct oci_seccomp_arg {
	uint32_t index;
	uint64_t value, value_two;
	int op; /* enum scmp_compare */
};

struct oci_seccomp_rule {
	struct oci_strings names;
	uint32_t action; /* SCMP_ACT_* with data 0 */
	bool has_errno_ret;
	uint32_t errno_ret;
	VEC(struct oci_seccomp_arg) args;
};

struct oci_architectures {
	uint32_t *items; /* SCMP_ARCH_* */
	size_t count, size;
};

struct oci_seccomp {
	uint32_t default_action; /* SCMP_ACT_* with data 0 */
	bool has_default_errno_ret;
	uint32_t default_errno_ret;
	struct oci_architectures architectures;
	bool has_flags;
	uint32_t flags; /* SECCOMP_FILTER_FLAG_* */
	char *listener_path, *listener_metadata;
	VEC(struct oci_seccomp_rule) syscalls;
};

struct oci_net_device {
	char *host; /* its name in the runtime's network namespace */
	char *name; /* in the container, or NULL: the same */
};

struct oci_memory_policy {
	int mode;	/* MPOL_* */
	uint32_t flags; /* MPOL_F_* */
	char *nodes;	/* a list as "0-3,7", or NULL */
};

struct oci_intel_rdt {
	char *clos_id; /* NULL: the container's id */
	struct oci_strings schemata;
	char *l3_cache_schema, *mem_bw_schema; /* lines as in "schemata"; NULL: not given */
	bool enable_monitoring;
};

/* Not called "linux" as a member anywhere: that is a macro in GNU C. */
struct oci_linux {
	VEC(struct oci_namespace) namespaces;
	struct oci_id_maps uid_mappings, gid_mappings;
	struct oci_time_offsets time_offsets;
	VEC(struct oci_device) devices;
	char *cgroups_path;
	struct oci_resources resources;
	unsigned long rootfs_propagation; /* MS_SHARED and so on, with MS_REC; 0: not given */
	struct oci_seccomp *seccomp;	  /* or NULL */
	struct oci_pairs sysctl;
	struct oci_strings masked_paths, readonly_paths;
	char *mount_label;
	bool has_personality;
	uint32_t personality;			 /* PER_LINUX or PER_LINUX32 */
	struct oci_strings personality_flags;	 /* the specification knows none yet */
	struct oci_intel_rdt *intel_rdt;	 /* or NULL */
	struct oci_memory_policy *memory_policy; /* or NULL */
	VEC(struct oci_net_device) net_devices;
};

struct oci_config {
	char *json; /* the text as read, NUL-terminated: goes into checkpoint images */
	size_t json_len;

	char *oci_version;
	struct oci_root *root; /* or NULL */
	char *hostname, *domainname;
	struct oci_process *process; /* or NULL: then the container can be created, not started */
	VEC(struct oci_mount) mounts;
	struct oci_hooks hooks;
	struct oci_pairs annotations;
	struct oci_linux lx;
};

/*
 * Parses the text of a config.json. Checks syntax and types, not sense: see
 * oci_config_validate(). Fields that their object cannot do without must be there.
 * Unknown fields are ignored, as the specification
 * demands. Errors name the field by its JSON pointer ("config.json:
 * /process/args: must be an array of strings"), or line and column of malformed
 * JSON. On success *config is the caller's, for oci_config_free(). -EINVAL for
 * bad input, -EFBIG, -ENOMEM.
 */
int oci_config_parse(const char *json, size_t len, struct oci_config **config, struct error **err);

/* The same for a file, relative to dirfd (a bundle's, with path "config.json"). */
int oci_config_load(int dirfd, const char *path, struct oci_config **config, struct error **err);

/*
 * Checks what the types do not tell: required fields, absolute paths, duplicate
 * namespaces, values that exclude each other. -EINVAL, or -EOPNOTSUPP for what
 * is valid but not supported. Whether the host can provide it is not asked.
 */
int oci_config_validate(const struct oci_config *config, struct error **err);

/* A process document alone, as given to exec --process; checked, required fields included. */
int oci_process_parse(const char *json, size_t len, struct oci_process **process,
		      struct error **err);

/* A resources document alone, as given to update --resources; checked. */
int oci_resources_parse(const char *json, size_t len, struct oci_resources **resources,
			struct error **err);

/* NULL is fine. */
void oci_config_free(struct oci_config *config);
void oci_process_free(struct oci_process *process);
void oci_resources_free(struct oci_resources *resources);

/* The id outside of a user namespace for one in it, or (uint32_t)-1: it is not mapped. */
uint32_t oci_host_id(const struct oci_id_maps *maps, uint32_t id);

/* The entry of this type (CLONE_NEW*), or NULL: the container stays in the runtime's. */
const struct oci_namespace *oci_config_namespace(const struct oci_config *config, int type);

/* The value of a key, or NULL. Owned by the list. */
const char *oci_pairs_get(const struct oci_pairs *pairs, const char *key);

/*
 * The path below /proc/sys of a sysctl as written ("net.ipv4.ip_forward" or
 * "net/ipv4/ip_forward"), malloc'ed, or NULL for want of memory. Of a validated
 * configuration it cannot leave that directory.
 */
char *oci_sysctl_path(const char *key);

static inline void cleanup_oci_config(struct oci_config **config)
{
	oci_config_free(*config);
}

static inline void cleanup_oci_process(struct oci_process **process)
{
	oci_process_free(*process);
}

static inline void cleanup_oci_resources(struct oci_resources **resources)
{
	oci_resources_free(*resources);
}

#define __cleanup_oci_config	__attribute__((cleanup(cleanup_oci_config)))
#define __cleanup_oci_process	__attribute__((cleanup(cleanup_oci_process)))
#define __cleanup_oci_resources __attribute__((cleanup(cleanup_oci_resources)))

#endif
