// SPDX-License-Identifier: GPL-2.0-only
/* config.json: /linux, except what has a file of its own. */
#include "oci/shapes.h"

const struct oci_shape oci_id_map_shape = {
	.size = sizeof(struct oci_id_map),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_id_map, "containerID", container_id, FIELD_UINT,
			      .required = true),
			FIELD(struct oci_id_map, "hostID", host_id, FIELD_UINT, .required = true),
			FIELD(struct oci_id_map, "size", size, FIELD_UINT, .required = true),
			{0},
		},
};

static const struct oci_shape namespace_shape = {
	.size = sizeof(struct oci_namespace),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_namespace, "type", type, FIELD_WORD, .required = true,
			      .words = &oci_namespace_words),
			FIELD(struct oci_namespace, "path", path, FIELD_STRING),
			{0},
		},
};

static const struct oci_shape time_offset_shape = {
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_time_offset, "secs", secs, FIELD_INT),
			FIELD(struct oci_time_offset, "nanosecs", nanosecs, FIELD_UINT,
			      .max = 999999999),
			{0},
		},
};

static const struct oci_shape time_offsets_shape = {
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_time_offsets, "monotonic", monotonic, FIELD_OBJECT,
			      .shape = &time_offset_shape,
			      FIELD_HAS(struct oci_time_offsets, has_monotonic)),
			FIELD(struct oci_time_offsets, "boottime", boottime, FIELD_OBJECT,
			      .shape = &time_offset_shape,
			      FIELD_HAS(struct oci_time_offsets, has_boottime)),
			{0},
		},
};

static const struct oci_shape device_shape = {
	.size = sizeof(struct oci_device),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_device, "type", type, FIELD_LETTER, .required = true,
			      .letters = "cbup"),
			FIELD(struct oci_device, "path", path, FIELD_STRING, .required = true),
			FIELD(struct oci_device, "major", major, FIELD_INT, .min = 0,
			      .max = OCI_DEVICE_MAJOR_MAX, FIELD_HAS(struct oci_device, has_major)),
			FIELD(struct oci_device, "minor", minor, FIELD_INT, .min = 0,
			      .max = OCI_DEVICE_MINOR_MAX, FIELD_HAS(struct oci_device, has_minor)),
			FIELD(struct oci_device, "fileMode", file_mode, FIELD_UINT,
			      FIELD_HAS(struct oci_device, has_file_mode)),
			FIELD(struct oci_device, "uid", uid, FIELD_UINT, .max = OCI_ID_MAX,
			      FIELD_HAS(struct oci_device, has_uid)),
			FIELD(struct oci_device, "gid", gid, FIELD_UINT, .max = OCI_ID_MAX,
			      FIELD_HAS(struct oci_device, has_gid)),
			{0},
		},
};

static const struct oci_shape net_device_shape = {
	.size = sizeof(struct oci_net_device),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_net_device, "name", name, FIELD_STRING),
			{0},
		},
};

static const struct oci_shape memory_policy_shape = {
	.size = sizeof(struct oci_memory_policy),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_memory_policy, "mode", mode, FIELD_WORD, .required = true,
			      .words = &oci_memory_policy_words),
			FIELD(struct oci_memory_policy, "nodes", nodes, FIELD_STRING),
			FIELD(struct oci_memory_policy, "flags", flags, FIELD_MASK,
			      .words = &oci_memory_policy_flag_words),
			{0},
		},
};

/* enableCMT and enableMBM, of older versions, asked for nothing but what is there anyway */
static const struct oci_shape intel_rdt_shape = {
	.size = sizeof(struct oci_intel_rdt),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_intel_rdt, "closID", clos_id, FIELD_STRING),
			FIELD(struct oci_intel_rdt, "schemata", schemata, FIELD_STRINGS),
			FIELD(struct oci_intel_rdt, "l3CacheSchema", l3_cache_schema, FIELD_STRING),
			FIELD(struct oci_intel_rdt, "memBwSchema", mem_bw_schema, FIELD_STRING),
			FIELD(struct oci_intel_rdt, "enableMonitoring", enable_monitoring,
			      FIELD_BOOL),
			{0},
		},
};

static const struct oci_shape personality_shape = {
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_linux, "domain", personality, FIELD_WORD, .required = true,
			      .words = &oci_personality_words),
			FIELD(struct oci_linux, "flags", personality_flags, FIELD_STRINGS),
			{0},
		},
};

const struct oci_shape oci_linux_shape = {
	.size = sizeof(struct oci_linux),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_linux, "namespaces", namespaces, FIELD_LIST,
			      .shape = &namespace_shape),
			FIELD(struct oci_linux, "uidMappings", uid_mappings, FIELD_LIST,
			      .shape = &oci_id_map_shape),
			FIELD(struct oci_linux, "gidMappings", gid_mappings, FIELD_LIST,
			      .shape = &oci_id_map_shape),
			FIELD(struct oci_linux, "timeOffsets", time_offsets, FIELD_OBJECT,
			      .shape = &time_offsets_shape),
			FIELD(struct oci_linux, "devices", devices, FIELD_LIST,
			      .shape = &device_shape),
			FIELD(struct oci_linux, "cgroupsPath", cgroups_path, FIELD_STRING),
			FIELD(struct oci_linux, "resources", resources, FIELD_OBJECT,
			      .shape = &oci_resources_shape),
			FIELD(struct oci_linux, "rootfsPropagation", rootfs_propagation, FIELD_WORD,
			      .words = &oci_propagation_words),
			FIELD(struct oci_linux, "seccomp", seccomp, FIELD_POINTER,
			      .shape = &oci_seccomp_shape),
			FIELD(struct oci_linux, "sysctl", sysctl, FIELD_PAIRS),
			FIELD(struct oci_linux, "maskedPaths", masked_paths, FIELD_STRINGS),
			FIELD(struct oci_linux, "readonlyPaths", readonly_paths, FIELD_STRINGS),
			FIELD(struct oci_linux, "mountLabel", mount_label, FIELD_STRING),
			FIELD_INNER("personality", personality_shape,
				    FIELD_HAS(struct oci_linux, has_personality)),
			FIELD(struct oci_linux, "intelRdt", intel_rdt, FIELD_POINTER,
			      .shape = &intel_rdt_shape),
			FIELD(struct oci_linux, "memoryPolicy", memory_policy, FIELD_POINTER,
			      .shape = &memory_policy_shape),
			FIELD(struct oci_linux, "netDevices", net_devices, FIELD_NAMED,
			      .shape = &net_device_shape),
			{0},
		},
};
