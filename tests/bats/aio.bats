#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Contexts of asynchronous I/O (io_setup), with events that were not read.

load helpers
load payloads
load res

setup() {
	need_root
	setup_firn
	RES_SAVE=(--allow aio)
}

@test "aio: without a checkpoint the program passes" {
	res_control res_aio
}

@test "AIO contexts have their events, and take requests, twice in a row" {
	res_twice res_aio
	RES_PLACE=user res_once res_aio
}

@test "AIO contexts of a program that goes on" {
	res_goes_on res_aio
}

@test "a child that has its parent's AIO rings mapped is named" {
	start_payload res_aio fork
	fails firn checkpoint --check --allow aio "$ID"
	[ "$(grep -c 'the AIO ring of process 1' <<<"$output")" -eq 3 ] || fail "not three rings"
	passes
}

# A request that waits for a pipe: no ring shows that it is there.
@test "an AIO context is refused, unless its requests in flight may be lost" {
	start_payload res_aio poll
	fails firn checkpoint --check "$ID"
	[ "$(grep -c 'an AIO context, which may have requests in flight' <<<"$output")" -eq 3 ] ||
		fail "not three contexts"
	fails firn checkpoint --image-path "$T/image" "$ID"
	one_line
	has "--allow aio"
	ok firn checkpoint --leave-running --allow aio --image-path "$T/image" "$ID"
	ok firn image show "$T/image"
	grep -q 'waived *aio$' <<<"$output" || fail "$output"
	timeout 10 bash -c 'echo >"$1"' - "$T/b/rootfs/tmp/fifo"
	passes
}

# shellcheck disable=SC2016 # $0 and $@ are the inner shell's
@test "on a machine with more CPUs a small AIO ring is refused" {
	local possible=/sys/devices/system/cpu/possible
	start_payload res_aio
	ok firn checkpoint --allow aio --image-path "$T/image" "$ID"
	echo 0-4095 >"$T/possible"
	if unshare --mount sh -c 'mount --bind "$0" '"$possible"' && exec "$@"' "$T/possible" \
		"$FIRN" --root "$FIRN_ROOT" restore --detach --bundle "$T/b" \
		--image-path "$T/image" "$ID" </dev/null >"$T/out" 2>&1 3>&-; then
		fail "it was restored"
	fi
	grep -q "events has at least 32770 on this machine, which has more CPUs" "$T/out" ||
		fail "$(cat "$T/out")"
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "files that have the name of an AIO ring" {
	RES_SAVE=()
	res_once res_aio file
}

# What it would have filled may have been read before, and what tells of it behind.
@test "a request that ends during the checkpoint" {
	local pid
	start_payload res_aio poll
	FIRN_FAULT=checkpoint-pages:stop "$FIRN" --root "$FIRN_ROOT" checkpoint \
		--allow aio --image-path "$T/image" "$ID" </dev/null >"$T/out" 2>&1 3>&- &
	pid=$!
	# shellcheck disable=SC2317 # by wait_for
	is_stopped() {
		grep -q '^State:.T' "/proc/$pid/status"
	}
	wait_for 10 is_stopped
	timeout 10 bash -c 'echo >"$1"' - "$T/b/rootfs/tmp/fifo"
	sleep 0.2
	kill -CONT "$pid"
	if wait "$pid"; then
		fail "it was not given up"
	fi
	grep -q 'AIO requests of process 1 ended meanwhile' "$T/out" || fail "$(cat "$T/out")"
	equal "$(container_status "$ID")" running
	passes
}
