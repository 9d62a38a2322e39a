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

# fails_at POINT ARG...: a checkpoint that comes to nothing there. When that was is for the log.
fails_at() {
	local point=$1
	shift
	echo "# $point at $(($(now_ms) - STARTED)) ms"
	run env FIRN_FAULT="$point" "$FIRN" --root "$FIRN_ROOT" checkpoint --image-path "$T/none" "$@" \
		"$ID" </dev/null 3>&-
	[ "$status" -ne 0 ] || fail "succeeded"
	[ ! -e "$T/none" ] || fail "an image is left"
}

# However far it got: nobody sees that there was one.
@test "checkpoint: sleeps go on after checkpoints that fail" {
	local phase end STARTED
	ck_start ck_sleeps 3000
	STARTED=$(now_ms)
	for phase in freeze survey admit image kernel seize capture windows pages release cores commit; do
		for end in "" -end; do
			[ $phase$end = commit-end ] || fails_at "checkpoint-$phase$end:EIO"
		done
	done
	fails_at checkpoint-seal:EIO
	fails_at write-ckpting:EIO
	ok firn checkpoint --check "$ID"
	# the four start over, and for ppoll and select time stands still in a freeze
	WORKED=$(($(now_ms) - STARTED))
	ck_result
	slept $((500 * FIRN_SLOW)) 0
}

# SIGTERM, while it waits for stops; and a blocker, which is a process that is in nobody's way.
@test "checkpoint: sleeps go on after one that was cancelled or refused" {
	local saver STARTED
	ck_start ck_sleeps 3000
	STARTED=$(now_ms)
	"$FIRN" --root "$FIRN_ROOT" exec --detach "$ID" sleep 1000 </dev/null >"$T/exec.log" 2>&1 3>&-
	fails_at none --image-path "$T/none"
	fails_at checkpoint-capture-end:EIO --allow exec --leave-running
	FIRN_FAULT=checkpoint-capture:stop "$FIRN" --root "$FIRN_ROOT" checkpoint --allow exec \
		--image-path "$T/none" "$ID" </dev/null >"$T/out" 2>&1 3>&- &
	saver=$!
	# shellcheck disable=SC2317 # by wait_for
	stopped() {
		grep -q '^State:.*T' "/proc/$saver/status"
	}
	wait_for 20 stopped
	kill "$saver"
	kill -CONT "$saver"
	! wait "$saver" || fail "was not cancelled"
	WORKED=$(($(now_ms) - STARTED))
	ck_result
	slept $((500 * FIRN_SLOW)) 0
}

# Whom a checkpoint leaves behind sleeps on as well. That is not the init, which others look at.
@test "checkpoint: sleeps of who entered by exec" {
	local STARTED
	make_bundle "$T/b" sleep 1000
	add_payload "$T/b" ck_sleeps
	B=$T/b
	new_id
	run_detached "$ID" "$T/b"
	STARTED=$(now_ms)
	"$FIRN" --root "$FIRN_ROOT" exec --detach "$ID" ck_sleeps 3000 </dev/null >"$T/log" 2>&1 3>&-
	wait_for 20 exists "$T/b/rootfs/tmp/ready"
	ok firn checkpoint --allow exec --leave-running --image-path "$T/image" "$ID"
	fails_at checkpoint-admit:EIO
	fails_at checkpoint-capture:EIO --allow exec
	WORKED=$(($(now_ms) - STARTED))
	ck_result
	slept $((500 * FIRN_SLOW)) 0
}

# The pause may have ended calls; the checkpoint that fails ends none besides.
@test "checkpoint: one that fails adds nothing to what a pause does" {
	local STARTED
	ck_start ck_sleeps 3000
	[[ $(freezer_file "$ID") == */freezer.state ]] || skip "cgroup v2: the pause ends all four"
	STARTED=$(now_ms)
	ok firn pause "$ID"
	fails_at checkpoint-seize-end:EIO
	fails_at checkpoint-capture:EIO
	equal "$(container_status "$ID")" paused
	ok firn resume "$ID"
	WORKED=$(($(now_ms) - STARTED))
	ck_result
	for name in sigtimedwait recv; do
		took "$name" 2995 $((3000 + 500 * FIRN_SLOW + WORKED))
	done
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
