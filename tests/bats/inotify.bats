#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Watches come back with a restore, on several file systems; the program checks its own.

load helpers
load payloads
load res

setup() {
	need_root
	setup_firn
	B=$T/b
}

teardown() {
	teardown_firn >"$T.log" 2>&1
	# what is mounted below T has kept it from being removed
	[ -z "${MOUNTED:-}" ] || umount -l "${MOUNTED[@]}"
	rm -rf "$T" "$T.log"
}

# start_payload ARG...: runs res_inotify (or PROGRAM) in bundle B until it says that it is ready.
start_payload() {
	make_bundle "$B" "${PROGRAM:=res_inotify}" /tmp/go "$@"
	add_payload "$B" "$PROGRAM"
	[ "$1" != admin ] || edit_config "$B" '.process.capabilities[] += ["CAP_SYS_ADMIN"]'
	[ -z "${OVERLAY:-}" ] || overlay
	new_id
	run_detached "$ID" "$B"
	wait_for 10 says ready
}

# passes: lets it go on, and it finds everything in order.
passes() {
	touch "$B/rootfs/tmp/go"
	wait_for 20 ended
	says PASS || {
		cat "$T/$ID.log"
		fail "the program found something amiss"
	}
}

save() {
	ok firn checkpoint --image-path "$T/image" "$@" "$ID"
}

# in_memory: B is on a tmpfs.
in_memory() {
	mkdir "$T/memory"
	mount -t tmpfs tmpfs "$T/memory"
	MOUNTED=("$T/memory")
	B=$T/memory/b
}

# overlay: the root file system becomes the lower layer of an overlay.
overlay() {
	mkdir "$B/upper" "$B/work"
	mount -t overlay -o "lowerdir=$B/rootfs,upperdir=$B/upper,workdir=$B/work" overlay "$B/rootfs"
	MOUNTED=("$B/rootfs" "${MOUNTED[@]}")
}

@test "without a checkpoint it passes" {
	start_payload quiet
	passes
	rm -rf "$B"
	start_payload all
	passes
}

@test "watches, their numbers and masks" {
	start_payload quiet
	save
	restore_detached "$ID" "$B" "$T/image"
	passes
}

@test "watches that see directories being read, of what handles lead to" {
	in_memory
	start_payload all
	save
	restore_detached "$ID" "$B" "$T/image"
	passes
}

@test "watches on overlayfs, twice in a row" {
	in_memory
	OVERLAY=1 start_payload quiet
	save
	restore_detached "$ID" "$B" "$T/image"
	save
	restore_detached "$ID" "$B" "$T/image"
	passes
}

@test "a checkpoint leaves them as they were in a program that goes on" {
	in_memory
	start_payload all
	save --leave-running
	passes
}

@test "watches of what has no name, or cannot be found quietly, are refused by name" {
	in_memory
	start_payload deleted
	fails firn checkpoint --check "$ID"
	has "fd 21: inotify watch 3 of inode"
	lacks "inotify watch 2"
	fails firn checkpoint --image-path "$T/image" "$ID"
	passes
	rm -rf "$B"
	OVERLAY=1 start_payload all
	fails firn checkpoint --check "$ID"
	has "fd 20: inotify watch 1 of inode"
	passes
}

@test "fanotify without a checkpoint" {
	PROGRAM=res_fanotify
	for who in user admin; do
		start_payload "$who"
		passes
		rm -rf "$B"
	done
}

@test "fanotify marks, of users and of administrators, twice in a row" {
	PROGRAM=res_fanotify
	for who in user admin; do
		start_payload "$who"
		save
		restore_detached "$ID" "$B" "$T/image"
		save
		restore_detached "$ID" "$B" "$T/image"
		passes
		rm -rf "$B" "$T/image"
	done
}

@test "fanotify: an image that asks for more than config.json gives is refused" {
	PROGRAM=res_fanotify
	start_payload admin
	save
	edit_config "$B" '.process.capabilities[] -= ["CAP_SYS_ADMIN"]'
	fails firn restore --image-path "$T/image" --bundle "$B" --detach "$ID"
	one_line
	has "config.json does not allow it"
	is_gone "$ID" || fail "something is left"
}

@test "fanotify events that were not read are refused by name, and stay" {
	PROGRAM=res_fanotify
	start_payload unread
	fails firn checkpoint --check "$ID"
	has "fd 20: fanotify descriptor with events that were not read"
	passes
}
