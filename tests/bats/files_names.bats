#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# FIFOs, packets in pipes, removed directories, files that have lost a name.

load helpers
load payloads
load res

@test "FIFOs and removed directories: without a checkpoint all programs pass" {
	res_control res_fifo
	res_control res_deleted
}

@test "FIFOs between processes, and packets in pipes" {
	res_once res_fifo
}

@test "removed directories, a device, a symbolic link, and files under another name" {
	RES_CAPS='["CAP_MKNOD"]'
	start_payload res_deleted device
	around
	# nothing of it is seen outside
	run find "$T/b/rootfs/tmp" -name '.firn*' -o -name b
	equal "$output" ""
	passes
}

@test "FIFOs and removed directories survive two checkpoints in a row" {
	res_twice res_fifo
	res_twice res_deleted
}

@test "FIFOs and removed directories are as they were in a program that goes on" {
	res_goes_on res_fifo
	res_goes_on res_deleted
}

@test "what is put in the place of a removed FIFO while that is made again is left alone" {
	local runtime before
	start_payload res_fifo
	ok firn checkpoint --image-path "$T/image" "$ID"
	touch "$T/outside"
	chmod 600 "$T/outside"
	before=$(stat -c '%a %u %g' "$T/outside")
	FIRN_FAULT=deleted-made:stop "$FIRN" --root "$FIRN_ROOT" restore --detach \
		--image-path "$T/image" --bundle "$T/b" "$ID" </dev/null >"$T/restore.log" 2>&1 3>&- &
	runtime=$!
	# shellcheck disable=SC2317 # by wait_for
	is_made() {
		[ -p "$T/b/rootfs/tmp/nameless" ] && grep -q '^State:.T' "/proc/$runtime/status"
	}
	wait_for 10 is_made || fail "$(cat "$T/restore.log")"
	ln -sf "$T/outside" "$T/b/rootfs/tmp/nameless"
	kill -CONT "$runtime"
	! wait "$runtime" || fail "restored"
	equal "$(stat -c '%a %u %g' "$T/outside")" "$before"
	grep -q 'the deleted "nameless" was replaced while it was made' "$T/restore.log" ||
		fail "$(cat "$T/restore.log")"
}
