/* SPDX-License-Identifier: GPL-2.0-only */
/* The tables that are shared between the files of oci/; oci/config.h has the structs. */
#ifndef FIRN_OCI_SHAPES_H
#define FIRN_OCI_SHAPES_H

#include "oci/config.h"
#include "oci/fields.h"

/* To the kernel (uid_t)-1 is no id: setresuid(2) and chown(2) leave what is there, which is root.
 */
#define OCI_ID_MAX (UINT32_MAX - 1)

/*
 * A device number has 12 and 20 bits. Of greater ones the kernel drops what is above and means
 * another device, and devices.allow takes 4294967295 for "any".
 */
#define OCI_DEVICE_MAJOR_MAX 4095
#define OCI_DEVICE_MINOR_MAX 1048575

extern const struct oci_shape oci_id_map_shape;
extern const struct oci_shape oci_process_shape;
extern const struct oci_shape oci_linux_shape;
extern const struct oci_shape oci_resources_shape;
extern const struct oci_shape oci_seccomp_shape;

/*
 * The checks behind oci_config_validate(). Errors begin with the JSON pointer;
 * at is the pointer of the object itself ("" if it is a document of its own).
 */
int oci_process_validate(const struct oci_process *process, const char *at, struct error **err);
int oci_resources_validate(const struct oci_resources *resources, const char *at,
			   struct error **err);
int oci_seccomp_validate(const struct oci_seccomp *seccomp, struct error **err);
int oci_sysctl_validate(const struct oci_config *config, struct error **err);
int oci_intel_rdt_validate(const struct oci_intel_rdt *rdt, struct error **err);
int oci_memory_policy_validate(const struct oci_memory_policy *policy, struct error **err);
int oci_net_devices_validate(const struct oci_linux *lx, struct error **err);

/* Each entry must be NAME=VALUE. */
int oci_env_validate(const struct oci_strings *env, const char *at, struct error **err);

#endif
