#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What was asked for memory comes back with a restore: advice, guards, locks, policies, keys;
# the program checks its own.

load helpers
load payloads
load res

RES_EDIT='.process.capabilities[] += ["CAP_IPC_LOCK"]'

teardown() {
	teardown_firn
	[ -z "${HUGE_BEFORE:-}" ] || echo "$HUGE_BEFORE" >/proc/sys/vm/nr_hugepages
}

# passes: lets it go on, and it finds everything in order. What the kernel lacks is shown.
passes() {
	touch "$T/b/rootfs/tmp/go"
	wait_for 20 ended
	says PASS || {
		cat "$T/$ID.log"
		fail "the program found something amiss"
	}
	sed -n 's/^no /# without /p' "$T/$ID.log" | sort -u >&3
}

@test "without a checkpoint it passes" {
	res_control res_advice
}

@test "advice, guard pages, locks, NUMA policies, protection keys, huge pages" {
	res_once res_advice
}

@test "they survive two checkpoints in a row" {
	res_twice res_advice
}

@test "a checkpoint leaves them as they were in a program that goes on" {
	res_goes_on res_advice
}

# need_huge_pages N: so many of 2 MiB, free.
need_huge_pages() {
	[ -e /proc/sys/vm/nr_hugepages ] || skip "wants hugetlbfs"
	HUGE_BEFORE=$(cat /proc/sys/vm/nr_hugepages)
	echo $((HUGE_BEFORE + $1)) >/proc/sys/vm/nr_hugepages 2>/dev/null || :
	[ "$(awk '/^HugePages_Free:/ { print $2 }' /proc/meminfo)" -ge "$1" ] ||
		skip "wants $1 huge pages that can be had"
}

@test "private memory of huge pages, twice in a row" {
	need_huge_pages 8
	res_control res_hugetlb
	res_twice res_hugetlb
}
