#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Memory files: open, sealed, mapped, executed.

load helpers
load payloads
load res

teardown() {
	[ -z "${HUGE_BEFORE:-}" ] || echo "$HUGE_BEFORE" >"$HUGE_POOL"
	teardown_firn
}

need_huge_pages() {
	HUGE_POOL=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
	# the pool belongs to everybody else on the host
	need_vm
	[ -e "$HUGE_POOL" ] || skip "wants hugetlbfs with pages of 2 MiB"
	HUGE_BEFORE=$(cat "$HUGE_POOL")
	echo 8 >"$HUGE_POOL"
	[ "$(cat "$HUGE_POOL")" -ge 4 ] || skip "wants four free huge pages"
}

@test "memory files: without a checkpoint all programs pass" {
	res_control res_memfd
	res_control res_memexec
}

@test "memory files keep name, seals, contents, mode, and who shares them" {
	res_once res_memfd
}

@test "a program that was executed from a memory file" {
	res_once res_memexec
}

@test "memory files survive two checkpoints in a row" {
	res_twice res_memfd
	res_twice res_memexec
}

@test "memory files are as they were in a program that goes on" {
	res_goes_on res_memfd
}

@test "memory files of huge pages" {
	need_huge_pages
	res_control res_memfd huge
	res_twice res_memfd huge
	res_goes_on res_memfd huge
}
