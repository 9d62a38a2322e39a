// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/image/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/json.h"
#include "util/json_write.h"

#define ARCHITECTURE "x86_64"

/* How every manifest ends: the checksum of all that stands before these bytes. */
#define TAIL_FORMAT ",\n    \"checksum\": \"%016" PRIx64 "\"\n}\n"
#define TAIL_LEN    (sizeof(",\n    \"checksum\": \"0123456789abcdef\"\n}\n") - 1)

void manifest_free(struct manifest *m)
{
	free(m->strings);
	free(m->waived);
	free(m->kernel_classes);
	vec_free(&m->files);
}

/* "PREFIX-" a decimal number without leading zeros "SUFFIX" */
static bool numbered(const char *name, const char *prefix, const char *suffix)
{
	size_t len = strlen(prefix), digits;

	if (strncmp(name, prefix, len))
		return false;
	name += len;
	digits = strspn(name, "0123456789");
	if (!digits || digits > 10 || (*name == '0' && digits > 1))
		return false;
	return !strcmp(name + digits, suffix);
}

bool image_name_valid(const char *name)
{
	return !strcmp(name, "container.rec") || !strcmp(name, "config.json") ||
	       numbered(name, "task-", ".core") || numbered(name, "object-", ".mem") ||
	       numbered(name, "ghost-", "") || numbered(name, "tmpfs-", ".tar");
}

static void add_hex(struct json *j, const char *key, uint64_t value)
{
	char text[17];

	snprintf(text, sizeof(text), "%016" PRIx64, value);
	json_add_string(j, key, text);
}

static void write_needs(struct json *j, const struct image_info *info)
{
	json_key(j, "needs");
	json_object_begin(j);
	json_add_string(j, "architecture", ARCHITECTURE);
	json_add_string(j, "kernel", info->kernel);
	json_add_uint(j, "pageSize", IMAGE_PAGE_SIZE);
	add_hex(j, "xstateFeatures", info->xstate_features);
	json_add_uint(j, "xstateSize", info->xstate_size);
	if (info->vdso_hash)
		add_hex(j, "vdso", info->vdso_hash);
	json_object_end(j);
}

static void write_numbers(struct json *j, const struct image_info *info)
{
	json_key(j, "clocks");
	json_object_begin(j);
	json_add_uint(j, "realtime", info->begin_realtime);
	json_add_uint(j, "monotonic", info->begin_monotonic);
	json_add_uint(j, "boottime", info->begin_boottime);
	json_object_end(j);

	json_key(j, "statistics");
	json_object_begin(j);
	json_add_uint(j, "tasks", info->tasks);
	json_add_uint(j, "threads", info->threads);
	json_add_uint(j, "pageBytes", info->page_bytes);
	json_add_uint(j, "frozenTime", info->frozen_ns);
	json_add_uint(j, "totalTime", info->total_ns);
	json_object_end(j);
}

static void write_files(struct json *j, const struct manifest *m)
{
	json_key(j, "files");
	json_array_begin(j);
	vec_for_each (f, &m->files) {
		json_object_begin(j);
		json_add_string(j, "name", f->name);
		json_add_uint(j, "size", f->size);
		add_hex(j, "checksum", f->checksum);
		if (f->data_len) {
			json_add_uint(j, "dataOffset", f->data_offset);
			json_add_uint(j, "dataLength", f->data_len);
		}
		json_object_end(j);
	}
	json_array_end(j);
}

void manifest_add_info(struct json *j, const char *id, const struct image_info *info)
{
	static const char *const none[] = {NULL};

	json_add_string(j, "id", id);
	json_add_string(j, "container", info->id);
	json_add_string(j, "provider", info->provider);
	if (info->kernel_classes)
		json_add_strings(j, "kernelClasses", info->kernel_classes);
	write_needs(j, info);
	write_numbers(j, info);
	json_add_strings(j, "waived", info->waived ? info->waived : none);
	if (info->net_hold)
		json_add_string(j, "networkHold", info->net_hold);
}

