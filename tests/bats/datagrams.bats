#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# UDP with its queue, multicast groups, devices, filters, raw and ICMP sockets, netlink. The
# program checks its own.

load helpers
load payloads
load res

# raw sockets want CAP_NET_RAW
RES_EDIT='.process.capabilities[] += ["CAP_NET_ADMIN", "CAP_NET_RAW"]'

@test "without a checkpoint the program passes" {
	res_control res_datagrams
}

@test "datagrams in queues, groups, devices, filters, raw sockets, netlink" {
	res_once res_datagrams
}

@test "twice in a row" {
	res_twice res_datagrams
}

@test "a checkpoint leaves them as they were in a program that goes on" {
	res_goes_on res_datagrams
}

@test "an image does not bring raw sockets that config.json does not grant" {
	start_payload res_datagrams
	save
	cp "$T/b/config.json" "$T/config.json"
	edit_config "$T/b" '.process.capabilities[] -= ["CAP_NET_RAW"]'
	run restore_detached "$ID" "$T/b" "$T/image"
	[ "$status" -ne 0 ] || fail "restored"
	has "a socket that is raw"
	has "config.json does not allow it"
	cp "$T/config.json" "$T/b/config.json"
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "what cannot be saved of them is named, and goes on" {
	start_payload res_datagrams refused
	fails firn checkpoint --check "$ID"
	has "fd 20: netlink socket with queued messages"
	has "fd 21: netlink socket of netfilter"
	has "fd 22: UDP socket"
	has "with an error that was not read"
	has "fd 23: UDP socket 0.0.0.0:8031 with unread datagrams that were sent to many"
	has "fd 24: packet socket with packets that were not read"
	passes
}
