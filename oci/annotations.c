// SPDX-License-Identifier: GPL-2.0-only
#include "oci/annotations.h"

#include <stddef.h>
#include <string.h>

#include "oci/config.h"

#define KEEP_GROUPS	   "run.oci.keep_original_groups"
#define FAIL_UNKNOWN_CALLS "run.oci.seccomp_fail_unknown_syscall"

const char *const oci_unsafe_annotations[] = {
	OCI_SYSTEMD_PROPERTY,
	KEEP_GROUPS,
	FAIL_UNKNOWN_CALLS,
	NULL,
};

/* As crun takes them. */
static bool is_set(const struct oci_pairs *annotations, const char *name)
{
	const char *value = oci_pairs_get(annotations, name);

	return value && strcmp(value, "0") != 0;
}

bool oci_keeps_groups(const struct oci_pairs *annotations)
{
	return is_set(annotations, KEEP_GROUPS);
}

bool oci_refuses_unknown_calls(const struct oci_pairs *annotations)
{
	return is_set(annotations, FAIL_UNKNOWN_CALLS);
}