char *manifest_text(const struct manifest *m, size_t *len)
{
	__cleanup_json struct json *j = json_new(true);
	__cleanup_free char *text = NULL;
	uint64_t sum;
	size_t body;
	char *full;

	json_object_begin(j);
	json_add_string(j, "format", MANIFEST_FORMAT);
	json_add_uint(j, "version", CKPT_FORMAT_VERSION);
	manifest_add_info(j, m->id, &m->info);
	write_files(j, m);
	json_object_end(j);
	text = json_text(j);
	if (!text)
		return NULL;
	/* files is last, so "]": the end of the object moves behind the checksum of all before */
	body = strlen(text);
	while (body && (text[body - 1] == '\n' || text[body - 1] == '}'))
		body--;
	sum = XXH3_64bits(text, body);
	full = malloc(body + TAIL_LEN + 1);
	if (!full)
		return NULL;
	memcpy(full, text, body);
	snprintf(full + body, TAIL_LEN + 1, TAIL_FORMAT, sum);
	*len = body + TAIL_LEN;
	return full;
}

static int parse_hex(const struct json_node *object, const char *key, uint64_t *value,
		     struct error **err)
{
	struct json_node node;
	const char *text;
	int r = json_need(object, key, &node, err);

	if (!r)
		r = json_get_string(&node, &text, err);
	if (r)
		return r;
	if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
		return json_error(&node, err, "must be 16 hexadecimal digits");
	*value = strtoull(text, NULL, 16);
	return 0;
}

static int parse_uint(const struct json_node *object, const char *key, uint64_t max,
		      uint64_t *value, struct error **err)
{
	struct json_node node;
	int r = json_need(object, key, &node, err);

	return r ? r : json_get_uint(&node, max, value, err);
}

static int parse_string(const struct json_node *object, const char *key, const char **value,
			struct error **err)
{
	struct json_node node;
	int r = json_need(object, key, &node, err);

	return r ? r : json_get_string(&node, value, err);
}

static int parse_object(const struct json_node *object, const char *key, struct json_node *child,
			struct error **err)
{
	int r = json_need(object, key, child, err);

	return r ? r : json_get_object(child, err);
}

/* The strings of a manifest live as long as it, in one allocation no longer than its text. */
static const char *keep(struct manifest *m, size_t *used, const char *string)
{
	char *copy = m->strings + *used;
	size_t len = strlen(string) + 1;

	memcpy(copy, string, len);
	*used += len;
	return copy;
}

static int parse_identity(const struct json_node *root, struct error **err)
{
	struct json_node parent = json_child(root, "parent");
	struct json_node needs;
	const char *text;
	uint64_t version, page;
	int r;

	if (parse_string(root, "format", &text, NULL) || strcmp(text, MANIFEST_FORMAT))
		return error_set(err, EBADMSG, "not the manifest of a Firn checkpoint image");
	r = parse_uint(root, "version", UINT32_MAX, &version, err);
	if (r)
		return r;
	if (version != CKPT_FORMAT_VERSION) {
		error_set(err, EOPNOTSUPP, "format version %" PRIu64 ", this firn reads version %d",
			  version, CKPT_FORMAT_VERSION);
		return error_hint(err, "restore with the release of firn that wrote it");
	}
	if (parent.value)
		return error_set(err, EOPNOTSUPP, "an increment, which needs its parent image");
	r = parse_object(root, "needs", &needs, err);
	if (!r)
		r = parse_string(&needs, "architecture", &text, err);
	if (!r)
		r = parse_uint(&needs, "pageSize", UINT32_MAX, &page, err);
	if (r)
		return r;
	if (strcmp(text, ARCHITECTURE))
		return error_set(err, EOPNOTSUPP, "taken on architecture %s, this is %s", text,
				 ARCHITECTURE);
	if (page != IMAGE_PAGE_SIZE)
		return error_set(err, EOPNOTSUPP,
				 "has pages of %" PRIu64 " bytes, here they are %d", page,
				 IMAGE_PAGE_SIZE);
	return 0;
}

static int check_tail(const char *text, size_t len, struct error **err)
{
	char tail[TAIL_LEN + 1];
	uint64_t sum;

	if (len > TAIL_LEN) {
		sum = XXH3_64bits(text, len - TAIL_LEN);
		snprintf(tail, sizeof(tail), TAIL_FORMAT, sum);
		if (!memcmp(text + len - TAIL_LEN, tail, TAIL_LEN))
			return 0;
	}
	return error_set(err, EBADMSG, "checksum does not match, the file was changed or damaged");
}

