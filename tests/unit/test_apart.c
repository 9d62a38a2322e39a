// SPDX-License-Identifier: GPL-2.0-only
/* Work in a helper that a signal to the caller ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "util/apart.h"
#include "util/buf.h"
#include "util/error.h"

static volatile int cancelled;

static void cancel(int number)
{
	cancelled = number;
}

static int never_end(void *ctx, struct buf *result, struct error **err)
{
	while (pause() < 0)
		;
	return 0;
}

static int say(void *ctx, struct buf *result, struct error **err)
{
	return buf_add(result, ctx, 4) ? 0 : -ENOMEM;
}

static void test_ends(void **state)
{
	struct buf result = {0};

	cancelled = 0;
	assert_int_equal(apart_run_until(say, "text", &result, &cancelled, NULL), 0);
	assert_int_equal(result.len, 4);
	buf_free(&result);
}

static void test_cancelled(void **state)
{
	struct sigaction action = {.sa_handler = cancel};
	struct buf result = {0};
	struct error *err = NULL;

	cancelled = 0;
	sigaction(SIGALRM, &action, NULL);
	ualarm(20000, 0);
	assert_int_equal(apart_run_until(never_end, NULL, &result, &cancelled, &err), -ECANCELED);
	assert_int_equal(error_code(err), ECANCELED);
	error_free(err);
	/* before it has begun */
	assert_int_equal(apart_run_until(never_end, NULL, &result, &cancelled, NULL), -ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
