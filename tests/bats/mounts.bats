#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The root file system: mounts, devices, masked and read-only paths.

load helpers

setup() {
	setup_bundle true
	mkdir -p "$T/source/sub"
	echo text >"$T/source/file"
}

teardown() {
	umount -l "$T/source/sub" 2>/dev/null || :
	teardown_firn
}

# options_of PATH: the mount's options as the container sees them.
options_of() {
	in_container awk -v p="$1" '$5 == p { print $6 }' /proc/self/mountinfo
}

@test "binds: a directory and a file, made where they are missing" {
	add_mount "$B" "$T/source" /mnt/new/dir
	add_mount "$B" "$T/source/file" /mnt/new/file
	in_container cat /mnt/new/dir/file /mnt/new/file
	equal "$output" "$(printf 'text\ntext')"
}

@test "read-only binds cannot be written, others can" {
	add_mount "$B" "$T/source" /mnt ro
	in_container sh -c 'echo x >/mnt/new || echo refused'
	has refused
	[ ! -e "$T/source/new" ]
	edit_config "$B" '.mounts[-1].options = ["rbind", "rw"]'
	in_container sh -c 'echo x >/mnt/new'
	[ -e "$T/source/new" ]
}

@test "recursive read-only reaches mounts below, plain does not" {
	mount -t tmpfs tmpfs "$T/source/sub"
	add_mount "$B" "$T/source" /mnt ro
	in_container sh -c 'touch /mnt/sub/x && echo written'
	has written
	edit_config "$B" '.mounts[-1].options = ["rbind", "rro"]'
	in_container sh -c 'touch /mnt/sub/y || echo refused'
	has refused
}

@test "mount options become flags" {
	add_mount "$B" "$T/source" /mnt nosuid nodev noexec noatime
	options_of /mnt
	local option
	for option in nosuid nodev noexec noatime; do
		has "$option"
	done
	edit_config "$B" '.mounts += [{destination: "/scratch", type: "tmpfs", source: "tmpfs",
		options: ["nosuid", "noexec", "size=64k", "mode=700"]}]'
	options_of /scratch
	has nosuid
	in_container sh -c 'stat -c %a /scratch; df -k /scratch | tail -1'
	has 700
	has " 64 "
}

@test "propagation of a bind" {
	add_mount "$B" "$T/source" /mnt rslave
	in_container awk '$5 == "/mnt" { print $7 }' /proc/self/mountinfo
	lacks shared
}

@test "symlinks in the root file system do not lead out of it" {
	ln -s "$T/outside" "$B/rootfs/escape"
	mkdir "$T/outside"
	add_mount "$B" "$T/source" /escape/dir
	fails firn run --bundle "$B" "$ID"
	one_line
	has "/escape/dir"
	[ ! -e "$T/outside/dir" ] || fail "made outside of the root"
	rm "$B/rootfs/escape"
	ln -s ../../../../../../.. "$B/rootfs/escape"
	edit_config "$B" '.mounts[-1].destination = "/escape/firn-escape-test"'
	in_container cat /firn-escape-test/file
	equal "$output" text
	[ ! -e /firn-escape-test ] || fail "made outside of the root"
}

@test "nothing but proc goes on and into /proc" {
	add_mount "$B" "$T/source" /proc/sys
	fails firn run --bundle "$B" "$ID"
	one_line
	has "/proc"
	is_gone "$ID"
}

@test "the default devices and links" {
	in_container sh -c 'cd /dev; stat -c "%n %t,%T %a" null zero full random urandom tty; for l in fd stdin stdout stderr ptmx; do readlink $l; done; echo x >null; head -c 3 zero | wc -c'
	equal "$output" "$(printf '%s\n' 'null 1,3 666' 'zero 1,5 666' 'full 1,7 666' 'random 1,8 666' \
		'urandom 1,9 666' 'tty 5,0 666' /proc/self/fd /proc/self/fd/0 /proc/self/fd/1 \
		/proc/self/fd/2 pts/ptmx 3)"
}

