#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# UDP with its queue, multicast groups, devices, filters, raw and ICMP sockets, netlink. The
# program checks its own.

load helpers
load payloads
load res

# start [ARG...]: raw sockets want CAP_NET_RAW.
start() {
	make_bundle "$T/b" res_datagrams /tmp/go "$@"
	edit_config "$T/b" '.process.capabilities[] += ["CAP_NET_ADMIN", "CAP_NET_RAW"]'
	add_payload "$T/b" res_datagrams
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready
}

save() {
	rm -rf "$T/image"
	ok firn checkpoint --image-path "$T/image" "$@" "$ID"
}

@test "without a checkpoint the program passes" {
	start
	passes
}

@test "datagrams in queues, groups, devices, filters, raw sockets, netlink" {
	start
	save
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "twice in a row" {
	start
	save
	restore_detached "$ID" "$T/b" "$T/image"
	save
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "a checkpoint leaves them as they were in a program that goes on" {
	start
	save --leave-running
	passes
}

@test "an image does not bring raw sockets that config.json does not grant" {
	start
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
	start refused
	fails firn checkpoint --check "$ID"
	has "fd 20: netlink socket with queued messages"
	has "fd 21: netlink socket of netfilter"
	has "fd 22: UDP socket"
	has "with an error that was not read"
	has "fd 23: UDP socket 0.0.0.0:8031 with unread datagrams that were sent to many"
	has "fd 24: packet socket with packets that were not read"
	passes
}
