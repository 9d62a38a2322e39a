// SPDX-License-Identifier: GPL-2.0-only
#include "oci/fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "oci/config.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"

/* Every list of config.h has this layout. Copied in and out, since the types differ. */
struct list {
	void *items;
	size_t count, size;
};

static int no_memory(struct error **err)
{
	return error_errno(err, ENOMEM, "reading the configuration");
}

static void store(void *member, size_t width, uint64_t value)
{
	switch (width) {
	case 1:
		memcpy(member, &(uint8_t){value}, 1);
		break;
	case 4:
		memcpy(member, &(uint32_t){value}, 4);
		break;
	case 8:
		memcpy(member, &value, 8);
		break;
	}
}

/* One item more than counted: lists of strings end with NULL. */
static int list_alloc(void *member, size_t count, size_t item_size, struct list *list,
		      struct error **err)
{
	list->items = calloc(count + 1, item_size);
	if (!list->items)
		return no_memory(err);
	list->count = count;
	list->size = count + 1;
	memcpy(member, list, sizeof(*list));
	return 0;
}

static int read_bool(const struct json_node *node, const struct oci_field *f, void *member,
		     struct error **err)
{
	return json_get_bool(node, member, err);
}

static int read_int(const struct json_node *node, const struct oci_field *f, void *member,
		    struct error **err)
{
	bool any = !f->min && !f->max;
	int64_t min = !any ? f->min : f->width == 4 ? INT32_MIN : INT64_MIN;
	int64_t max = !any ? f->max : f->width == 4 ? INT32_MAX : INT64_MAX;
	int64_t value = 0;
	int r = json_get_int(node, min, max, &value, err);

	if (!r)
		store(member, f->width, value);
	return r;
}

static int read_uint(const struct json_node *node, const struct oci_field *f, void *member,
		     struct error **err)
{
	uint64_t max = f->max ? (uint64_t)f->max : f->width == 4 ? UINT32_MAX : UINT64_MAX;
	uint64_t value = 0;
	int r = json_get_uint(node, max, &value, err);

	if (!r)
		store(member, f->width, value);
	return r;
}

static int read_wildcard(const struct json_node *node, const struct oci_field *f, void *member,
			 struct error **err)
{
	return json_get_int(node, -1, f->max, member, err);
}

static int dup_string(const struct json_node *node, char **out, struct error **err)
{
	const char *text = NULL;
	int r = json_get_string(node, &text, err);

	if (r)
		return r;
	*out = strdup(text);
	return *out ? 0 : no_memory(err);
}

static int read_string(const struct json_node *node, const struct oci_field *f, void *member,
		       struct error **err)
{
	return dup_string(node, member, err);
}

/* Checked before anything is read, so that the message is about the array as a whole. */
static int need_strings(const struct json_node *node, struct error **err)
{
	bool good = YAJL_IS_ARRAY(node->value);

	for (size_t i = 0; good && i < json_count(node); i++)
		good = YAJL_IS_STRING(node->value->u.array.values[i]);
	return good ? 0 : json_error(node, err, "must be an array of strings");
}

static int read_strings(const struct json_node *node, const struct oci_field *f, void *member,
			struct error **err)
{
	struct list list = {0};
	int r = need_strings(node, err);

	if (!r)
		r = list_alloc(member, json_count(node), sizeof(char *), &list, err);
	for (size_t i = 0; !r && i < list.count; i++) {
		struct json_node item = json_item(node, i);

		r = dup_string(&item, (char **)list.items + i, err);
	}
	return r;
}

static int read_pairs(const struct json_node *node, const struct oci_field *f, void *member,
		      struct error **err)
{
	struct list list = {0};
	int r = json_get_object(node, err);

	if (!r)
		r = list_alloc(member, json_count(node), sizeof(struct oci_pair), &list, err);
	for (size_t i = 0; !r && i < list.count; i++) {
		struct oci_pair *pair = (struct oci_pair *)list.items + i;
		struct json_node item = json_item(node, i);

		pair->key = strdup(item.key);
		if (!pair->key)
			return no_memory(err);
		r = dup_string(&item, &pair->value, err);
	}
	return r;
}