@test "devices of config.json" {
	edit_config "$B" '.linux.devices = [{path: "/dev/sub/mine", type: "c", major: 1, minor: 3, fileMode: 432, uid: 5, gid: 6},
		{path: "/dev/pipe", type: "p", fileMode: 384}]'
	in_container stat -c '%n %t,%T %a %u %g %F' /dev/sub/mine /dev/pipe
	has "/dev/sub/mine 1,3 660 5 6 character special file"
	has "/dev/pipe"
	has "fifo"
}

@test "devices in a user namespace: those of config.json, and not what the host has there" {
	let_users_through
	chown -R 100000:100000 "$B/rootfs"
	# the host has no /dev/mine, and another device in /dev/zero
	edit_config "$B" '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = .linux.uidMappings
		| .linux.devices = [{path: "/dev/sub/mine", type: "c", major: 1, minor: 3, fileMode: 432, uid: 5, gid: 6},
			{path: "/dev/zero", type: "c", major: 1, minor: 7}]'
	in_container sh -c 'stat -c "%n %t,%T %a %u:%g" /dev/sub/mine /dev/zero; { echo x >/dev/zero; } 2>&1 | grep -o "No space left"
		grep -cE " (/dev/sub/mine|/dev/zero|'"$B"') .* tmpfs " /proc/self/mountinfo; ls '"$B"' 2>&1 | grep -c .'
	equal "$output" "$(printf '%s\n' '/dev/sub/mine 1,3 660 5:6' '/dev/zero 1,7 666 0:0' 'No space left' 2 1)"
	[ -e "$B/config.json" ] || fail "the bundle is covered outside"
	edit_config "$B" '.linux.devices[0].uid = 70000'
	in_container stat -c "%u:%g" /dev/sub/mine
	has "/linux/devices/0 of config.json: its owner 70000:6 is not mapped"
	has "65534:6"
}

@test "masked paths are empty, read-only paths not writable" {
	edit_config "$B" '.linux.maskedPaths += ["/etc/passwd", "/var", "/none"] | .linux.readonlyPaths += ["/tmp"]'
	echo secret >"$B/rootfs/var/secret"
	in_container sh -c 'cat /etc/passwd; ls /var; touch /tmp/x || echo refused; echo 1 >/proc/sys/kernel/msgmax || echo refused; true'
	lacks root
	lacks secret
	equal "$(grep -c ^refused <<<"$output")" 2
}

@test "a masked /dev/null of the root file system is not believed" {
	edit_config "$B" '.mounts |= map(select(.destination | startswith("/dev") | not)) | .linux.maskedPaths = ["/etc/passwd"]'
	rm -rf "$B/rootfs/dev/"*
	in_container cat /etc/passwd
	equal "$output" ""
}

@test "a read-only root" {
	edit_config "$B" '.root.readonly = true'
	in_container sh -c 'touch /x || echo refused; touch /dev/shm/x && echo ok'
	has refused
	has ok
}

@test "the host's mounts are not there" {
	in_container sh -c 'wc -l </proc/self/mountinfo; grep -c bats /proc/self/mountinfo'
	[ "${lines[0]}" -lt 60 ]
}

@test "no pivot_root" {
	set_args "$B" ls -d /bin
	ok firn run --no-pivot --bundle "$B" "$ID"
	equal "$output" /bin
}

@test "a read-only /dev or tmpfs has in it what comes after it" {
	mkdir "$T/other"
	edit_config "$B" --arg s "$T/other" '(.mounts[] | select(.destination == "/dev") | .options) += ["ro"]
		| .mounts += [{destination: "/mnt", type: "tmpfs", source: "tmpfs", options: ["ro"]},
			{destination: "/mnt/sub", type: "bind", source: $s, options: ["rbind"]}]'
	set_args "$B" sh -c 'ls -d /dev/pts /dev/null /mnt/sub && touch /mnt/sub/new; touch /dev/new; touch /mnt/new; true'
	ok firn run --bundle "$B" "$ID"
	has /mnt/sub
	has "/dev/new: Read-only"
	has "/mnt/new: Read-only"
	[ -e "$T/other/new" ]
}
