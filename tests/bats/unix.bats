#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Unix sockets: names, queues, connections, who made them. The program checks its own.

load helpers
load payloads
load res

# start [ARG...]: buffers beyond the limits want CAP_NET_ADMIN.
start() {
	make_bundle "$T/b" res_unix /tmp/go "$@"
	edit_config "$T/b" '.process.capabilities[] += ["CAP_NET_ADMIN", "CAP_SETUID", "CAP_SETGID"]'
	[ -z "${EDIT:-}" ] || edit_config "$T/b" "$EDIT"
	[ -z "${EDIT:-}" ] || {
		chown -R 100000:100000 "$T/b/rootfs"
		chmod a+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* 2>/dev/null || :
	}
	add_payload "$T/b" res_unix
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

@test "names, queues with senders, credentials and descriptors, connections that wait" {
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

@test "in a user namespace" {
	local map='[{containerID: 0, hostID: 100000, size: 65536}]'
	EDIT=".linux.namespaces += [{type: \"user\"}] | .linux.uidMappings = $map | .linux.gidMappings = $map"
	start
	save
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "no name is left in the container's files that was not there" {
	start
	(cd "$T/b/rootfs/tmp" && find . | sort) >"$T/before"
	save
	restore_detached "$ID" "$T/b" "$T/image"
	(cd "$T/b/rootfs/tmp" && find . | sort) >"$T/after"
	diff "$T/before" "$T/after"
	passes
}

@test "what cannot be saved of them is named, and goes on" {
	start refused
	fails firn checkpoint --check "$ID"
	has "fd 20: unix socket with queued urgent data"
	has "fd 21: unix connection waiting to be accepted with data in it"
	has "fd 22: unix socket with queued messages whose sender has ended"
	has 'fd 23: unix socket bound to "/tmp/before" whose file is now "/tmp/after"'
	has "fd 24: unix socket with queued empty messages that were looked at before"
	has "fd 25: in flight in a unix socket's queue: unix socket with queued urgent data"
	passes
}
