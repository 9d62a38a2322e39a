// SPDX-License-Identifier: GPL-2.0-only
/* What the types of a configuration do not tell. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "oci/shapes.h"
#include "util/error.h"

static int version_validate(const char *version, struct error **err)
{
	unsigned int major, minor, patch;
	char dot;

	if (sscanf(version, "%u.%u%c%u", &major, &minor, &dot, &patch) != 4 || dot != '.')
		return error_set(err, EINVAL, "/ociVersion: \"%s\" is not a version", version);
	/* by the rules of versions, every 1.x can be read by who knows 1.3 */
	if (major != 1)
		return error_set(err, EINVAL,
				 "/ociVersion: version %s is not supported (%s to %s are)", version,
				 OCI_VERSION_MIN, OCI_VERSION);
	return 0;
}

static int root_validate(const struct oci_config *config, struct error **err)
{
	if (!config->root)
		return error_set(err, EINVAL, "/root: missing");
	if (!*config->root->path)
		return error_set(err, EINVAL, "/root/path: must not be empty");
	return 0;
}

static int id_maps_validate(const struct oci_id_maps *maps, const char *at, struct error **err)
{
	for (size_t i = 0; i < maps->count; i++) {
		const struct oci_id_map *map = &maps->items[i];

		if (!map->size)
			return error_set(err, EINVAL, "%s/%zu/size: must not be 0", at, i);
		if (map->container_id > UINT32_MAX - map->size ||
		    map->host_id > UINT32_MAX - map->size)
			return error_set(err, EINVAL, "%s/%zu: goes beyond the highest id", at, i);
	}
	return 0;
}

static int mounts_validate(const struct oci_config *config, struct error **err)
{
	char at[64];
	int r = 0;

	/* a relative destination is deprecated, and means relative to the root */
	for (size_t i = 0; !r && i < config->mounts.count; i++) {
		const struct oci_mount *m = &config->mounts.items[i];

		if (!*m->destination)
			return error_set(err, EINVAL, "/mounts/%zu/destination: must not be empty",
					 i);
		if (!m->uid_mappings.count != !m->gid_mappings.count)
			return error_set(err, EINVAL,
					 "/mounts/%zu: uidMappings and gidMappings go together", i);
		snprintf(at, sizeof(at), "/mounts/%zu/uidMappings", i);
		r = id_maps_validate(&m->uid_mappings, at, err);
		snprintf(at, sizeof(at), "/mounts/%zu/gidMappings", i);
		if (!r)
			r = id_maps_validate(&m->gid_mappings, at, err);
	}
	return r;
}

static int hook_list_validate(const struct oci_hook_list *hooks, const char *name,
			      struct error **err)
{
	char at[64];
	int r = 0;

	for (size_t i = 0; !r && i < hooks->count; i++) {
		snprintf(at, sizeof(at), "/hooks/%s/%zu", name, i);
		if (hooks->items[i].path[0] != '/')
			return error_set(err, EINVAL, "%s/path: \"%s\" is not an absolute path", at,
					 hooks->items[i].path);
		r = oci_env_validate(&hooks->items[i].env, at, err);
	}
	return r;
}

static int hooks_validate(const struct oci_hooks *hooks, struct error **err)
{
	int r = hook_list_validate(&hooks->prestart, "prestart", err);

	if (!r)
		r = hook_list_validate(&hooks->create_runtime, "createRuntime", err);
	if (!r)
		r = hook_list_validate(&hooks->create_container, "createContainer", err);
	if (!r)
		r = hook_list_validate(&hooks->start_container, "startContainer", err);
	if (!r)
		r = hook_list_validate(&hooks->poststart, "poststart", err);
	if (!r)
		r = hook_list_validate(&hooks->poststop, "poststop", err);
	return r;
}

static int namespaces_validate(const struct oci_config *config, struct error **err)
{
	for (size_t i = 0; i < config->lx.namespaces.count; i++) {
		const struct oci_namespace *ns = &config->lx.namespaces.items[i];

		if (oci_config_namespace(config, ns->type) != ns)
			return error_set(err, EINVAL,
					 "/linux/namespaces/%zu: \"%s\" is given twice", i,
					 oci_word_name(&oci_namespace_words, ns->type));
		if (ns->path && ns->path[0] != '/')
			return error_set(
				err, EINVAL,
				"/linux/namespaces/%zu/path: \"%s\" is not an absolute path", i,
				ns->path);
	}
	return 0;
}

