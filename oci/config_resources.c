// SPDX-License-Identifier: GPL-2.0-only
/* config.json: /linux/resources. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oci/shapes.h"
#include "util/error.h"

/* Limits of which -1 means none. */
#define LIMIT(type, json, member)                                                                  \
	FIELD(type, json, member, FIELD_INT, .min = -1, .max = INT64_MAX,                          \
	      FIELD_HAS(type, has_##member))
/* Numbers that the specification calls uint64, kept signed beside those. */
#define NUMBER(type, json, member, highest)                                                        \
	FIELD(type, json, member, FIELD_INT, .min = 0, .max = highest,                             \
	      FIELD_HAS(type, has_##member))
#define FLAG(type, json, member)                                                                   \
	FIELD(type, json, member, FIELD_BOOL, FIELD_HAS(type, has_##member))
#define DEVICE_NUMBER(type, member, highest)                                                       \
	FIELD(type, #member, member, FIELD_INT, .required = true, .min = 0, .max = highest)

static const struct oci_shape memory_shape = {
	.fields =
		(const struct oci_field[]){
			LIMIT(struct oci_memory, "limit", limit),
			LIMIT(struct oci_memory, "reservation", reservation),
			LIMIT(struct oci_memory, "swap", swap),
			LIMIT(struct oci_memory, "kernel", kernel),
			LIMIT(struct oci_memory, "kernelTCP", kernel_tcp),
			NUMBER(struct oci_memory, "swappiness", swappiness, 100),
			FLAG(struct oci_memory, "disableOOMKiller", disable_oom_killer),
			FLAG(struct oci_memory, "useHierarchy", use_hierarchy),
			FLAG(struct oci_memory, "checkBeforeUpdate", check_before_update),
			{0},
		},
};

static const struct oci_shape cpu_shape = {
	.fields =
		(const struct oci_field[]){
			NUMBER(struct oci_cpu, "shares", shares, INT64_MAX),
			LIMIT(struct oci_cpu, "quota", quota),
			NUMBER(struct oci_cpu, "burst", burst, INT64_MAX),
			NUMBER(struct oci_cpu, "period", period, INT64_MAX),
			LIMIT(struct oci_cpu, "realtimeRuntime", realtime_runtime),
			NUMBER(struct oci_cpu, "realtimePeriod", realtime_period, INT64_MAX),
			NUMBER(struct oci_cpu, "idle", idle, 1),
			FIELD(struct oci_cpu, "cpus", cpus, FIELD_STRING),
			FIELD(struct oci_cpu, "mems", mems, FIELD_STRING),
			{0},
		},
};

static const struct oci_shape pids_shape = {
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_resources, "limit", pids_limit, FIELD_INT,
			      .required = true, FIELD_HAS(struct oci_resources, has_pids_limit)),
			{0},
		},
};

static const struct oci_shape weight_device_shape = {
	.size = sizeof(struct oci_weight_device),
	.fields =
		(const struct oci_field[]){
			DEVICE_NUMBER(struct oci_weight_device, major, OCI_DEVICE_MAJOR_MAX),
			DEVICE_NUMBER(struct oci_weight_device, minor, OCI_DEVICE_MINOR_MAX),
			NUMBER(struct oci_weight_device, "weight", weight, UINT16_MAX),
			NUMBER(struct oci_weight_device, "leafWeight", leaf_weight, UINT16_MAX),
			{0},
		},
};

static const struct oci_shape throttle_device_shape = {
	.size = sizeof(struct oci_throttle_device),
	.fields =
		(const struct oci_field[]){
			DEVICE_NUMBER(struct oci_throttle_device, major, OCI_DEVICE_MAJOR_MAX),
			DEVICE_NUMBER(struct oci_throttle_device, minor, OCI_DEVICE_MINOR_MAX),
			FIELD(struct oci_throttle_device, "rate", rate, FIELD_UINT,
			      .required = true),
			{0},
		},
};

#define THROTTLE(json, member)                                                                     \
	FIELD(struct oci_block_io, json, member, FIELD_LIST, .shape = &throttle_device_shape)

static const struct oci_shape block_io_shape = {
	.fields =
		(const struct oci_field[]){
			NUMBER(struct oci_block_io, "weight", weight, UINT16_MAX),
			NUMBER(struct oci_block_io, "leafWeight", leaf_weight, UINT16_MAX),
			FIELD(struct oci_block_io, "weightDevice", weight_devices, FIELD_LIST,
			      .shape = &weight_device_shape),
			THROTTLE("throttleReadBpsDevice", read_bps),
			THROTTLE("throttleWriteBpsDevice", write_bps),
			THROTTLE("throttleReadIOPSDevice", read_iops),
			THROTTLE("throttleWriteIOPSDevice", write_iops),
			{0},
		},
};

static const struct oci_shape hugepage_limit_shape = {
	.size = sizeof(struct oci_hugepage_limit),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_hugepage_limit, "pageSize", page_size, FIELD_STRING,
			      .required = true),
			FIELD(struct oci_hugepage_limit, "limit", limit, FIELD_UINT,
			      .required = true),
			{0},
		},
};

static const struct oci_shape net_priority_shape = {
	.size = sizeof(struct oci_net_priority),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_net_priority, "name", name, FIELD_STRING,
			      .required = true),
			FIELD(struct oci_net_priority, "priority", priority, FIELD_UINT,
			      .required = true),
			{0},
		},
};

static const struct oci_shape network_shape = {
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_resources, "classID", class_id, FIELD_UINT,
			      FIELD_HAS(struct oci_resources, has_class_id)),
			FIELD(struct oci_resources, "priorities", net_priorities, FIELD_LIST,
			      .shape = &net_priority_shape),
			{0},
		},
};

