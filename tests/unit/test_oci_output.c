// SPDX-License-Identifier: GPL-2.0-only
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oci/config.h"
#include "oci/features.h"
#include "oci/spec.h"
#include "oci/state.h"
#include "oci/words.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/json.h"
#include "util/json_write.h"

static struct json_node parse(const char *text, yajl_val *tree)
{
	__cleanup_error struct error *err = NULL;

	assert_non_null(text);
	if (json_parse(text, strlen(text), tree, &err))
		fail_msg("%s", error_message(err));
	return json_root(*tree);
}

/* How often an array of strings, found by its path, holds a string. */
static int holds(const struct json_node *root, const char *path[], const char *string)
{
	struct json_node nodes[4] = {*root};
	int n = 0, found = 0;

	for (; path[n]; n++) {
		nodes[n + 1] = json_child(&nodes[n], path[n]);
		assert_non_null(nodes[n + 1].value);
	}
	for (size_t i = 0; i < json_count(&nodes[n]); i++) {
		struct json_node item = json_item(&nodes[n], i);
		const char *text = NULL;

		assert_int_equal(json_get_string(&item, &text, NULL), 0);
		found += strcmp(text, string) == 0;
	}
	return found;
}

#define PATH(...) ((const char *[]){__VA_ARGS__, NULL})

static struct oci_config *spec(bool rootless)
{
	__cleanup_free char *text = oci_spec_default(rootless, 1000, 1001);
	__cleanup_error struct error *err = NULL;
	struct oci_config *config = NULL;

	assert_non_null(text);
	if (oci_config_parse(text, strlen(text), &config, &err) ||
	    oci_config_validate(config, &err))
		fail_msg("%s", error_message(err));
	return config;
}

static void test_spec(void **state)
{
	__cleanup_oci_config struct oci_config *config = spec(false);
	const struct oci_process *p = config->process;

	assert_string_equal(config->oci_version, OCI_VERSION);
	assert_true(config->root->readonly && p->terminal && p->no_new_privileges);
	assert_string_equal(config->root->path, "rootfs");
	assert_string_equal(p->args.items[0], "sh");
	assert_true(p->capabilities.bounding == (1ULL << 29 | 1ULL << 5 | 1ULL << 10));
	assert_true(p->capabilities.permitted == p->capabilities.bounding);
	assert_true(p->rlimits.items[0].hard == 1024);
	assert_int_equal(config->mounts.count, 7);
	assert_string_equal(config->mounts.items[6].destination, "/sys/fs/cgroup");
	assert_int_equal(config->lx.namespaces.count, 6);
	assert_non_null(oci_config_namespace(config, CLONE_NEWNET));
	assert_non_null(oci_config_namespace(config, CLONE_NEWCGROUP));
	assert_null(oci_config_namespace(config, CLONE_NEWUSER));
	assert_false(config->lx.resources.devices.items[0].allow);
	assert_int_equal(config->lx.masked_paths.count, 10);
	assert_int_equal(config->lx.readonly_paths.count, 5);
}

static void test_spec_rootless(void **state)
{
	__cleanup_oci_config struct oci_config *config = spec(true);

	assert_non_null(oci_config_namespace(config, CLONE_NEWUSER));
	assert_null(oci_config_namespace(config, CLONE_NEWNET));
	assert_int_equal(config->lx.uid_mappings.items[0].host_id, 1000);
	assert_int_equal(config->lx.gid_mappings.items[0].host_id, 1001);
	assert_int_equal(config->lx.resources.devices.count, 0);
	assert_int_equal(config->mounts.count, 7);
	vec_for_each (m, &config->mounts)
		for (size_t i = 0; i < m->options.count; i++)
			assert_string_not_equal(m->options.items[i], "gid=5");
	assert_string_equal(config->mounts.items[5].source, "/sys");
}

static void test_state(void **state)
{
	struct oci_pair pairs[] = {{"k", "old"}, {"a\"b", "\n"}, {"k", "new"}};
	struct oci_pairs annotations = {pairs, 3, 3};
	const struct oci_state s = {
		.id = "c1",
		.status = "running",
		.pid = 42,
		.bundle = "/b",
		.annotations = &annotations,
		.rootfs = "/b/r",
		.owner = "",
		.firn = "CKPTING",
	};
	__cleanup_free char *text = oci_state_json(&s);

	assert_string_equal(text, "{\n"
				  "  \"ociVersion\": \"1.3.0\",\n"
				  "  \"id\": \"c1\",\n"
				  "  \"pid\": 42,\n"
				  "  \"status\": \"running\",\n"
				  "  \"bundle\": \"/b\",\n"
				  "  \"rootfs\": \"/b/r\",\n"
				  "  \"annotations\": {\n"
				  "    \"a\\\"b\": \"\\n\",\n"
				  "    \"k\": \"new\"\n"
				  "  },\n"
				  "  \"owner\": \"\",\n"
				  "  \"firn\": \"CKPTING\"\n"
				  "}\n");
}

