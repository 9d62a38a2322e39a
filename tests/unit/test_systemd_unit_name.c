// SPDX-License-Identifier: GPL-2.0-only
/* linux.cgroupsPath to unit, slice and cgroup: what callers write, and what nobody should. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcontainer/systemd_unit_name.h"
#include "util/cleanup.h"
#include "util/error.h"

static const struct {
	const char *given, *id;
	bool user;
	const char *unit, *slice, *path;
} good[] = {
	{NULL, "c1", false, "firn-c1.scope", "system.slice", "/system.slice/firn-c1.scope"},
	{"", "c1", true, "firn-c1.scope", "user.slice", "/user.slice/firn-c1.scope"},
	{NULL, "a+b", false, "firn-a\\x2bb.scope", "system.slice",
	 "/system.slice/firn-a\\x2bb.scope"},
	{"machine.slice:libpod:0af", "c1", false, "libpod-0af.scope", "machine.slice",
	 "/machine.slice/libpod-0af.scope"},
	{"kubepods-burstable-pod1.slice:cri-containerd:0af", "c1", false,
	 "cri-containerd-0af.scope", "kubepods-burstable-pod1.slice",
	 "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/"
	 "cri-containerd-0af.scope"},
	{"::x", "c1", false, "x.scope", "system.slice", "/system.slice/x.scope"},
	{"::", "c1", true, "c1.scope", "user.slice", "/user.slice/c1.scope"},
	{":p:", "c1", false, "p-c1.scope", "system.slice", "/system.slice/p-c1.scope"},
	{"-.slice:p:x", "c1", false, "p-x.scope", "-.slice", "/p-x.scope"},
	{"system.slice:p:a-b.slice", "c1", false, "a-b.slice", "a.slice", "/a.slice/a-b.slice"},
	{"::a.slice", "c1", false, "a.slice", "-.slice", "/a.slice"},
};

static void test_good(void **state)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		__cleanup_error struct error *err = NULL;
		struct unit_name name;

		if (unit_name_parse(good[i].given, good[i].id, good[i].user, &name, &err) < 0)
			fail_msg("%s", error_message(err));
		assert_string_equal(name.unit, good[i].unit);
		assert_string_equal(name.slice, good[i].slice);
		assert_string_equal(name.path, good[i].path);
		unit_name_free(&name);
	}
}

static const struct {
	const char *given, *says;
} bad[] = {
	{"/a/path", "must be SLICE:PREFIX:NAME"},
	{"a.slice", "must be SLICE:PREFIX:NAME"},
	{"a.slice:b", "must be SLICE:PREFIX:NAME"},
	{"a.slice:b:c:d", "must be SLICE:PREFIX:NAME"},
	{"a:b:c", "\"a\" is not the name of a slice"},
	{".slice:b:c", "\".slice\" is not"},
	{"--.slice:b:c", "\"--.slice\" is not"},
	{"-a.slice:b:c", "\"-a.slice\" is not"},
	{"a-.slice:b:c", "\"a-.slice\" is not"},
	{"a--b.slice:b:c", "\"a--b.slice\" is not"},
	{"a/b.slice:b:c", "\"a/b.slice\" is not"},
	{"../a.slice:b:c", "\"../a.slice\" is not"},
	{"a.slice:b/c:d", "\"b/c\" cannot be"},
	{"a.slice:b:../d", "\"../d\" cannot be"},
	{"a.slice:b:c\nd", "cannot be"},
	{"a.slice:b:c@d", "cannot be"},
	{"a.slice:b:-.slice", "\"-.slice\" is not"},
	{"a.slice:b:x--y.slice", "\"x--y.slice\" is not"},
};

static void refused(const char *given, const char *says)
{
	__cleanup_error struct error *err = NULL;
	struct unit_name name;

	if (unit_name_parse(given, "c1", false, &name, &err) != -EINVAL)
		fail_msg("accepted \"%s\" as \"%s\"", given, name.unit);
	if (!strstr(error_message(err), "config.json: /linux/cgroupsPath \"") ||
	    !strstr(error_message(err), says))
		fail_msg("\"%s\": %s", given, error_message(err));
	unit_name_free(&name);
}

static void test_bad(void **state)
{
	char text[700];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refused(bad[i].given, bad[i].says);
	snprintf(text, sizeof(text), "a.slice:b:%0248d", 1);
	refused(text, "255 characters at most");
	for (int i = 0; i < 120; i++)
		memcpy(text + 2 * i, "a-", 2);
	strcpy(text + 240, "a.slice:b:c");
	refused(text, "too many slices in each other");
	snprintf(text, sizeof(text), "%0249d.slice:b:c", 1);
	{
		__cleanup_error struct error *err = NULL;
		struct unit_name name;

		/* the longest that there may be */
		assert_int_equal(unit_name_parse(text, "c1", false, &name, &err), 0);
		unit_name_free(&name);
	}
	snprintf(text, sizeof(text), "%0250d.slice:b:c", 1);
	refused(text, "255 characters at most");
}

/* The longest id, all of it to be escaped, is too long for a unit: an error and no cut. */
static void test_long_id(void **state)
{
	__cleanup_error struct error *err = NULL;
	struct unit_name name;
	char id[241];

	memset(id, 'a', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	assert_int_equal(unit_name_parse(NULL, id, false, &name, &err), 0);
	assert_true(strstr(name.unit, id) != NULL);
	unit_name_free(&name);
	memset(id, '+', sizeof(id) - 1);
	assert_int_equal(unit_name_parse(NULL, id, false, &name, &err), -EINVAL);
	unit_name_free(&name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_long_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
