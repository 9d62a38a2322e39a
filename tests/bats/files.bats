#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Files, pipes and sockets come back with a restore; each program checks its own.

load helpers
load payloads
load res

RES_EDIT='.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 1024, hard: 4000}]'

@test "without a checkpoint all programs pass" {
	for name in res_files res_shared res_sockets; do
		res_control $name
	done
}

@test "files, deleted files, directories, devices, pipes, FIFOs" {
	res_once res_files
}

@test "processes that share pipes and offsets, and 1500 descriptors" {
	res_once res_shared
}

@test "unix sockets with messages in them, listeners, TCP, UDP" {
	res_once res_sockets
}

@test "they survive two checkpoints in a row" {
	for name in res_files res_shared res_sockets; do
		res_twice $name
	done
}

@test "a checkpoint leaves them as they were in a program that goes on" {
	for name in res_files res_shared res_sockets; do
		res_goes_on $name
	done
}

@test "an established TCP connection is refused, or comes back reset if allowed" {
	start_payload res_sockets tcp
	fails firn checkpoint --image-path "$T/image" "$ID"
	has "established TCP connection 127.0.0.1:7777"
	has "--tcp reset"
	save --allow tcp
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "a deleted file's contents leave no name behind" {
	start_payload res_files
	save
	restore_detached "$ID" "$T/b" "$T/image"
	run find "$T/b/rootfs/tmp" -name '.firn*' -o -name '#*'
	equal "$output" ""
	passes
}

@test "what cannot be saved is listed by process and descriptor, and goes on" {
	start_payload res_refused
	fails firn checkpoint --check "$ID"
	has "fd 20: inotify descriptor with events that were not read"
	lacks "fd 21"
	has "fd 22: a pidfd of a thread"
	has "fd 23: signals for changes in directory \"/tmp\" (dnotify)"
	lacks "fd 24"
	lacks "fd 25"
	has "fd 26: netlink socket of netfilter"
	has "fd 27: a uts namespace that is not the container's"
	has "fd 28: pipe:["
	has "fd 29: anon_inode:[eventfd], opened by O_PATH (close it"
	has "fd 30: socket:["
	has "fd 31: "
	has "fd 32: a file with a path of more than 4096 bytes"
	grep -q "^process 1: a file with a path of more than 4096 bytes" <<<"$output"
	[ ! -e "/proc/$(container_pid "$ID")/fd/33" ] || {
		has "fd 33: secret memory (memfd_secret) (let"
		lacks secretmem
	}
	fails firn checkpoint --image-path "$T/image" "$ID"
	[ ! -e "$T/image/manifest.json" ] || fail "there is an image"
	passes
}

@test "descriptors beyond the caller's hard limit" {
	need_cap SYS_RESOURCE
	RES_EDIT='.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 400, hard: 400}]' \
		start_payload res_many descriptors 300
	save
	(ulimit -n 200 && restore_detached "$ID" "$T/b" "$T/image")
	passes
}

@test "a descriptor's number that no restore would take is refused" {
	[ -n "${FIRN_VM:-}" ] || skip "fs.nr_open is the host's"
	echo $((1 << 21)) >/proc/sys/fs/nr_open
	make_bundle "$T/b" sh -c 'exec 1048576</tmp; echo ready; exec sleep 1000'
	edit_config "$T/b" '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 2000000, hard: 2000000}]'
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready
	fails firn checkpoint --check "$ID"
	has "process 1, fd 1048576: a descriptor number above 1048575 (use a lower number)"
}
