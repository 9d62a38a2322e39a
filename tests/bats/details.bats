#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Small state that is easily lost: holes of deleted files, flags of pipes, memory files that
# can be executed, membarrier registrations, droppable memory; rare state of sockets.

load helpers
load payloads
load res

@test "details: without a checkpoint the program passes" {
	res_control res_details
	res_control res_netdetails
}

@test "details are as they were after a restore" {
	res_once res_details
	res_once res_netdetails
}

@test "a deleted file's holes take no room in the image" {
	start_payload res_details
	ok firn checkpoint --image-path "$T/image" "$ID"
	for ghost in "$T"/image/ghost-*; do
		[ "$(stat -c %s "$ghost")" -le 65536 ] || fail "$(ls -l "$ghost")"
	done
}

@test "details survive two checkpoints in a row" {
	res_twice res_details
	res_twice res_netdetails
}