static int parse_needs(const struct json_node *root, struct manifest *m, size_t *used,
		       struct error **err)
{
	struct image_info *info = &m->info;
	struct json_node needs;
	const char *kernel;
	uint64_t size;
	int r = parse_object(root, "needs", &needs, err);

	if (!r)
		r = parse_string(&needs, "kernel", &kernel, err);
	if (!r)
		r = parse_hex(&needs, "xstateFeatures", &info->xstate_features, err);
	if (!r)
		r = parse_uint(&needs, "xstateSize", 1 << 20, &size, err);
	if (!r && json_child(&needs, "vdso").value)
		r = parse_hex(&needs, "vdso", &info->vdso_hash, err);
	if (r)
		return r;
	info->kernel = keep(m, used, kernel);
	info->xstate_size = size;
	return 0;
}

static int parse_numbers(const struct json_node *root, struct image_info *info, struct error **err)
{
	struct json_node clocks, statistics;
	uint64_t tasks, threads;
	int r = parse_object(root, "clocks", &clocks, err);

	if (!r)
		r = parse_uint(&clocks, "realtime", UINT64_MAX, &info->begin_realtime, err);
	if (!r)
		r = parse_uint(&clocks, "monotonic", UINT64_MAX, &info->begin_monotonic, err);
	if (!r)
		r = parse_uint(&clocks, "boottime", UINT64_MAX, &info->begin_boottime, err);
	if (!r)
		r = parse_object(root, "statistics", &statistics, err);
	if (!r)
		r = parse_uint(&statistics, "tasks", UINT32_MAX, &tasks, err);
	if (!r)
		r = parse_uint(&statistics, "threads", UINT32_MAX, &threads, err);
	if (!r)
		r = parse_uint(&statistics, "pageBytes", UINT64_MAX, &info->page_bytes, err);
	if (!r)
		r = parse_uint(&statistics, "frozenTime", UINT64_MAX, &info->frozen_ns, err);
	if (!r)
		r = parse_uint(&statistics, "totalTime", UINT64_MAX, &info->total_ns, err);
	if (r)
		return r;
	info->tasks = tasks;
	info->threads = threads;
	return 0;
}

/* A NULL-terminated array, which is the caller's, of strings that are the manifest's. */
static int parse_list(const struct json_node *array, struct manifest *m, size_t *used,
		      const char ***list, struct error **err)
{
	int r = json_get_array(array, err);

	if (r)
		return r;
	*list = calloc(json_count(array) + 1, sizeof(**list));
	if (!*list)
		return error_errno(err, ENOMEM, "reading the manifest");
	for (size_t i = 0; i < json_count(array); i++) {
		struct json_node item = json_item(array, i);
		const char *text;

		r = json_get_string(&item, &text, err);
		if (r)
			return r;
		(*list)[i] = keep(m, used, text);
	}
	return 0;
}

static int parse_lists(const struct json_node *root, struct manifest *m, size_t *used,
		       struct error **err)
{
	struct json_node waived, classes = json_child(root, "kernelClasses");
	int r = json_need(root, "waived", &waived, err);

	if (!r)
		r = parse_list(&waived, m, used, &m->waived, err);
	if (!r && classes.value)
		r = parse_list(&classes, m, used, &m->kernel_classes, err);
	m->info.waived = m->waived;
	m->info.kernel_classes = m->kernel_classes;
	return r;
}

static int parse_data_area(const struct json_node *node, struct manifest_file *f,
			   struct error **err)
{
	int r;

	if (!json_child(node, "dataLength").value && !json_child(node, "dataOffset").value)
		return 0;
	r = parse_uint(node, "dataOffset", UINT64_MAX, &f->data_offset, err);
	if (!r)
		r = parse_uint(node, "dataLength", UINT64_MAX, &f->data_len, err);
	if (r)
		return r;
	if ((f->data_offset | f->data_len) % IMAGE_PAGE_SIZE)
		return json_error(node, err, "the data area is not page aligned");
	if (f->data_offset > f->size || f->data_len > f->size - f->data_offset)
		return json_error(node, err, "the data area is larger than the file");
	return 0;
}

