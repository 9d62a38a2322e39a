#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Pages that processes have in common with their parents are saved once, and are once again.

load helpers
load payloads
load res

teardown() {
	res_unmount
	teardown_firn
}

@test "copy-on-write: without a checkpoint the program passes" {
	res_control res_cow
}

@test "copy-on-write: saved once, and shared after a restore" {
	start_payload res_cow
	around
	# nine processes have eight MiB in common
	bytes=$(cat "$T/image"/task-*.core | wc -c)
	[ "$bytes" -lt $((20 << 20)) ] || fail "$bytes bytes of pages"
	passes
}

@test "copy-on-write survives two checkpoints in a row, and in a program that goes on" {
	res_twice res_cow
	res_goes_on res_cow
}

@test "copy-on-write in a user namespace" {
	RES_PLACE=user
	res_twice res_cow
}

is_stopped() {
	[ "$(ps -o s= -p "$1")" = T ]
}

# large_below PID: how many of the processes below it have 64 MiB, and how many are there.
large_below() {
	ps -eo pid=,ppid=,rss= | awk -v top="$1" '
		{ parent[$1] = $2; rss[$1] = $3 }
		END {
			for (pid in parent) {
				for (at = pid; at in parent && at != top; at = parent[at]);
				if (at != top || pid == top) continue;
				all++
				large += rss[pid] >= 65536
			}
			print large + 0 " of " all + 0
		}'
}

@test "copy-on-write: who inherits nothing is not born with its parent's memory" {
	start_payload res_cowexec
	ok firn checkpoint --image-path "$T/image" "$ID"
	FIRN_FAULT=restore-layout:stop "$FIRN" --root "$FIRN_ROOT" restore --detach \
		--image-path "$T/image" --bundle "$T/b" "$ID" </dev/null >>"$T/$ID.log" 2>&1 3>&- &
	local runtime=$! large
	wait_for 30 is_stopped "$runtime"
	large=$(large_below "$runtime")
	kill -CONT "$runtime"
	wait "$runtime" || fail "$(cat "$T/$ID.log")"
	# an init, its child, and the heir of that
	[ "$large" = "3 of 5" ] || fail "$large processes are large"
	passes
}