static int read_letter(const struct json_node *node, const struct oci_field *f, void *member,
		       struct error **err)
{
	const char *text = NULL;
	int r = json_get_string(node, &text, err);

	if (r)
		return r;
	if (!*text && f->absent)
		return 0;
	if (!*text || text[1] || !strchr(f->letters, *text))
		return json_error(node, err, "\"%s\" is not one of the letters %s", text,
				  f->letters);
	*(char *)member = *text;
	return 0;
}

static int find_word(const struct json_node *node, const struct oci_words *words,
		     const struct oci_word **word, struct error **err)
{
	const char *text = NULL;
	int r = json_get_string(node, &text, err);

	if (r)
		return r;
	*word = oci_word_find(words, text);
	return *word ? 0 : json_error(node, err, "unknown %s \"%s\"", words->what, text);
}

static int read_word(const struct json_node *node, const struct oci_field *f, void *member,
		     struct error **err)
{
	const struct oci_word *word = NULL;
	int r = find_word(node, f->words, &word, err);

	if (!r)
		store(member, f->width, word->value);
	return r;
}

static int read_words(const struct json_node *node, const struct oci_field *f, void *member,
		      struct error **err)
{
	struct list list = {0};
	int r = need_strings(node, err);

	if (!r)
		r = list_alloc(member, json_count(node), sizeof(uint32_t), &list, err);
	for (size_t i = 0; !r && i < list.count; i++) {
		struct json_node item = json_item(node, i);
		const struct oci_word *word = NULL;

		r = find_word(&item, f->words, &word, err);
		if (!r)
			((uint32_t *)list.items)[i] = word->value;
	}
	return r;
}

static int read_mask(const struct json_node *node, const struct oci_field *f, void *member,
		     struct error **err)
{
	uint64_t mask = 0;
	int r = need_strings(node, err);

	for (size_t i = 0; !r && i < json_count(node); i++) {
		struct json_node item = json_item(node, i);
		const struct oci_word *word = oci_word_find(f->words, item.value->u.string);

		if (!word && f->lenient) {
			log_warning("ignoring unknown %s \"%s\"", f->words->what,
				    item.value->u.string);
			continue;
		}
		r = find_word(&item, f->words, &word, err);
		if (!r)
			mask |= word->value;
	}
	if (!r)
		store(member, f->width, mask);
	return r;
}

static int read_uints(const struct json_node *node, const struct oci_field *f, void *member,
		      struct error **err)
{
	struct list list = {0};
	int r = json_get_array(node, err);

	if (!r)
		r = list_alloc(member, json_count(node), sizeof(uint32_t), &list, err);
	for (size_t i = 0; !r && i < list.count; i++) {
		struct json_node item = json_item(node, i);
		uint64_t value = 0;

		r = json_get_uint(&item, f->max, &value, err);
		((uint32_t *)list.items)[i] = value;
	}
	return r;
}

static int read_object(const struct json_node *node, const struct oci_field *f, void *member,
		       struct error **err)
{
	return oci_fields_read(node, f->shape, member, err);
}

static int read_pointer(const struct json_node *node, const struct oci_field *f, void *member,
			struct error **err)
{
	void *object = calloc(1, f->shape->size);

	if (!object)
		return no_memory(err);
	memcpy(member, &object, sizeof(object));
	return oci_fields_read(node, f->shape, object, err);
}

static int read_list(const struct json_node *node, const struct oci_field *f, void *member,
		     struct error **err)
{
	bool named = f->kind == FIELD_NAMED;
	struct list list = {0};
	int r = named ? json_get_object(node, err) : json_get_array(node, err);

	if (!r)
		r = list_alloc(member, json_count(node), f->shape->size, &list, err);
	for (size_t i = 0; !r && i < list.count; i++) {
		char *object = (char *)list.items + i * f->shape->size;
		struct json_node item = json_item(node, i);

		if (named) {
			*(char **)object = strdup(item.key);
			if (!*(char **)object)
				return no_memory(err);
		}
		r = oci_fields_read(&item, f->shape, object, err);
	}
	return r;
}

