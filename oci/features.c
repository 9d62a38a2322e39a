// SPDX-License-Identifier: GPL-2.0-only
#include "oci/features.h"

#include <seccomp.h>
#include <stdio.h>

#include "oci/annotations.h"
#include "oci/words.h"
#include "util/json_write.h"

static const char *const hooks[] = {
	"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
	NULL,
};

static void write_words(struct json *j, const char *key, const struct oci_words *words)
{
	json_key(j, key);
	json_array_begin(j);
	for (const struct oci_word *w = words->words; w->name; w++)
		json_string(j, w->name);
	json_array_end(j);
}

static void write_enabled(struct json *j, const char *key, bool enabled)
{
	json_key(j, key);
	json_object_begin(j);
	json_add_bool(j, "enabled", enabled);
	json_object_end(j);
}

static void write_seccomp(struct json *j, const struct oci_features *features)
{
	json_key(j, "seccomp");
	json_object_begin(j);
	json_add_bool(j, "enabled", true);
	write_words(j, "actions", &oci_seccomp_action_words);
	write_words(j, "operators", &oci_seccomp_op_words);
	write_words(j, "archs", &oci_seccomp_arch_words);
	write_words(j, "knownFlags", &oci_seccomp_flag_words);
	if (features->seccomp_flags)
		json_add_strings(j, "supportedFlags", features->seccomp_flags);
	json_object_end(j);
}

static void write_intel_rdt(struct json *j)
{
	json_key(j, "intelRdt");
	json_object_begin(j);
	json_add_bool(j, "enabled", true);
	json_add_bool(j, "schemata", true);
	json_add_bool(j, "monitoring", true);
	json_object_end(j);
}

static void write_linux(struct json *j, const struct oci_features *features)
{
	json_key(j, "linux");
	json_object_begin(j);
	write_words(j, "namespaces", &oci_namespace_words);
	write_words(j, "capabilities", &oci_capability_words);
	json_key(j, "cgroup");
	json_object_begin(j);
	json_add_bool(j, "v1", true);
	json_add_bool(j, "v2", true);
	json_add_bool(j, "systemd", features->systemd_cgroup);
	json_add_bool(j, "systemdUser", features->systemd_cgroup);
	json_add_bool(j, "rdma", features->rdma);
	json_object_end(j);
	write_seccomp(j, features);
	write_enabled(j, "apparmor", features->apparmor);
	write_enabled(j, "selinux", features->selinux);
	write_intel_rdt(j);
	json_key(j, "memoryPolicy");
	json_object_begin(j);
	write_words(j, "modes", &oci_memory_policy_words);
	write_words(j, "flags", &oci_memory_policy_flag_words);
	json_object_end(j);
	write_enabled(j, "netDevices", true);
	json_key(j, "mountExtensions");
	json_object_begin(j);
	write_enabled(j, "idmap", features->idmap_mounts);
	json_object_end(j);
	json_object_end(j);
}

/* Whoever lets others choose annotations has to know which ones the runtime acts on. */
static void write_unsafe_annotations(struct json *j)
{
	json_add_strings(j, "potentiallyUnsafeConfigAnnotations", oci_unsafe_annotations);
}

static void write_annotations(struct json *j, const struct oci_features *features)
{
	const struct scmp_version *v = seccomp_version();
	char seccomp[48];

	json_key(j, "annotations");
	json_object_begin(j);
	if (v) {
		snprintf(seccomp, sizeof(seccomp), "%u.%u.%u", v->major, v->minor, v->micro);
		json_add_string(j, "io.github.seccomp.libseccomp.version", seccomp);
	}
	json_add_string(j, "org.firn.version", features->version);
	/* callers ask this one before they offer checkpoints */
	json_add_string(j, "org.opencontainers.runc.checkpoint.enabled", "true");
	if (features->annotations)
		vec_for_each (pair, features->annotations)
			json_add_string(j, pair->key, pair->value);
	json_object_end(j);
}

char *oci_features_json(const struct oci_features *features)
{
	__cleanup_json struct json *j = json_new(true);

	json_object_begin(j);
	json_add_string(j, "ociVersionMin", OCI_VERSION_MIN);
	json_add_string(j, "ociVersionMax", OCI_VERSION);
	json_add_strings(j, "hooks", hooks);
	if (features->mount_options)
		json_add_strings(j, "mountOptions", features->mount_options);
	write_linux(j, features);
	write_annotations(j, features);
	write_unsafe_annotations(j);
	json_object_end(j);
	return json_text(j);
}
