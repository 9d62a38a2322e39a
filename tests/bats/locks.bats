#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# File locks, leases, and who gets signals for a descriptor; each program checks its own.

load helpers
load payloads
load res

RES_EDIT='.process.capabilities[] += ["CAP_SETUID"]'
PROGRAMS=(res_locks res_leases res_owners)

teardown() {
	[ -z "${HOLDER:-}" ] || kill "$HOLDER" 2>/dev/null || :
	teardown_firn
}

# hold PROGRAM...: flock(1) or the like outside, in the background; HOLDER is its pid.
hold() {
	"$@" >"$T/holder.log" 2>&1 3>&- &
	HOLDER=$!
}

waits_for_lock() {
	grep -qE -- "-> .* $HOLDER " /proc/locks
}

@test "without a checkpoint all programs pass" {
	for name in "${PROGRAMS[@]}"; do
		res_control "$name"
	done
}

@test "locks of processes and of descriptions, and who waits for one" {
	res_once res_locks
}

@test "leases, also those that are being broken" {
	res_once res_leases
}

@test "signals for descriptors: owner, signal, O_ASYNC" {
	res_once res_owners
}

@test "they survive two checkpoints in a row" {
	for name in "${PROGRAMS[@]}"; do
		res_twice "$name"
	done
}

@test "a checkpoint leaves them as they were in a program that goes on" {
	for name in "${PROGRAMS[@]}"; do
		res_goes_on "$name"
	done
}

@test "a lock that somebody outside waits for is refused by name" {
	start_payload res_locks
	hold flock "$T/b/rootfs/tmp/flocked" true
	wait_for 5 waits_for_lock
	fails firn checkpoint --check "$ID"
	has 'fd 21: file lock or lease (FLOCK '
	has "/tmp/flocked\" that process $HOLDER outside waits for"
	kill "$HOLDER"
	wait "$HOLDER" || :
	ok firn checkpoint --check "$ID"
	passes
}

@test "a lease that somebody outside breaks is refused by name" {
	start_payload res_leasetime
	hold cat "$T/b/rootfs/tmp/leased"
	wait_for 5 waits_for_lock
	fails firn checkpoint --check "$ID"
	has "/tmp/leased\" that process $HOLDER outside waits for"
	kill "$HOLDER"
	wait "$HOLDER" || :
	ok firn checkpoint --check "$ID"
	passes
}

@test "a lock that is taken by others since makes a restore fail, and leaves nothing" {
	start_payload res_locks
	save
	hold flock --no-fork "$T/b/rootfs/tmp/flocked" sleep 1000
	wait_for 5 grep -q "FLOCK .* $HOLDER " /proc/locks
	fails firn restore --image-path "$T/image" --bundle "$T/b" --detach "$ID"
	one_line
	has "fd 21: locking \"/tmp/flocked\", which process $HOLDER has locked"
	is_gone "$ID" || fail "something is left"
	kill "$HOLDER"
	wait "$HOLDER" || :
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}
