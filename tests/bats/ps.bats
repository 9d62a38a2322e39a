#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# ps: the processes of a container and no others.

load helpers
load payloads

setup() {
	need_root
	setup_firn
	make_bundle "$T/b" sh -c 'sleep 1234 & touch /tmp/ready; wait'
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 exists "$T/b/rootfs/tmp/ready"
	both() { [ "$(pids_in "$ID" | wc -l)" -eq 2 ]; }
	wait_for 5 both
}

@test "table" {
	ok firn ps "$ID"
	equal "${#lines[@]}" 3
	[[ ${lines[0]} =~ ^UID\ +PID\ +PPID\ +C\ +STIME\ +TTY\ +TIME\ +CMD$ ]] || fail "header"
	has "sleep 1234"
	has "$(container_pid "$ID")"
}

@test "JSON" {
	ok firn ps --format json "$ID"
	equal "$(jq -r length <<<"$output")" 2
	equal "$(jq -r '.[0]' <<<"$output")" "$(container_pid "$ID")"
}

@test "columns of the user's choice" {
	need_command ps
	ok firn ps "$ID" -o pid,args
	equal "${#lines[@]}" 3
	has "sleep 1234"
	fails firn ps "$ID" -o args
	has "no column PID"
}

@test "of a frozen one, a stopped one, a missing one" {
	ok firn pause "$ID"
	ok firn ps "$ID"
	has "sleep 1234"
	ok firn kill "$ID" KILL
	wait_for 5 has_status "$ID" stopped
	ok firn ps "$ID"
	equal "${#lines[@]}" 1
	has PID
	equal "$(firn ps --format json "$ID")" "[]"
	fails firn ps nobody
	has "does not exist"
}

@test "a ps that prints much, and no column PID" {
	mkdir "$T/bin"
	printf '#!/bin/sh\nyes COMMAND | head -c 1000000\n' >"$T/bin/ps"
	chmod 755 "$T/bin/ps"
	fails timeout 60 env PATH="$T/bin:$PATH" "$FIRN" --root "$FIRN_ROOT" ps "$ID" -o args
	has "no column PID"
}