static const struct oci_shape rdma_shape = {
	.size = sizeof(struct oci_rdma),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_rdma, "hcaHandles", hca_handles, FIELD_UINT,
			      FIELD_HAS(struct oci_rdma, has_hca_handles)),
			FIELD(struct oci_rdma, "hcaObjects", hca_objects, FIELD_UINT,
			      FIELD_HAS(struct oci_rdma, has_hca_objects)),
			{0},
		},
};

static const struct oci_shape device_rule_shape = {
	.size = sizeof(struct oci_device_rule),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_device_rule, "allow", allow, FIELD_BOOL, .required = true),
			FIELD(struct oci_device_rule, "type", type, FIELD_LETTER, .letters = "acb",
			      .absent = 'a'),
			FIELD(struct oci_device_rule, "major", major, FIELD_WILDCARD,
			      .max = OCI_DEVICE_MAJOR_MAX,
			      FIELD_HAS(struct oci_device_rule, has_major)),
			FIELD(struct oci_device_rule, "minor", minor, FIELD_WILDCARD,
			      .max = OCI_DEVICE_MINOR_MAX,
			      FIELD_HAS(struct oci_device_rule, has_minor)),
			FIELD(struct oci_device_rule, "access", access, FIELD_STRING),
			{0},
		},
};

const struct oci_shape oci_resources_shape = {
	.size = sizeof(struct oci_resources),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_resources, "memory", memory, FIELD_OBJECT,
			      .shape = &memory_shape),
			FIELD(struct oci_resources, "cpu", cpu, FIELD_OBJECT, .shape = &cpu_shape),
			FIELD_INNER("pids", pids_shape),
			FIELD(struct oci_resources, "blockIO", block_io, FIELD_OBJECT,
			      .shape = &block_io_shape),
			FIELD(struct oci_resources, "hugepageLimits", hugepage_limits, FIELD_LIST,
			      .shape = &hugepage_limit_shape),
			FIELD_INNER("network", network_shape),
			FIELD(struct oci_resources, "rdma", rdma, FIELD_NAMED,
			      .shape = &rdma_shape),
			FIELD(struct oci_resources, "devices", devices, FIELD_LIST,
			      .shape = &device_rule_shape),
			FIELD(struct oci_resources, "unified", unified, FIELD_PAIRS),
			{0},
		},
};

/* "64KB": becomes part of a file name in the cgroup. */
static bool is_page_size(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && digits < 10 && strchr("KMG", text[digits]) && text[digits] &&
	       strcmp(text + digits + 1, "B") == 0;
}