/* What would change the host if the namespace were not the container's own. */
static int needs_validate(const struct oci_config *config, struct error **err)
{
	const struct oci_linux *lx = &config->lx;
	const struct {
		bool given;
		int type;
		const char *at;
	} needs[] = {
		{config->hostname && *config->hostname, CLONE_NEWUTS, "/hostname"},
		{config->domainname && *config->domainname, CLONE_NEWUTS, "/domainname"},
		{lx->uid_mappings.count, CLONE_NEWUSER, "/linux/uidMappings"},
		{lx->gid_mappings.count, CLONE_NEWUSER, "/linux/gidMappings"},
		{lx->time_offsets.has_monotonic || lx->time_offsets.has_boottime, CLONE_NEWTIME,
		 "/linux/timeOffsets"},
		{lx->net_devices.count, CLONE_NEWNET, "/linux/netDevices"},
		{lx->masked_paths.count, CLONE_NEWNS, "/linux/maskedPaths"},
		{lx->readonly_paths.count, CLONE_NEWNS, "/linux/readonlyPaths"},
		{lx->rootfs_propagation, CLONE_NEWNS, "/linux/rootfsPropagation"},
	};

	for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++)
		if (needs[i].given && !oci_config_namespace(config, needs[i].type))
			return error_set(
				err, EINVAL,
				"%s: needs a namespace of type \"%s\" in /linux/namespaces",
				needs[i].at, oci_word_name(&oci_namespace_words, needs[i].type));
	return 0;
}

static int paths_validate(const struct oci_strings *paths, const char *at, struct error **err)
{
	for (size_t i = 0; i < paths->count; i++)
		if (paths->items[i][0] != '/')
			return error_set(err, EINVAL, "%s/%zu: \"%s\" is not an absolute path", at,
					 i, paths->items[i]);
	return 0;
}

static int devices_validate(const struct oci_linux *lx, struct error **err)
{
	for (size_t i = 0; i < lx->devices.count; i++) {
		const struct oci_device *d = &lx->devices.items[i];

		if (d->path[0] != '/')
			return error_set(err, EINVAL,
					 "/linux/devices/%zu/path: \"%s\" is not an absolute path",
					 i, d->path);
		if (d->type != 'p' && (!d->has_major || !d->has_minor))
			return error_set(err, EINVAL, "/linux/devices/%zu/%s: missing", i,
					 d->has_major ? "minor" : "major");
	}
	return 0;
}

static bool leaves_upwards(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")); p += 2)
		if ((p == path || p[-1] == '/') && (p[2] == '/' || !p[2]))
			return true;
	return false;
}

static int linux_validate(const struct oci_config *config, struct error **err)
{
	const struct oci_linux *lx = &config->lx;
	int r = namespaces_validate(config, err);

	if (!r)
		r = needs_validate(config, err);
	if (!r)
		r = id_maps_validate(&lx->uid_mappings, "/linux/uidMappings", err);
	if (!r)
		r = id_maps_validate(&lx->gid_mappings, "/linux/gidMappings", err);
	if (!r)
		r = devices_validate(lx, err);
	if (!r)
		r = paths_validate(&lx->masked_paths, "/linux/maskedPaths", err);
	if (!r)
		r = paths_validate(&lx->readonly_paths, "/linux/readonlyPaths", err);
	if (!r && lx->cgroups_path && leaves_upwards(lx->cgroups_path))
		r = error_set(err, EINVAL, "/linux/cgroupsPath: \"%s\" must not contain \"..\"",
			      lx->cgroups_path);
	if (!r && lx->personality_flags.count)
		r = error_set(err, EINVAL, "/linux/personality/flags/0: unknown flag \"%s\"",
			      lx->personality_flags.items[0]);
	if (!r && lx->intel_rdt)
		r = oci_intel_rdt_validate(lx->intel_rdt, err);
	if (!r && lx->memory_policy)
		r = oci_memory_policy_validate(lx->memory_policy, err);
	if (!r)
		r = oci_net_devices_validate(lx, err);
	if (!r)
		r = oci_sysctl_validate(config, err);
	if (!r)
		r = oci_resources_validate(&lx->resources, "/linux/resources", err);
	if (!r && lx->seccomp)
		r = oci_seccomp_validate(lx->seccomp, err);
	return r;
}

static int annotations_validate(const struct oci_pairs *annotations, struct error **err)
{
	vec_for_each (pair, annotations)
		if (!*pair->key)
			return error_set(err, EINVAL, "/annotations: a key must not be empty");
	return 0;
}

int oci_config_validate(const struct oci_config *config, struct error **err)
{
	int r = version_validate(config->oci_version, err);

	if (!r)
		r = root_validate(config, err);
	if (!r && config->process)
		r = oci_process_validate(config->process, "/process", err);
	if (!r)
		r = mounts_validate(config, err);
	if (!r)
		r = hooks_validate(&config->hooks, err);
	if (!r)
		r = annotations_validate(&config->annotations, err);
	if (!r)
		r = linux_validate(config, err);
	if (r)
		error_wrap(err, "config.json");
	return r;
}
