#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What was asked for memory comes back with a restore: advice, guards, locks, policies, keys;
# the program checks its own.

load helpers
load payloads
load res

teardown() {
	teardown_firn
	[ -z "${HUGE_BEFORE:-}" ] || echo "$HUGE_BEFORE" >/proc/sys/vm/nr_hugepages
}

# start_payload [NAME]: runs it, or res_advice, until it says that it is ready.
start_payload() {
	local name=${1:-res_advice}
	make_bundle "$T/b" "$name" /tmp/go
	edit_config "$T/b" '.process.capabilities[] += ["CAP_IPC_LOCK"]'
	add_payload "$T/b" "$name"
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready
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

save() {
	ok firn checkpoint --image-path "$T/image" "$@" "$ID"
}

@test "without a checkpoint it passes" {
	start_payload
	passes
}

@test "advice, guard pages, locks, NUMA policies, protection keys, huge pages" {
	start_payload
	save
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "they survive two checkpoints in a row" {
	start_payload
	save
	restore_detached "$ID" "$T/b" "$T/image"
	save
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "a checkpoint leaves them as they were in a program that goes on" {
	start_payload
	save --leave-running
	passes
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
	start_payload res_hugetlb
	passes
	rm -rf "$T/b"
	start_payload res_hugetlb
	save
	restore_detached "$ID" "$T/b" "$T/image"
	save
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}
