#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What a restore opens for a container is what the container itself would get, and no more.

load helpers
load payloads
load res

teardown() {
	[ -z "${SEGMENT:-}" ] || ipcrm -m "$SEGMENT"
	[ -z "${LISTENER:-}" ] || kill "$LISTENER"
	teardown_firn
}

# start_reader FILE: a container that has it open, and shows it when it may go on.
start_reader() {
	make_bundle "$T/b" /bin/sh -c 'exec 5<"$0" && echo ready || exit 1
		while [ ! -e /tmp/go ]; do sleep 0.1; done
		cat <&5
		echo PASS' "$1"
	[ -z "${RES_EDIT:-}" ] || edit_config "$T/b" "$RES_EDIT"
	[ "${RES_PLACE:-}" != user ] || enter_user_namespace
	[ -z "${SECRET:-}" ] || install -m 600 -o 100000 /dev/stdin "$T/b/rootfs$1" <<<"$SECRET"
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready || fail "$(cat "$T/$ID.log")"
}

# another_file OLD NEW: the image names a file by another path of the same length.
another_file() {
	local sum
	[ ${#1} -eq ${#2} ] && grep -qF "$1" "$T/image/container.rec"
	sed -i "s:$1:$2:" "$T/image/container.rec"
	sum=$("$(payload reseal)" -s "$T/image/container.rec")
	edit_manifest "(.files[] | select(.name == \"container.rec\")).checksum = \"$sum\""
}

edit_manifest() {
	jq --indent 4 "$1" "$T/image/manifest.json" >"$T/manifest.json"
	cp "$T/manifest.json" "$T/image/manifest.json"
	"$(payload reseal)" "$T/image/manifest.json"
}

# is_refused TEXT: the restore is, with TEXT.
is_refused() {
	fails restore_detached "$ID" "$T/b" "$T/image"
	has "$1"
	is_gone "$ID" || fail "a container is left"
}

@test "a list of shared memory is that of the container's own IPC namespace" {
	need_command ipcmk
	SEGMENT=$(ipcmk -M 4096 | grep -o '[0-9]*$')
	start_reader /proc/sysvipc/shm
	around
	passes
	grep -q shmid "$T/$ID.log"
	output=$(cat "$T/$ID.log")
	lacks " $SEGMENT "
}

@test "a sysctl is that of the container's own namespaces" {
	RES_EDIT='.linux.sysctl = {"kernel.msgmax": "4321"}'
	start_reader /proc/sys/kernel/msgmax
	around
	passes
	grep -qx 4321 "$T/$ID.log"
}

@test "an image gets no file that its opener wants a capability for that config.json does not give" {
	start_reader /proc/stat
	ok firn checkpoint --image-path "$T/image" "$ID"
	another_file /proc/stat /proc/kmsg
	is_refused "opening \"/proc/kmsg\" as the container: Operation not permitted"
}

@test "what root of a user namespace may not open a restore does not open for it" {
	RES_PLACE=user
	SECRET=secret
	start_reader /tmp/secret
	ok firn checkpoint --image-path "$T/image" "$ID"
	chown 0:0 "$T/b/rootfs/tmp/secret"
	is_refused "opening \"/tmp/secret\" as the container: Permission denied"
	chown 100000 "$T/b/rootfs/tmp/secret"
	restore_detached "$ID" "$T/b" "$T/image"
	passes
	says secret
}

# host_listens: in the place of the container's socket.
host_listens() {
	"$(payload listener)" "$T/d/s" 0 >/dev/null 3>&- &
	LISTENER=$!
	wait_for 10 test -S "$T/d/s"
}

@test "a socket in the way is only removed if the container may do that" {
	local inode
	make_bundle "$T/b" listener /d/s 0
	add_payload "$T/b" listener
	RES_PLACE=user
	enter_user_namespace
	mkdir -m 777 "$T/d"
	add_mount "$T/b" "$T/d" /d
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 test -S "$T/d/s"
	ok firn checkpoint --image-path "$T/image" "$ID"
	rm "$T/d/s"
	chmod 755 "$T/d"
	host_listens
	inode=$(stat -c %i "$T/d/s")
	is_refused "\"/d/s\": binding a unix socket"
	equal "$(stat -c %i "$T/d/s")" "$inode" "the socket's inode"
	chown 100000 "$T/d"
	restore_detached "$ID" "$T/b" "$T/image"
	[ "$(stat -c %i "$T/d/s")" != "$inode" ]
}

@test "what root of a user namespace may not read a restore does not watch for it" {
	RES_PLACE=user
	start_payload res_inotify quiet
	ok firn checkpoint --image-path "$T/image" "$ID"
	chown 0:0 "$T/b/rootfs/tmp/dir"
	is_refused "opening \"/tmp/dir\" as the container: Permission denied"
	chown 100000 "$T/b/rootfs/tmp/dir"
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}
