#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What prctl(2) has set comes back with a restore; the program checks its own.

load helpers
load payloads
load res

@test "without a checkpoint it passes" {
	let_it_flush
	res_control res_prctl
	# what is out of reach on this machine
	sed -n 's/^without/# &/p' "$T/$ID.log" >&3
}

@test "controls of memory, speculation, time stamps, system calls come back, twice" {
	let_it_flush
	res_twice res_prctl
}

@test "in a user namespace too" {
	RES_PLACE=user
	res_once res_prctl
}

@test "a checkpoint leaves them as they were in a program that goes on" {
	res_goes_on res_prctl
}

@test "as does one that fails" {
	start_payload res_prctl
	FIRN_FAULT=checkpoint-windows-end:EIO fails firn checkpoint --provider user --image-path "$T/image" "$ID"
	has "fault injected"
	passes
}

# It lives on though its window is half made; what is left of that is memory like any other.
@test "a runtime that is killed while a window is made in two steps costs a program nothing" {
	local point
	for point in window-split checkpoint-windows checkpoint-windows-end; do
		echo "# $point"
		start_payload res_prctl plain
		FIRN_FAULT=$point:kill run firn checkpoint --provider user --image-path "$T/image" "$ID"
		equal "$status" 137
		firn state "$ID" >/dev/null
		around
		passes
		again
	done
}
