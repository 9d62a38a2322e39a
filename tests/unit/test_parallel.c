// SPDX-License-Identifier: GPL-2.0-only
/* Items that all threads share. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/error.h"
#include "util/parallel.h"

#define ITEMS 1000

static int count(void *ctx, size_t item, struct error **err)
{
	atomic_uint *seen = ctx;

	atomic_fetch_add(&seen[item], 1);
	return 0;
}

static void test_each_once(void **state)
{
	static atomic_uint seen[ITEMS];
	struct error *err = NULL;

	assert_int_equal(parallel_each(ITEMS, count, seen, &err), 0);
	assert_null(err);
	for (unsigned i = 0; i < ITEMS; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(parallel_each(0, count, seen, &err), 0);
}

static int fail_from_tenth(void *ctx, size_t item, struct error **err)
{
	atomic_fetch_add((atomic_uint *)ctx, 1);
	return item < 10 ? 0 : error_set(err, ENXIO, "item %zu", item);
}

/* The first failure is the result; nothing is begun behind it. */
static void test_failure(void **state)
{
	atomic_uint called = 0;
	struct error *err = NULL;

	assert_int_equal(parallel_each(ITEMS, fail_from_tenth, &called, &err), -ENXIO);
	assert_non_null(err);
	assert_int_equal(memcmp(error_message(err), "item ", 5), 0);
	assert_in_range(called, 11, 10 + parallel_cpus());
	error_free(err);
	assert_int_equal(parallel_each(ITEMS, fail_from_tenth, &called, NULL), -ENXIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_once),
		cmocka_unit_test(test_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
