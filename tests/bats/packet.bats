#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Packet sockets. The program checks its own.

load helpers
load payloads
load res

# packet sockets want CAP_NET_RAW
RES_EDIT='.process.capabilities[] += ["CAP_NET_RAW"]'

@test "packet sockets: without a checkpoint the program passes" {
	res_control res_packet
}

@test "packet sockets have their devices, options, groups and rings, twice in a row" {
	res_twice res_packet
}

@test "packet sockets of a program that goes on" {
	res_goes_on res_packet
}

@test "an image does not bring packet sockets that config.json does not grant" {
	start_payload res_packet
	ok firn checkpoint --image-path "$T/image" "$ID"
	edit_config "$T/b" '.process.capabilities[] -= ["CAP_NET_RAW"]'
	run restore_detached "$ID" "$T/b" "$T/image"
	[ "$status" -ne 0 ] || fail "restored"
	has "config.json does not allow it"
}

@test "packets that were not read, and rings in use, are named" {
	start_payload res_packet refused
	fails firn checkpoint --check "$ID"
	has "fd 20: packet socket with packets that were not read"
	has "fd 21: packet socket with packets that were not read"
	has "fd 22: packet socket with a ring of TPACKET_V3"
	has "fd 23: packet socket with a ring in use"
	passes
}
