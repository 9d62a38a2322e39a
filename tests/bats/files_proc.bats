#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Descriptors of namespaces, and of what /proc has shown of processes that are gone.

load helpers
load payloads
load res

teardown() {
	res_unmount
	teardown_firn
}

# with_pids: the program may choose the pids of its children.
with_pids() {
	RES_CAPS='["CAP_CHECKPOINT_RESTORE"]'
}

@test "namespaces and processes that are gone: without a checkpoint the program passes" {
	with_pids
	res_control res_proc again
}

@test "namespaces and processes that are gone, twice in a row, one's pid in use again" {
	with_pids
	res_twice res_proc again
	res_goes_on res_proc again
}

@test "the same in a user namespace" {
	RES_PLACE=user
	res_twice res_proc
}

@test "a working directory of a process that is gone and whose pid is in use again is named" {
	with_pids
	start_payload res_proc refused
	fails firn checkpoint --check "$ID"
	has "is gone, whose pid is in use again"
	lacks "which is not to be found by that path"
	fails firn checkpoint --image-path "$T/image" "$ID"
	passes
}

# start_reader FILE: a container with the host's or, if it is $OWN, one more proc of its own at
# /other, of which its init has FILE open.
start_reader() {
	make_bundle "$T/b" /bin/sh -c 'exec 5<"$0" && echo ready && exec sleep 1000' "$1"
	cp "$T/b/config.json" "$T/plain.json"
	[ -n "${OWN:-}" ] || add_mount "$T/b" /proc /other
	[ -z "${OWN:-}" ] || edit_config "$T/b" \
		'.mounts += [{destination: "/other", type: "proc", source: "proc"}]'
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready || fail "$(cat "$T/$ID.log")"
}

# refuses_foreign FILE: as it is something of the host's
refuses_foreign() {
	fails firn checkpoint --check "$ID"
	has "\"$1\", of a proc of another pid namespace"
	fails firn checkpoint --image-path "$T/image" "$ID"
	equal "$(container_status "$ID")" running
}

@test "files of the host's proc are named, of a process that is gone as well" {
	local pid
	start_reader /other/uptime
	refuses_foreign /other/uptime
	ok firn delete --force "$ID"
	again
	sleep 1000 3>&- &
	pid=$!
	start_reader "/other/$pid/status"
	refuses_foreign "/other/$pid/status"
	kill "$pid"
	wait "$pid" || :
	fails firn checkpoint --check "$ID"
	has "\"/other/$pid/status\", which is not to be found by that path in the container"
}

@test "a restore opens nothing of the host's proc" {
	OWN=1
	start_reader /other/1/status
	around
	ok firn checkpoint --image-path "$T/image2" "$ID"
	cp "$T/plain.json" "$T/b/config.json"
	add_mount "$T/b" /proc /other
	run restore_detached "$ID" "$T/b" "$T/image2"
	[ "$status" -ne 0 ] || fail "restored"
	has "\"/other/1/status\" is of a proc of another pid namespace"
}