/* A word that goes into a line of a cgroup file: another would smuggle in a second setting. */
static bool is_word(const char *text)
{
	for (const char *c = text; *c; c++)
		if (isspace((unsigned char)*c) || iscntrl((unsigned char)*c))
			return false;
	return *text;
}

static bool is_cpu_list(const char *text)
{
	return !text || strspn(text, "0123456789,- \n") == strlen(text);
}

static int devices_validate(const struct oci_resources *res, const char *at, struct error **err)
{
	for (size_t i = 0; i < res->devices.count; i++) {
		const char *access = res->devices.items[i].access;

		if (access && strspn(access, "rwm") != strlen(access))
			return error_set(err, EINVAL,
					 "%s/devices/%zu/access: \"%s\" is not made of r, w and m",
					 at, i, access);
	}
	return 0;
}

static int names_validate(const struct oci_resources *res, const char *at, struct error **err)
{
	for (size_t i = 0; i < res->hugepage_limits.count; i++)
		if (!is_page_size(res->hugepage_limits.items[i].page_size))
			return error_set(
				err, EINVAL,
				"%s/hugepageLimits/%zu/pageSize: \"%s\" is not a size like 2MB", at,
				i, res->hugepage_limits.items[i].page_size);
	for (size_t i = 0; i < res->net_priorities.count; i++)
		if (!is_word(res->net_priorities.items[i].name))
			return error_set(
				err, EINVAL,
				"%s/network/priorities/%zu/name: not the name of an interface", at,
				i);
	for (size_t i = 0; i < res->rdma.count; i++) {
		const struct oci_rdma *rdma = &res->rdma.items[i];

		if (!is_word(rdma->name))
			return error_set(err, EINVAL, "%s/rdma: \"%s\" is not a device name", at,
					 rdma->name);
		if (!rdma->has_hca_handles && !rdma->has_hca_objects)
			return error_set(err, EINVAL, "%s/rdma/%s: needs hcaHandles or hcaObjects",
					 at, rdma->name);
	}
	for (size_t i = 0; i < res->unified.count; i++)
		if (!is_word(res->unified.items[i].key) || strchr(res->unified.items[i].key, '/') ||
		    !strchr(res->unified.items[i].key, '.') || res->unified.items[i].key[0] == '.')
			return error_set(err, EINVAL,
					 "%s/unified: \"%s\" is not the name of a cgroup file", at,
					 res->unified.items[i].key);
	return 0;
}

static int cpu_validate(const struct oci_cpu *cpu, const char *at, struct error **err)
{
	if (!is_cpu_list(cpu->cpus))
		return error_set(err, EINVAL, "%s/cpu/cpus: \"%s\" is not a list of CPUs", at,
				 cpu->cpus);
	if (!is_cpu_list(cpu->mems))
		return error_set(err, EINVAL, "%s/cpu/mems: \"%s\" is not a list of nodes", at,
				 cpu->mems);
	if (cpu->has_burst && cpu->has_quota && cpu->quota > 0 && cpu->burst > cpu->quota)
		return error_set(err, EINVAL, "%s/cpu/burst: larger than the quota", at);
	return 0;
}

int oci_resources_validate(const struct oci_resources *res, const char *at, struct error **err)
{
	int r = cpu_validate(&res->cpu, at, err);

	for (size_t i = 0; !r && i < res->block_io.weight_devices.count; i++) {
		const struct oci_weight_device *d = &res->block_io.weight_devices.items[i];

		if (!d->has_weight && !d->has_leaf_weight)
			r = error_set(err, EINVAL,
				      "%s/blockIO/weightDevice/%zu: needs weight or leafWeight", at,
				      i);
	}
	if (!r)
		r = devices_validate(res, at, err);
	if (!r)
		r = names_validate(res, at, err);
	return r;
}

int oci_resources_parse(const char *json, size_t len, struct oci_resources **resources,
			struct error **err)
{
	void *document = NULL;
	int r = oci_document_read("resources", json, len, &oci_resources_shape, &document, err);

	if (r)
		return r;
	r = oci_resources_validate(document, "", err);
	if (r) {
		error_wrap(err, "resources");
		oci_resources_free(document);
		return r;
	}
	*resources = document;
	return 0;
}

void oci_resources_free(struct oci_resources *resources)
{
	oci_document_free(&oci_resources_shape, resources);
}
