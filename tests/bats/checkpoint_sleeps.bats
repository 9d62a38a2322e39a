#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# System calls that sleep go on after a checkpoint, with the time they had left.

load helpers
load payloads
load ck

# took NAME LEAST MOST: what the payload measured on its own clock.
took() {
	local line ms
	line=$(grep "^$1 " <<<"$output")
	[[ $line != *EINTR* ]] || fail "$1: EINTR"
	ms=${line##* }
	[ "$ms" -ge "$2" ] && [ "$ms" -le "$3" ] || fail "$line: not between $2 and $3 ms"
}

now_ms() {
	local us=${EPOCHREALTIME/[^0-9]/}
	echo $((us / 1000))
}

# slept: EXTRA ms more than 3000 at most; those that start over twice that and the first second.
slept() {
	local name extra=$1 again=$2
	# while it is frozen or restored the container's own clock goes on
	extra=$((extra + ${WORKED:-0}))
	for name in nanosleep clock_relative clock_absolute poll ppoll select futex futex_bitset cond; do
		took "$name" 2995 $((3000 + extra))
	done
	for name in epoll_wait sigtimedwait semtimedop recv; do
		took "$name" 2995 $((3000 + extra + again))
	done
	for name in read poll_forever sigwaitinfo; do
		took "$name" 0 100000
		grep -q "^$name 0 " <<<"$output" || fail "$name: not what it waited for"
	done
	grep -q '^ppoll_forever -1 EINTR' <<<"$output" || fail "a signal did not end ppoll"
}

@test "checkpoint: sleeps go on with the time they had left" {
	ck_start ck_sleeps 3000
	sleep 1 # of the three
	ck_checkpoint
	sleep 2 # does not count
	WORKED=$(now_ms)
	ck_restore
	WORKED=$(($(now_ms) - WORKED))
	ck_result
	slept $((1500 * FIRN_SLOW)) 1500
}

# Then they have ended by the time that they are looked at, and not by the container's own clock.
@test "checkpoint: sleeps that end while it works on them are not short" {
	local saver
	ck_start ck_sleeps 3000
	sleep 1
	IMAGE=$T/image
	FIRN_FAULT=checkpoint-capture:stop "$FIRN" --root "$FIRN_ROOT" checkpoint \
		--image-path "$IMAGE" "$ID" </dev/null >"$T/out" 2>&1 3>&- &
	saver=$!
	# shellcheck disable=SC2317 # by wait_for
	stopped() {
		grep -q '^State:.*T' "/proc/$saver/status"
	}
	wait_for 20 stopped
	sleep 3
	kill -CONT "$saver"
	wait "$saver"
	WORKED=$(now_ms)
	ck_restore
	WORKED=$(($(now_ms) - WORKED))
	ck_result
	slept $((4500 * FIRN_SLOW)) 4500
}

@test "checkpoint: sleeps after two live checkpoints, and one for good" {
	ck_start ck_sleeps 3000
	WORKED=$(now_ms)
	ck_checkpoint --leave-running
	ck_checkpoint --leave-running
	ck_checkpoint
	ck_restore
	WORKED=$(($(now_ms) - WORKED))
	ck_result
	slept $((2000 * FIRN_SLOW)) 3000
}
