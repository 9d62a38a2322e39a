#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Pseudo-terminals that were made inside of a container, their sessions and jobs.

load helpers
load payloads

setup() {
	need_root
	setup_firn
}

teardown() {
	teardown_firn
}

says() {
	grep -qx "$1" "$T/$ID.log"
}

ended() {
	says PASS || grep -q ^FAIL "$T/$ID.log" || [ "$(container_status "$ID")" = stopped ]
}

start_payload() {
	local name=$1
	make_bundle "$T/b" "$name" /tmp/go
	add_payload "$T/b" "$name"
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready
}

passes() {
	touch "$T/b/rootfs/tmp/go"
	wait_for 20 ended
	says PASS || {
		cat "$T/$ID.log"
		fail "the program found something amiss"
	}
}

# around [OPTION...]: a checkpoint and a restore.
around() {
	rm -rf "$T/image"
	ok firn checkpoint --image-path "$T/image" "$@" "$ID"
	restore_detached "$ID" "$T/b" "$T/image"
}

@test "without a checkpoint all programs pass" {
	for name in res_pty res_session; do
		start_payload $name
		passes
		rm -rf "$T/b"
	done
}

@test "pseudo-terminals keep modes, sizes, numbers and what is queued" {
	start_payload res_pty
	around
	passes
}

@test "sessions keep their terminals and jobs, in the foreground, stopped, ended" {
	start_payload res_session
	around
	passes
}

@test "they survive two checkpoints in a row" {
	for name in res_pty res_session; do
		start_payload $name
		around
		around
		passes
		rm -rf "$T/b"
	done
}

@test "they are as they were in a program that goes on" {
	for name in res_pty res_session; do
		start_payload $name
		ok firn checkpoint --leave-running --image-path "$T/image" "$ID"
		passes
		rm -rf "$T/b" "$T/image"
	done
}
