#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Unix sockets: names, queues, connections, who made them. The program checks its own.

load helpers
load payloads
load res

# buffers beyond the limits want CAP_NET_ADMIN
RES_EDIT='.process.capabilities[] += ["CAP_NET_ADMIN", "CAP_SETUID", "CAP_SETGID"]'

@test "without a checkpoint the program passes" {
	res_control res_unix
}

@test "names, queues with senders, credentials and descriptors, connections that wait" {
	res_once res_unix
}

@test "twice in a row" {
	res_twice res_unix
}

@test "a checkpoint leaves them as they were in a program that goes on" {
	res_goes_on res_unix
}

@test "in a user namespace" {
	RES_PLACE=user
	res_once res_unix
}

@test "no name is left in the container's files that was not there" {
	start_payload res_unix
	(cd "$T/b/rootfs/tmp" && find . | sort) >"$T/before"
	save
	restore_detached "$ID" "$T/b" "$T/image"
	(cd "$T/b/rootfs/tmp" && find . | sort) >"$T/after"
	diff "$T/before" "$T/after"
	passes
}

@test "what cannot be saved of them is named, and goes on" {
	start_payload res_unix refused
	fails firn checkpoint --check "$ID"
	has "fd 20: unix socket with queued urgent data"
	has "fd 21: unix connection waiting to be accepted with data in it"
	has "fd 22: unix socket with queued messages whose sender has ended"
	has 'fd 23: unix socket bound to "/tmp/before" whose file is now "/tmp/after"'
	has "fd 24: unix socket with queued empty messages that were looked at before"
	has "fd 25: in flight in a unix socket's queue: unix socket with queued urgent data"
	passes
}
