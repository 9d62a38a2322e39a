// SPDX-License-Identifier: GPL-2.0-only
/* config.json: the top level, mounts and hooks. */
#include "oci/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "oci/shapes.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

static const struct oci_shape root_shape = {
	.size = sizeof(struct oci_root),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_root, "path", path, FIELD_STRING, .required = true),
			FIELD(struct oci_root, "readonly", readonly, FIELD_BOOL),
			{0},
		},
};

static const struct oci_shape mount_shape = {
	.size = sizeof(struct oci_mount),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_mount, "destination", destination, FIELD_STRING,
			      .required = true),
			FIELD(struct oci_mount, "type", type, FIELD_STRING),
			FIELD(struct oci_mount, "source", source, FIELD_STRING),
			FIELD(struct oci_mount, "options", options, FIELD_STRINGS),
			FIELD(struct oci_mount, "uidMappings", uid_mappings, FIELD_LIST,
			      .shape = &oci_id_map_shape),
			FIELD(struct oci_mount, "gidMappings", gid_mappings, FIELD_LIST,
			      .shape = &oci_id_map_shape),
			{0},
		},
};

static const struct oci_shape hook_shape = {
	.size = sizeof(struct oci_hook),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_hook, "path", path, FIELD_STRING, .required = true),
			FIELD(struct oci_hook, "args", args, FIELD_STRINGS),
			FIELD(struct oci_hook, "env", env, FIELD_STRINGS),
			FIELD(struct oci_hook, "timeout", timeout, FIELD_INT, .min = 1,
			      .max = INT32_MAX, FIELD_HAS(struct oci_hook, has_timeout)),
			{0},
		},
};

#define HOOKS(json, member) FIELD(struct oci_hooks, json, member, FIELD_LIST, .shape = &hook_shape)

static const struct oci_shape hooks_shape = {
	.fields =
		(const struct oci_field[]){
			HOOKS("prestart", prestart),
			HOOKS("createRuntime", create_runtime),
			HOOKS("createContainer", create_container),
			HOOKS("startContainer", start_container),
			HOOKS("poststart", poststart),
			HOOKS("poststop", poststop),
			{0},
		},
};

static const struct oci_shape config_shape = {
	.size = sizeof(struct oci_config),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_config, "ociVersion", oci_version, FIELD_STRING,
			      .required = true),
			FIELD(struct oci_config, "root", root, FIELD_POINTER, .shape = &root_shape),
			FIELD(struct oci_config, "hostname", hostname, FIELD_STRING),
			FIELD(struct oci_config, "domainname", domainname, FIELD_STRING),
			FIELD(struct oci_config, "process", process, FIELD_POINTER,
			      .shape = &oci_process_shape),
			FIELD(struct oci_config, "mounts", mounts, FIELD_LIST,
			      .shape = &mount_shape),
			FIELD(struct oci_config, "hooks", hooks, FIELD_OBJECT,
			      .shape = &hooks_shape),
			FIELD(struct oci_config, "annotations", annotations, FIELD_PAIRS),
			FIELD(struct oci_config, "linux", lx, FIELD_OBJECT,
			      .shape = &oci_linux_shape),
			{0},
		},
};

/* An empty path is none: so Go programs, runc among them, take one that their callers left empty.
 */
static void drop_empty_paths(struct oci_config *config)
{
	vec_for_each (ns, &config->lx.namespaces) {
		if (ns->path && !*ns->path) {
			free(ns->path);
			ns->path = NULL;
		}
	}
}

int oci_config_parse(const char *json, size_t len, struct oci_config **config, struct error **err)
{
	__cleanup_oci_config struct oci_config *parsed = NULL;
	void *document = NULL;
	int r = oci_document_read("config.json", json, len, &config_shape, &document, err);

	if (r)
		return r;
	parsed = document;
	parsed->json = text_copy(json, len);
	if (!parsed->json)
		return error_errno(err, ENOMEM, "reading the configuration");
	parsed->json_len = len;
	drop_empty_paths(parsed);
	*config = take_ptr(parsed);
	return 0;
}

int oci_config_load(int dirfd, const char *path, struct oci_config **config, struct error **err)
{
	__cleanup_free char *text = NULL;
	size_t len = 0;
	int r = read_regular(dirfd, path, OCI_CONFIG_MAX, &text, &len);

	if (r == -EINVAL)
		return error_set(err, EINVAL, "reading \"%s\": not a regular file", path);
	if (r == -EFBIG)
		return error_set(err, EFBIG, "reading \"%s\": larger than %u bytes", path,
				 OCI_CONFIG_MAX);
	if (r)
		return error_errno(err, -r, "reading \"%s\"", path);
	return oci_config_parse(text, len, config, err);
}

void oci_config_free(struct oci_config *config)
{
	if (config)
		free(config->json);
	oci_document_free(&config_shape, config);
}

uint32_t oci_host_id(const struct oci_id_maps *maps, uint32_t id)
{
	vec_for_each (m, maps)
		if (id >= m->container_id && id - m->container_id < m->size)
			return m->host_id + (id - m->container_id);
	return (uint32_t)-1;
}

const struct oci_namespace *oci_config_namespace(const struct oci_config *config, int type)
{
	vec_for_each (ns, &config->lx.namespaces)
		if (ns->type == type)
			return ns;
	return NULL;
}

const char *oci_pairs_get(const struct oci_pairs *pairs, const char *key)
{
	const char *value = NULL;

	/* of duplicate keys the last counts, as for other members */
	vec_for_each (pair, pairs)
		if (strcmp(pair->key, key) == 0)
			value = pair->value;
	return value;
}
