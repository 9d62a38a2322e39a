// SPDX-License-Identifier: GPL-2.0-only
/* What is believed of /sys/kernel/checkpoint. The calls themselves are not made here. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/kernel/kernel.h"
#include "util/error.h"
#include "util/io.h"

static char dir[64];

static void put(const char *name, const char *text)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, text, strlen(text)), 0);
	close(fd);
}

static int setup(void **state)
{
	strcpy(dir, "/tmp/test_kernel.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	put("abi", "1\n");
	put("checkpoint", "548\n");
	put("restart", "549\n");
	put("classes", "0 memory 1\n1 threads 1\n");
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"abi", "checkpoint", "restart", "classes"};
	char path[96];

	for (unsigned i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

static void refused(int code, const char *word)
{
	struct error *err = NULL;
	struct kernel k;

	assert_int_equal(kernel_read(dir, &k, &err), -code);
	assert_non_null(strstr(error_message(err), word));
	error_free(err);
}

static void test_numbers_and_classes(void **state)
{
	struct kernel k;

	assert_int_equal(kernel_read(dir, &k, NULL), 0);
	assert_int_equal(k.checkpoint_nr, 548);
	assert_int_equal(k.restart_nr, 549);
	assert_int_equal(k.classes, KERNEL_CLASS(MEMORY) | KERNEL_CLASS(THREADS));
}

/* Records that a newer kernel writes in another way are the user provider's. */
static void test_unknown_classes_are_left_alone(void **state)
{
	struct kernel k;

	put("classes", "0 memory 2\n1 threads 1\n63 futures 1\n700 more 1\nnonsense\n\n");
	assert_int_equal(kernel_read(dir, &k, NULL), 0);
	assert_int_equal(k.classes, KERNEL_CLASS(THREADS));
}

static void test_another_abi(void **state)
{
	put("abi", "2\n");
	refused(EPROTO, "ABI 2");
}

static void test_no_number(void **state)
{
	put("checkpoint", "\n");
	refused(EPROTO, "/checkpoint: no number");
	put("checkpoint", "0\n");
	refused(EPROTO, "/checkpoint: no number");
	put("checkpoint", "9999999999\n");
	refused(EPROTO, "/checkpoint: no number");
}

static void test_stock_kernel(void **state)
{
	struct error *err = NULL;
	struct kernel k = {.classes = 1};

	assert_int_equal(kernel_read("/nonexistent", &k, &err), -ENOENT);
	assert_non_null(strstr(error_message(err), "/nonexistent"));
	assert_int_equal(k.classes, 0);
	error_free(err);
}

/* A class that the kernel is to save must have a name for errors. */
static void test_classes_of_the_table(void **state)
{
	for (unsigned i = 0; resource_classes[i]; i++)
		for (unsigned id = 0; id < 64; id++)
			if (resource_classes[i]->kernel >> id & 1)
				assert_non_null(kernel_class_name(id));
	assert_null(kernel_class_name(63));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_numbers_and_classes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_classes_are_left_alone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_another_abi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_number, setup, teardown),
		cmocka_unit_test(test_stock_kernel),
		cmocka_unit_test(test_classes_of_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
