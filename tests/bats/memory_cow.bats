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
