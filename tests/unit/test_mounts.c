// SPDX-License-Identifier: GPL-2.0-only
/* What mountinfo shows of a tmpfs, then and now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "checkpoint/resource/mounts.h"

static bool differ(const char *a, const char *b)
{
	bool r = tmpfs_options_differ(a, b);

	assert_int_equal(tmpfs_options_differ(b, a), r);
	return r;
}

/* More or less memory shows or hides what nobody has set. */
static void test_memory_of_the_machine(void **state)
{
	assert_false(differ("rw,mode=755", "rw,mode=755"));
	assert_false(differ("rw,mode=755", "rw,size=8169244k,nr_inodes=2042311,mode=755"));
	assert_false(differ("rw,size=65536k", "rw,size=65536k,nr_inodes=2042311"));
	assert_false(differ("rw,size=65536k,inode64", "rw,size=65536k,nr_inodes=7,inode64"));
}

static void test_remounted(void **state)
{
	assert_true(differ("rw,size=8192k", "rw,size=4096k"));
	assert_true(differ("rw,size=8192k,mode=755", "rw,size=81920k,mode=755"));
	assert_true(differ("rw,size=819k", "rw,size=8192k,nr_inodes=5"));
	assert_true(differ("rw,nr_inodes=10", "rw,nr_inodes=100"));
	assert_true(differ("rw", "ro"));
	assert_true(differ("rw,mode=755", "rw,mode=75"));
	assert_true(differ("rw", "rw,huge=always"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_of_the_machine),
		cmocka_unit_test(test_remounted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
