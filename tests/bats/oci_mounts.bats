#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Mounts that mounts.bats does not have: mapped ids, copied contents, every recursive option.

load helpers

setup() {
	setup_bundle true
	let_users_through
}

teardown() {
	[ -z "${T:-}" ] || umount -Rl "$T/source" 2>/dev/null || :
	teardown_firn
}

# A source that can be mapped: what the other file systems of this machine can is not known.
make_source() {
	mkdir "$T/source"
	mount -t tmpfs -o mode=755 tmpfs "$T/source"
	mkdir "$T/source/sub"
	touch "$T/source/file"
	chown 5:7 "$T/source/file"
	unshare --map-root-user true 2>/dev/null || skip "wants user namespaces"
}

@test "a mapping of a bind's ids" {
	make_source
	add_mount "$B" "$T/source" /mnt
	edit_config "$B" '.mounts[-1] += {uidMappings: [{containerID: 5, hostID: 1000, size: 2}],
		gidMappings: [{containerID: 6, hostID: 2000, size: 3}]}'
	in_container stat -c '%u %g' /mnt/file
	equal "$output" "1000 2001"
	equal "$(stat -c '%u %g' "$T/source/file")" "5 7"
}

@test "idmap takes the container's own mapping, ridmap reaches mounts below" {
	make_source
	chown 0:0 "$T/source/file"
	mount -t tmpfs -o mode=755 tmpfs "$T/source/sub"
	touch "$T/source/sub/file"
	chown -R 100000:100000 "$B/rootfs"
	edit_config "$B" '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = [{containerID: 0, hostID: 100000, size: 65536}]'
	add_mount "$B" "$T/source" /mnt idmap
	in_container stat -c %u /mnt/file /mnt/sub/file
	equal "$output" "$(printf '0\n65534')"
	edit_config "$B" '.mounts[-1].options = ["rbind", "ridmap"]'
	in_container sh -c 'stat -c %u /mnt/file /mnt/sub/file; touch /mnt/sub/new'
	equal "$output" "$(printf '0\n0')"
	equal "$(stat -c %u "$T/source/sub/new")" 0
}

@test "what cannot be mapped is refused" {
	make_source
	add_mount "$B" "$T/source" /mnt idmap
	fails firn run --bundle "$B" "$ID"
	one_line
	has uidMappings
	edit_config "$B" '.mounts[-1] = {destination: "/mnt", type: "tmpfs", options: [],
		uidMappings: [{containerID: 0, hostID: 1, size: 1}], gidMappings: [{containerID: 0, hostID: 1, size: 1}]}'
	fails firn run --bundle "$B" "$ID"
	one_line
	has "a bind only"
	is_gone "$ID"
}

@test "tmpcopyup: contents with owners, modes, times, links; mode= holds" {
	mkdir -p "$B/rootfs/data/sub"
	chmod 751 "$B/rootfs/data"
	chmod 775 "$B/rootfs/data/sub"
	echo text >"$B/rootfs/data/sub/file"
	ln -s /etc/passwd "$B/rootfs/data/link"
	mkfifo "$B/rootfs/data/pipe"
	chown -hR 12:34 "$B/rootfs/data"
	chmod 4755 "$B/rootfs/data/sub/file"
	touch -d @1000000000 "$B/rootfs/data/sub/file"
	edit_config "$B" '.mounts += [{destination: "/data", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"]}]'
	in_container sh -c 'cd /data; cat sub/file; stat -c "%a %u %g" . sub; stat -c "%a %u %g %Y" sub/file
		readlink link; stat -c "%u %F" link pipe; stat -f -c %T .'
	equal "$output" "$(printf '%s\n' text '751 12 34' '775 12 34' '4755 12 34 1000000000' \
		/etc/passwd '12 symbolic link' '12 fifo' tmpfs)"
	equal "$(cat "$B/rootfs/data/sub/file")" text
	edit_config "$B" '.mounts[-1].options = ["tmpcopyup", "mode=1755", "uid=9", "ro"]'
	in_container sh -c 'stat -c "%a %u" /data; cat /data/sub/file; touch /data/x || echo read-only'
	equal "$(grep -v touch <<<"$output")" "$(printf '%s\n' '1755 9' text read-only)"
	head -c 20000 /dev/zero >"$B/rootfs/data/big"
	edit_config "$B" '.mounts[-1].options = ["tmpcopyup", "size=4k"]'
	fails firn run --bundle "$B" "$ID"
	one_line
	has size=
}

@test "every option of a mount, for it alone and for all below" {
	local option
	make_source
	mount -t tmpfs tmpfs "$T/source/sub"
	add_mount "$B" "$T/source" /mnt
	for option in ro nosuid nodev noexec nodiratime noatime nosymfollow; do
		edit_config "$B" --arg o "$option" '.mounts[-1].options = ["rbind", $o]'
		in_container awk '$5 ~ /^.mnt/ { print $5, $6 }' /proc/self/mountinfo
		[[ ${lines[0]} == "/mnt "*"$option"* ]] || fail "no $option"
		[[ ${lines[1]} != *"$option"* ]] || fail "$option below"
		edit_config "$B" --arg o "r$option" '.mounts[-1].options = ["rbind", $o]'
		in_container awk '$5 ~ /^.mnt/ { print $5, $6 }' /proc/self/mountinfo
		[[ ${lines[0]} == *"$option"* && ${lines[1]} == "/mnt/sub "*"$option"* ]] || fail "no r$option"
	done
	mount -o remount,bind,ro,noexec "$T/source/sub"
	edit_config "$B" '.mounts[-1].options = ["rbind", "rrw", "rexec"]'
	in_container awk '$5 == "/mnt/sub" { print $6 }' /proc/self/mountinfo
	lacks noexec
	[[ $output == rw* ]] || fail "not writable"
}

@test "propagation of a mount" {
	local kind
	make_source
	mount --make-shared "$T/source"
	add_mount "$B" "$T/source" /mnt
	for kind in shared slave private unbindable; do
		edit_config "$B" --arg o "r$kind" '.mounts[-1].options = ["rbind", $o]'
		in_container awk '$5 == "/mnt" { for (i = 7; $i != "-"; i++) printf "%s ", $i }' /proc/self/mountinfo
		case $kind in
		shared) has shared: ;;
		slave) has master: ;;
		private) equal "$output" "" ;;
		unbindable) has unbindable ;;
		esac
	done
}

@test "proc goes on no place that a link leads to, with or without a slash at its end" {
	local destination
	rmdir "$B/rootfs/proc"
	mkdir "$B/rootfs/elsewhere"
	ln -s elsewhere "$B/rootfs/proc"
	for destination in /proc /proc/ //proc/.; do
		edit_config "$B" --arg d "$destination" '.mounts[0].destination = $d'
		fails firn run --bundle "$B" "$ID"
		one_line
		has "symbolic link"
		is_gone "$ID"
	done
}

@test "the source of a bind that the root of a user namespace cannot get at" {
	mkdir -p "$T/closed/source"
	touch "$T/closed/source/file"
	chmod 700 "$T/closed"
	chown -R 100000:100000 "$B/rootfs"
	edit_config "$B" '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = [{containerID: 0, hostID: 100000, size: 65536}]'
	add_mount "$B" "$T/closed/source" /mnt ro
	in_container sh -c 'ls /mnt; touch /mnt/new || echo refused'
	has file
	has Read-only
}