/* What hooks get: nothing besides what the specification names. */
static void test_state_plain(void **state)
{
	const struct oci_state s = {
		.oci_version = "1.0.2-dev",
		.id = "c1",
		.status = "stopped",
		.bundle = "/b",
	};
	__cleanup_free char *text = oci_state_json(&s);

	assert_string_equal(text, "{\n"
				  "  \"ociVersion\": \"1.0.2-dev\",\n"
				  "  \"id\": \"c1\",\n"
				  "  \"pid\": 0,\n"
				  "  \"status\": \"stopped\",\n"
				  "  \"bundle\": \"/b\"\n"
				  "}\n");
}

static void test_features(void **state)
{
	static const char *const options[] = {"bind", "ro", NULL};
	const struct oci_features f = {.version = "9.8", .mount_options = options};
	__cleanup_free char *text = oci_features_json(&f);
	__cleanup_json_tree yajl_val tree = NULL;
	struct json_node root = parse(text, &tree);
	struct json_node annotations = json_child(&root, "annotations");
	struct json_node version = json_child(&annotations, "org.firn.version");
	const char *value = NULL;

	assert_int_equal(holds(&root, PATH("hooks"), "startContainer"), 1);
	assert_int_equal(holds(&root, PATH("mountOptions"), "ro"), 1);
	assert_int_equal(holds(&root, PATH("linux", "namespaces"), "time"), 1);
	assert_int_equal(holds(&root, PATH("linux", "capabilities"), "CAP_CHOWN"), 1);
	assert_int_equal(holds(&root, PATH("linux", "seccomp", "actions"), "SCMP_ACT_NOTIFY"), 1);
	assert_int_equal(holds(&root, PATH("linux", "seccomp", "operators"), "SCMP_CMP_LE"), 1);
	assert_int_equal(holds(&root, PATH("linux", "seccomp", "archs"), "SCMP_ARCH_X86_64"), 1);
	assert_int_equal(holds(&root, PATH("linux", "memoryPolicy", "modes"), "MPOL_BIND"), 1);
	assert_int_equal(json_get_string(&version, &value, NULL), 0);
	assert_string_equal(value, "9.8");
}

/* Each bit of the capabilities has one name, in order and without gaps. */
static void test_capability_words(void **state)
{
	uint64_t bit = 1;

	for (const struct oci_word *w = oci_capability_words.words; w->name; w++, bit <<= 1)
		assert_true(w->value == bit);
	assert_true(bit == 1ULL << 41);
}

static void test_writer(void **state)
{
	__cleanup_json struct json *j = json_new(false);
	__cleanup_free char *text = NULL, *open = NULL;

	json_array_begin(j);
	open = json_text(j);
	assert_null(open);
	json_string(j, "caf\xc3\xa9 \xf0\x9f\x98\x80");
	/* stray, overlong, surrogate, cut short */
	json_string(j, "\x80|\xc0\xaf|\xed\xa0\x80|\xe2\x82");
	json_string(j, "");
	json_string(j, NULL);
	json_int(j, INT64_MIN);
	json_uint(j, UINT64_MAX);
	json_bool(j, false);
	json_array_end(j);
	text = json_text(j);
	assert_string_equal(text, "[\"caf\xc3\xa9 \xf0\x9f\x98\x80\",\"\xef\xbf\xbd|"
				  "\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|"
				  "\xef\xbf\xbd\xef\xbf\xbd\",\"\",null,-9223372036854775808,"
				  "18446744073709551615,false]");
}

static void test_writer_failure_sticks(void **state)
{
	__cleanup_json struct json *j = json_new(false);

	json_object_begin(j);
	json_int(j, 1); /* no key */
	json_object_end(j);
	assert_null(json_text(j));
	json_object_begin(NULL);
	json_add_string(NULL, "a", "b");
	assert_null(json_text(NULL));
}

static void test_pointer(void **state)
{
	__cleanup_json_tree yajl_val tree = NULL;
	struct json_node root = parse("{\"a/b\": [0, {\"~\": null}]}", &tree);
	struct json_node array = json_child(&root, "a/b");
	struct json_node object = json_item(&array, 1);
	struct json_node leaf = json_child(&object, "~");
	__cleanup_free char *pointer = json_pointer(&leaf), *empty = json_pointer(&root);

	assert_string_equal(pointer, "/a~1b/1/~0");
	assert_string_equal(empty, "");
	assert_null(leaf.value);
	assert_int_equal(json_count(&array), 2);
	assert_null(json_item(&array, 2).value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spec),	 cmocka_unit_test(test_spec_rootless),
		cmocka_unit_test(test_state),	 cmocka_unit_test(test_state_plain),
		cmocka_unit_test(test_features), cmocka_unit_test(test_capability_words),
		cmocka_unit_test(test_writer),	 cmocka_unit_test(test_writer_failure_sticks),
		cmocka_unit_test(test_pointer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
