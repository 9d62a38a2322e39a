// SPDX-License-Identifier: GPL-2.0-only
/*
 * What prctl(2) has set, as kernels answer that have all of it: few CPUs do. And what of a
 * thread's extended state nobody could set again.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/prctl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "checkpoint/resource/thread.h"
#include "util/error.h"

#define GET_MDWE       66
#define SET_MDWE       65
#define GET_XCOMP_PERM 0x1022
#define REQ_XCOMP_PERM 0x1023
#define L1D_FLUSH      2
#define TILES	       18

struct answer {
	uint32_t option;
	uint64_t argument; /* of PR_GET_SPECULATION_CTRL */
	long ret;
	uint64_t stored; /* where the argument points */
};

/* Asks and answers; an option that is in no answer is unknown to the kernel. */
static int dump(enum ckpt_type type, const struct answer *answers, struct buf *records)
{
	struct remote remote = {.window = calloc(1, REMOTE_WINDOW), .address = 0x10000000};
	struct questions q = {.remote = &remote};
	struct answers a = {0};
	struct dump_task t = {0};
	struct error *err = NULL;
	int ret;

	assert_non_null(remote.window);
	prctl_ask(&q, type);
	assert_true(q.count > 0);
	a.calls = remote_calls(&remote);
	a.data = remote_data(&remote);
	a.address = remote_data_address(&remote);
	for (unsigned i = 0; i < q.count; i++) {
		a.calls[i].ret = -EINVAL;
		for (const struct answer *given = answers; given->option; given++) {
			if (a.calls[i].args[0] != given->option ||
			    (given->option == PR_GET_SPECULATION_CTRL &&
			     a.calls[i].args[1] != given->argument))
				continue;
			assert_int_equal(a.calls[i].nr,
					 given->option >= 0x1000 ? SYS_arch_prctl : SYS_prctl);
			a.calls[i].ret = given->ret;
			if (given->stored)
				memcpy(a.data + (a.calls[i].args[1] - a.address), &given->stored,
				       sizeof(given->stored));
		}
	}
	ret = prctl_dump(&t, NULL, type, &a, a.calls, &err);
	assert_true(!ret == !err);
	error_free(err);
	*records = t.records;
	free(remote.window);
	return ret;
}

static void expect(enum ckpt_type type, const struct answer *answers,
		   const struct ckpt_prctl *wanted, size_t count)
{
	const struct restore_request request = {0};
	struct error *err = NULL;
	struct buf records;
	struct record rec;
	size_t pos = 0;

	assert_int_equal(dump(type, answers, &records), 0);
	if (!count) {
		assert_int_equal(records.len, 0);
		return;
	}
	assert_int_equal(record_next(records.data, records.len, &pos, &rec), 1);
	assert_int_equal(rec.type, type);
	assert_int_equal(rec.len, count * sizeof(*wanted));
	assert_memory_equal(rec.data, wanted, rec.len);
	/* what is written is what is taken */
	assert_int_equal(prctl_validate(&request, &rec, &err), 0);
	buf_free(&records);
}

static void test_all(void **state)
{
	static const struct answer process[] = {
		{GET_MDWE, 0, 3, 0},
		{GET_XCOMP_PERM, 0, 0, 0x2e7 | 1ull << TILES},
		{0},
	};
	static const struct ckpt_prctl process_calls[] = {
		{.option = SET_MDWE, .args = {3}},
		{.option = REQ_XCOMP_PERM, .args = {TILES}},
	};
	static const struct answer thread[] = {
		{PR_GET_TSC, 0, 0, PR_TSC_SIGSEGV},
		{PR_MCE_KILL_GET, 0, PR_MCE_KILL_LATE, 0},
		{PR_GET_IO_FLUSHER, 0, 1, 0},
		{ARCH_GET_CPUID, 0, 0, 0},
		{PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS,
		 PR_SPEC_PRCTL | PR_SPEC_FORCE_DISABLE, 0},
		{PR_GET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, PR_SPEC_PRCTL | PR_SPEC_DISABLE,
		 0},
		{PR_GET_SPECULATION_CTRL, L1D_FLUSH, PR_SPEC_PRCTL | PR_SPEC_ENABLE, 0},
		{0},
	};
	static const struct ckpt_prctl thread_calls[] = {
		{.option = PR_SET_TSC, .args = {PR_TSC_SIGSEGV}},
		{.option = PR_MCE_KILL, .args = {PR_MCE_KILL_SET, PR_MCE_KILL_LATE}},
		{.option = PR_SET_IO_FLUSHER, .args = {1}},
		{.option = ARCH_SET_CPUID, .args = {0}},
		{.option = PR_SET_SPECULATION_CTRL,
		 .args = {PR_SPEC_STORE_BYPASS, PR_SPEC_FORCE_DISABLE}},
		{.option = PR_SET_SPECULATION_CTRL,
		 .args = {PR_SPEC_INDIRECT_BRANCH, PR_SPEC_DISABLE}},
		{.option = PR_SET_SPECULATION_CTRL, .args = {L1D_FLUSH, PR_SPEC_ENABLE}},
	};

	expect(CKPT_PRCTLS, process, process_calls, 2);
	expect(CKPT_THREAD_PRCTLS, thread, thread_calls, 7);
}

/* Of who has set nothing, on a machine where all can be set and on one where nothing can. */
static void test_nothing(void **state)
{
	static const struct answer unknown[] = {{0}};
	static const struct answer process[] = {
		{GET_MDWE, 0, 0, 0}, {GET_XCOMP_PERM, 0, 0, 0x2e7}, {0}};
	static const struct answer thread[] = {
		{PR_GET_TSC, 0, 0, PR_TSC_ENABLE},
		{PR_MCE_KILL_GET, 0, PR_MCE_KILL_DEFAULT, 0},
		{PR_GET_IO_FLUSHER, 0, -EPERM, 0},
		{ARCH_GET_CPUID, 0, 1, 0},
		{PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, PR_SPEC_PRCTL | PR_SPEC_ENABLE, 0},
		/* mitigated for all: not a choice of the program's */
		{PR_GET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, PR_SPEC_DISABLE, 0},
		{PR_GET_SPECULATION_CTRL, L1D_FLUSH, PR_SPEC_FORCE_DISABLE, 0},
		{0},
	};

	expect(CKPT_PRCTLS, unknown, NULL, 0);
	expect(CKPT_PRCTLS, process, NULL, 0);
	expect(CKPT_THREAD_PRCTLS, unknown, NULL, 0);
	expect(CKPT_THREAD_PRCTLS, thread, NULL, 0);
}

/* A restore would refuse it: so the checkpoint does. */
static void test_new_values(void **state)
{
	static const struct answer denied[] = {{GET_MDWE, 0, 5, 0}, {0}};
	struct buf records;

	assert_int_equal(dump(CKPT_PRCTLS, denied, &records), -EOPNOTSUPP);
	assert_int_equal(records.len, 0);
}

static void test_tiles(void **state)
{
	uint64_t area[100] = {0};
	struct dump_thread th = {.xstate = area, .xstate_len = sizeof(area)};
	struct checkpoint c = {0};
	struct error *err = NULL;

	area[512 / 8] = 7;
	assert_int_equal(thread_note_xstate(&c, &th, &err), 0);
	assert_int_equal(c.xstate_features, 7);
	assert_int_equal(c.xstate_size, sizeof(area));
	area[512 / 8] |= 1ull << TILES;
	assert_int_equal(thread_note_xstate(&c, &th, &err), -EBUSY);
	error_free(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_new_values),
		cmocka_unit_test(test_tiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