static int parse_file(const struct json_node *node, struct manifest *m, struct error **err)
{
	struct manifest_file *f;
	const char *name;
	int r = json_get_object(node, err);

	if (!r)
		r = parse_string(node, "name", &name, err);
	if (r)
		return r;
	if (strlen(name) >= IMAGE_NAME_MAX || !image_name_valid(name))
		return json_error(node, err, "\"%s\" is no file of an image", name);
	f = vec_add(&m->files);
	if (!f)
		return error_errno(err, ENOMEM, "reading the manifest");
	strcpy(f->name, name);
	r = parse_uint(node, "size", INT64_MAX, &f->size, err);
	if (!r)
		r = parse_hex(node, "checksum", &f->checksum, err);
	return r ? r : parse_data_area(node, f, err);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct manifest_file *)a)->name,
		      ((const struct manifest_file *)b)->name);
}

void manifest_sort(struct manifest *m)
{
	if (m->files.count)
		qsort(m->files.items, m->files.count, sizeof(*m->files.items), compare_names);
}

struct manifest_file *manifest_find(const struct manifest *m, const char *name)
{
	struct manifest_file key;

	if (strlen(name) >= sizeof(key.name) || !m->files.count)
		return NULL;
	strcpy(key.name, name);
	return bsearch(&key, m->files.items, m->files.count, sizeof(key), compare_names);
}

static int parse_files(const struct json_node *root, struct manifest *m, struct error **err)
{
	struct json_node files;
	int r = json_need(root, "files", &files, err);

	if (!r)
		r = json_get_array(&files, err);
	for (size_t i = 0; !r && i < json_count(&files); i++) {
		struct json_node item = json_item(&files, i);

		r = parse_file(&item, m, err);
	}
	if (r || !m->files.count)
		return r;
	manifest_sort(m);
	for (size_t i = 1; i < m->files.count; i++)
		if (!compare_names(&m->files.items[i - 1], &m->files.items[i]))
			return json_error(&files, err, "\"%s\" is there twice",
					  m->files.items[i].name);
	return 0;
}

/* Only there if connections are held back by it. */
static int parse_hold(const struct json_node *root, struct manifest *m, size_t *used,
		      struct error **err)
{
	struct json_node node = json_child(root, "networkHold");
	const char *name;
	int r;

	if (!node.value)
		return 0;
	r = json_get_string(&node, &name, err);
	if (!r)
		m->info.net_hold = keep(m, used, name);
	return r;
}

static int parse_names(const struct json_node *root, struct manifest *m, size_t *used,
		       struct error **err)
{
	const char *id, *container, *provider;
	int r = parse_string(root, "id", &id, err);

	if (!r)
		r = parse_string(root, "container", &container, err);
	if (!r)
		r = parse_string(root, "provider", &provider, err);
	if (r)
		return r;
	if (strlen(id) != IMAGE_ID_LEN || strspn(id, "0123456789abcdef") != IMAGE_ID_LEN)
		return error_set(err, EBADMSG, "/id: must be %d hexadecimal digits", IMAGE_ID_LEN);
	strcpy(m->id, id);
	m->info.id = keep(m, used, container);
	m->info.provider = keep(m, used, provider);
	return 0;
}

int manifest_parse(const char *text, size_t len, struct manifest *m, struct error **err)
{
	__cleanup_json_tree yajl_val tree = NULL;
	struct json_node root;
	size_t used = 0;
	int r = json_parse(text, len, &tree, err);

	if (r)
		return r;
	root = json_root(tree);
	r = parse_identity(&root, err);
	if (!r)
		r = check_tail(text, len, err);
	if (r)
		return r;
	m->strings = malloc(len + 1);
	if (!m->strings)
		return error_errno(err, ENOMEM, "reading the manifest");
	r = parse_names(&root, m, &used, err);
	if (!r)
		r = parse_needs(&root, m, &used, err);
	if (!r)
		r = parse_numbers(&root, &m->info, err);
	if (!r)
		r = parse_lists(&root, m, &used, err);
	if (!r)
		r = parse_hold(&root, m, &used, err);
	return r ? r : parse_files(&root, m, err);
}