static int (*const readers[])(const struct json_node *, const struct oci_field *, void *,
			      struct error **) = {
	[FIELD_WILDCARD] = read_wildcard, [FIELD_BOOL] = read_bool,
	[FIELD_INT] = read_int,		  [FIELD_UINT] = read_uint,
	[FIELD_STRING] = read_string,	  [FIELD_STRINGS] = read_strings,
	[FIELD_PAIRS] = read_pairs,	  [FIELD_LETTER] = read_letter,
	[FIELD_WORD] = read_word,	  [FIELD_WORDS] = read_words,
	[FIELD_MASK] = read_mask,	  [FIELD_UINTS] = read_uints,
	[FIELD_OBJECT] = read_object,	  [FIELD_POINTER] = read_pointer,
	[FIELD_LIST] = read_list,	  [FIELD_NAMED] = read_list,
};

int oci_fields_read(const struct json_node *object, const struct oci_shape *shape, void *out,
		    struct error **err)
{
	int r = json_get_object(object, err);

	for (const struct oci_field *f = shape->fields; !r && f->name; f++) {
		struct json_node node = json_child(object, f->name);
		char *member = (char *)out + f->offset;

		if (f->kind == FIELD_LETTER)
			*member = f->absent;
		if (!node.value) {
			if (f->required)
				r = json_error(&node, err, "missing");
			continue;
		}
		r = readers[f->kind](&node, f, member, err);
		if (!r && f->has && !(f->kind == FIELD_WILDCARD && *(int64_t *)member < 0))
			*(bool *)((char *)out + f->has - 1) = true;
	}
	return r;
}

static void free_list(const struct oci_field *f, void *member)
{
	struct list list;

	memcpy(&list, member, sizeof(list));
	for (size_t i = 0; i < list.count; i++) {
		if (f->kind == FIELD_STRINGS) {
			free(((char **)list.items)[i]);
		} else if (f->kind == FIELD_PAIRS) {
			free(((struct oci_pair *)list.items)[i].key);
			free(((struct oci_pair *)list.items)[i].value);
		} else if (f->shape) {
			char *object = (char *)list.items + i * f->shape->size;

			if (f->kind == FIELD_NAMED)
				free(*(char **)object);
			oci_fields_free(f->shape, object);
		}
	}
	free(list.items);
	memset(member, 0, sizeof(list));
}

static void free_pointer(const struct oci_field *f, void *member)
{
	void *object;

	memcpy(&object, member, sizeof(object));
	if (f->kind == FIELD_POINTER)
		oci_document_free(f->shape, object);
	else
		free(object);
	memset(member, 0, sizeof(object));
}

void oci_fields_free(const struct oci_shape *shape, void *object)
{
	for (const struct oci_field *f = shape->fields; f->name; f++) {
		void *member = (char *)object + f->offset;

		switch (f->kind) {
		case FIELD_STRING:
		case FIELD_POINTER:
			free_pointer(f, member);
			break;
		case FIELD_STRINGS:
		case FIELD_PAIRS:
		case FIELD_WORDS:
		case FIELD_UINTS:
		case FIELD_LIST:
		case FIELD_NAMED:
			free_list(f, member);
			break;
		case FIELD_OBJECT:
			oci_fields_free(f->shape, member);
			break;
		default:
			break;
		}
	}
}

int oci_document_read(const char *name, const char *json, size_t len, const struct oci_shape *shape,
		      void **out, struct error **err)
{
	__cleanup_json_tree yajl_val tree = NULL;
	struct json_node root;
	void *object;
	int r;

	if (len > OCI_CONFIG_MAX)
		return error_set(err, EFBIG, "%s: larger than %u bytes", name, OCI_CONFIG_MAX);
	r = json_parse(json, len, &tree, err);
	if (r) {
		error_wrap(err, "%s", name);
		return r;
	}
	object = calloc(1, shape->size);
	if (!object)
		return no_memory(err);
	root = json_root(tree);
	r = oci_fields_read(&root, shape, object, err);
	if (r) {
		oci_document_free(shape, object);
		error_wrap(err, "%s", name);
		return r;
	}
	*out = object;
	return 0;
}

void oci_document_free(const struct oci_shape *shape, void *object)
{
	if (object)
		oci_fields_free(shape, object);
	free(object);
}
