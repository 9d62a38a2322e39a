#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What container engines ask of CRIU beside their runtime: see runtime/criu.h.

load helpers
load payloads

setup() {
	need_root
	setup_firn
	new_id
	ln -s "$FIRN" "$T/criu"
}

# asks HEX...: what `criu swrk` answers to requests in hex, each answer a line, and "status N".
asks() {
	need_command python3
	python3 - "$T/criu" "$@" <<-'END'
		import socket, subprocess, sys
		here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		fd = there.fileno()
		child = subprocess.Popen([sys.argv[1], "swrk", str(fd)], pass_fds=[fd])
		there.close()
		for request in sys.argv[2:]:
		    here.send(bytes.fromhex(request))
		    print(here.recv(4096).hex())
		here.close()
		print("status", child.wait())
	END
}

# stat_of FILE MESSAGE FIELD: a number of a statistics file, whose only message has that number.
stat_of() {
	python3 - "$@" <<-'END'
		import struct, sys
		data = open(sys.argv[1], "rb").read()
		magic, kind, size = struct.unpack("<III", data[:12])
		assert (magic, kind) == (0x55105940, 0x57093306), "magic"
		data = data[12:]
		assert len(data) == size and data[0] == int(sys.argv[2]) << 3 | 2 and data[1] == size - 2
		at, fields = 2, {}
		while at < size:
		    tag, value, shift = data[at], 0, 0
		    at += 1
		    while True:
		        value |= (data[at] & 0x7f) << shift
		        shift += 7
		        at += 1
		        if not data[at - 1] & 0x80:
		            break
		    fields[tag >> 3] = value
		print(fields[int(sys.argv[3])])
	END
}

@test "criu swrk: its version, and which features it has" {
	# criu_req: type (1) = VERSION (10)
	ok asks 080a 0809
	equal "${lines[0]}" 080a1001520408041002 # type, success, version 4.2
	equal "${lines[1]}" 08091001420408001000 # type, success, neither mem_track nor lazy_pages
	equal "${lines[2]}" "status 0"
	# other fields are stepped over, in whatever order: keep_open, features, 64 and 32 bits
	ok asks 20012a0208015101020304050607085d01020304080a
	equal "${lines[0]}" 080a1001520408041002
}

@test "criu swrk: what Firn does by verbs is refused" {
	ok asks 0801
	# type DUMP, success no, EOPNOTSUPP and a reason
	[[ ${lines[0]} == 08011000385f4a* ]] || fail "answer"
	equal "${lines[1]}" "status 0"
}

@test "criu swrk: what is no request ends it with one line" {
	local request
	for request in 08 0a0501 0b 10 ffffffffffffffffffffff 1801; do
		run asks "$request"
		has "criu swrk: not a request"
		has "status 1"
	done
}

@test "criu: by that name nothing else is done" {
	ok "$T/criu" --version
	has "Version: 4.2"
	for args in "" dump "dump -t 1" swrk "swrk x" "swrk 1 2"; do
		# shellcheck disable=SC2086 # words
		fails "$T/criu" $args
		one_line
		has "criu swrk"
	done
	fails "$T/criu" swrk 99
	one_line
	has "Bad file descriptor"
}

@test "--work-path: statistics there, and the image is one that Podman takes" {
	make_bundle "$T/b" sh -c 'while :; do busybox sleep 1; done'
	mkdir "$T/work"
	run_detached "$ID" "$T/b"
	ok firn checkpoint --image-path "$T/image" --work-path "$T/work" --leave-running "$ID"
	[ "$(stat_of "$T/work/stats-dump" 1 2)" -gt 0 ]
	equal "$(($(stat_of "$T/work/stats-dump" 1 7) * $(getconf PAGESIZE)))" \
		"$(jq .statistics.pageBytes "$T/image/manifest.json")"
	[ -s "$T/image/inventory.img" ]
	# it is no foreign file
	ok firn checkpoint --image-path "$T/image" --work-path "$T/work" "$ID"
	[ -s "$T/image/inventory.img" ]
	restore_detached "$ID" "$T/b" "$T/image" --work-path "$T/work"
	[ "$(stat_of "$T/work/stats-restore" 2 4)" -gt 0 ]
	[ "$(stat_of "$T/work/stats-restore" 2 5)" -gt 0 ]
}

@test "without --work-path nothing is left beside the image" {
	make_bundle "$T/b" sh -c 'while :; do busybox sleep 1; done'
	run_detached "$ID" "$T/b"
	ok firn checkpoint --image-path "$T/image" --leave-running "$ID"
	[ ! -e "$T/image/inventory.img" ]
	# and what cannot be left is said, for the container has been saved
	ok firn checkpoint --image-path "$T/image" --work-path "$T/none" --leave-running "$ID"
	has "stats-dump"
	has "No such file"
	ok firn checkpoint --image-path "$T/image" "$ID"
}

@test "options that engines pass on do what is asked for, or are refused in one line" {
	local option
	make_bundle "$T/b" sh -c 'while :; do busybox sleep 1; done'
	run_detached "$ID" "$T/b"
	for option in "--empty-ns bogus" "--manage-cgroups-mode bogus" "--status-fd 3" --lazy-pages --pre-dump; do
		# shellcheck disable=SC2086 # an option and its value
		fails firn checkpoint --image-path "$T/image" $option "$ID"
		one_line
		has "${option%% *}"
	done
	# Docker's, and containerd's of a user who has chosen
	ok firn checkpoint --image-path "$T/image" --tcp-established --ext-unix-sk --shell-job --file-locks \
		--empty-ns network --manage-cgroups-mode soft "$ID"
	equal "$output" ""
	for option in "--empty-ns bogus" "--manage-cgroups-mode bogus" --lazy-pages "--preserve-fds x" \
		"--lsm-profile bogus" "--lsm-profile apparmor:"; do
		# shellcheck disable=SC2086
		fails firn restore -d --bundle "$T/b" --image-path "$T/image" $option "$ID"
		one_line
		has "${option%% *}"
		is_gone "$ID"
	done
	if [ ! -e /sys/module/apparmor ] && [ ! -e /sys/fs/selinux ]; then
		for option in "--lsm-profile apparmor:acme" "--lsm-profile selinux:u:r:t:s0" "--lsm-mount-context u:r:t:s0"; do
			# shellcheck disable=SC2086
			fails firn restore -d --bundle "$T/b" --image-path "$T/image" $option "$ID"
			one_line
			has "kernel runs without"
			is_gone "$ID"
		done
	fi
	# Podman's, of a container that was created with it
	restore_detached "$ID" "$T/b" "$T/image" --preserve-fds 2 --manage-cgroups-mode strict
	grep -q -e "--preserve-fds" "$T/$ID.log"
}
