#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Processes in job-control stops: which signal has stopped them, whether their parents have heard
# of it, and SIGSTOPs that are pending.

load helpers
load payloads
load res

# child_named NAME: prints its pid, the host's.
child_named() {
	local init
	init=$(container_pid "$ID")
	pgrep -P "$init" -x "$1"
}

# shellcheck disable=SC2317 # by wait_for
is_in_stop() {
	grep -q '^State:.T' "/proc/$1/status"
}

@test "stops: without a checkpoint the program passes" {
	res_control res_stops
}

@test "stopped processes stay stopped, by the signal that they were, twice in a row" {
	res_twice res_stops
	RES_PLACE=user res_once res_stops
}

# Where it goes on, the SIGSTOPs that were pending in stopped processes are gone: nobody can tell
# but by /proc, and they could come behind a SIGCONT.
@test "who is stopped and goes on after the checkpoint is still stopped" {
	local again
	start_payload res_stops
	again=$(child_named again)
	ok firn checkpoint --leave-running --image-path "$T/image" "$ID"
	wait_for 10 is_in_stop "$again"
	is_in_stop "$(child_named typed)"
	is_in_stop "$(child_named threads)"
	if is_in_stop "$(child_named told)"; then
		fail "it was not stopped before"
	fi
}

@test "a SIGSTOP for who was frozen has its effect" {
	local told
	start_payload res_stops 19
	told=$(child_named told)
	ok firn pause "$ID"
	kill -STOP "$told"
	ok firn checkpoint --image-path "$T/image" "$ID"
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "a SIGSTOP for who was frozen, and goes on" {
	local told
	start_payload res_stops 19
	told=$(child_named told)
	ok firn pause "$ID"
	kill -STOP "$told"
	ok firn checkpoint --leave-running --image-path "$T/image" "$ID"
	ok firn resume "$ID"
	wait_for 10 is_in_stop "$told"
}

@test "an init that somebody outside has stopped" {
	start_payload res_stops
	kill -STOP "$(container_pid "$ID")"
	around
	wait_for 10 is_in_stop "$(container_pid "$ID")"
	kill -CONT "$(container_pid "$ID")"
	passes
}
