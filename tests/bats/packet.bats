#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Packet sockets. The program checks its own.

load helpers
load payloads
load res

# start [ARG...]: packet sockets want CAP_NET_RAW.
start() {
	make_bundle "$T/b" res_packet /tmp/go "$@"
	edit_config "$T/b" '.process.capabilities[] += ["CAP_NET_RAW"]'
	add_payload "$T/b" res_packet
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready || fail "$(cat "$T/$ID.log")"
}

@test "packet sockets: without a checkpoint the program passes" {
	start
	passes
}

@test "packet sockets have their devices, options, groups and rings, twice in a row" {
	start
	around
	around
	passes
}

@test "packet sockets of a program that goes on" {
	start
	ok firn checkpoint --leave-running --image-path "$T/image" "$ID"
	passes
}

@test "an image does not bring packet sockets that config.json does not grant" {
	start
	ok firn checkpoint --image-path "$T/image" "$ID"
	edit_config "$T/b" '.process.capabilities[] -= ["CAP_NET_RAW"]'
	run restore_detached "$ID" "$T/b" "$T/image"
	[ "$status" -ne 0 ] || fail "restored"
	has "config.json does not allow it"
}

@test "packets that were not read, and rings in use, are named" {
	start refused
	fails firn checkpoint --check "$ID"
	has "fd 20: packet socket with packets that were not read"
	has "fd 21: packet socket with packets that were not read"
	has "fd 22: packet socket with a ring of TPACKET_V3"
	has "fd 23: packet socket with a ring in use"
	passes
}
