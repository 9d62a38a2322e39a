/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Annotations that the runtime acts on: they ask for what config.json has no field for, by names
 * that callers of other runtimes use. `features` lists them as potentially unsafe.
 */
#ifndef FIRN_OCI_ANNOTATIONS_H
#define FIRN_OCI_ANNOTATIONS_H

#include <stdbool.h>

struct oci_pairs;

/* Names that end with a dot stand for all that begin so; ends with NULL. */
extern const char *const oci_unsafe_annotations[];

/* A property of the unit that systemd makes: systemd_property.h has the values. */
#define OCI_SYSTEMD_PROPERTY "org.systemd.property."

/*
 * run.oci.keep_original_groups, any value but "0": the process keeps the additional groups of who
 * runs the runtime. Podman's --group-add keep-groups.
 */
bool oci_keeps_groups(const struct oci_pairs *annotations);

/* run.oci.seccomp_fail_unknown_syscall: a filter that names a call nobody knows is an error. */
bool oci_refuses_unknown_calls(const struct oci_pairs *annotations);

#endif
