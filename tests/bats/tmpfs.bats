#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What is in file systems in memory comes back with a restore.

load helpers
load payloads
load res

setup() {
	need_root
	setup_firn
	RES_CAPS='["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_MKNOD"]'
	RES_EDIT='.mounts += [{destination: "/run", type: "tmpfs", source: "tmpfs",
		options: ["nosuid", "nodev", "size=8m"]}]'
}

teardown() {
	teardown_firn
	res_unmount
	rm -rf --one-file-system "$T"
}

# mount_here DIR OPTION...: a tmpfs of the host's.
mount_here() {
	mkdir "$1"
	mount -t tmpfs "${@:2}" none "$1"
	RES_MOUNTED+=("$1")
}

# start_shell TEXT: a container that runs this script and then sleeps, when it has said "ready".
start_shell() {
	make_bundle "$T/b" sh -c "$1"$'\necho ready\nexec sleep 1000'
	edit_config "$T/b" "$RES_EDIT"
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready
}

in_it() {
	ok firn exec "$ID" sh -c "$1"
}

@test "tmpfs: without a checkpoint the program passes" {
	res_control res_tmpfs
}

@test "files in memory are as they were, what is mapped and open is the same, twice in a row" {
	res_twice res_tmpfs
}

@test "files in memory of a user namespace" {
	RES_PLACE=user res_once res_tmpfs
}

@test "a container that goes on has not noticed" {
	res_goes_on res_tmpfs
}

@test "the archives are tar's, and are shown" {
	start_shell 'echo text >/run/file; ln /run/file /run/name; truncate -s 1G /run/hole'
	save
	ok firn image show "$T/image"
	has 'tmpfs      /run: tmpfs-'
	file=$(firn image show --json "$T/image" |
		jq -r '.tmpfs[] | select(.mountPoint == "/run").file')
	ok tar -tvf "$T/image/$file"
	has ' 1073741824 '
	has ' ./'
	[[ $output == *"link to "* ]]
	ok tar -xOf "$T/image/$file" file name
	equal "$output" text
	[ "$(stat -c %s "$T/image/$file")" -lt 100000 ]
}

@test "empty ones have no archive, but where something else than the start has made them so" {
	RES_EDIT+=' | .mounts += [
		{destination: "/closed", type: "tmpfs", options: ["mode=700", "uid=7"]},
		{destination: "/opened", type: "tmpfs", options: ["mode=700", "gid=7"]}]'
	start_shell 'chmod 750 /opened; touch /closed/x; rm /closed/x'
	save
	equal "$(firn image show --json "$T/image" | jq -c '[.tmpfs[].mountPoint] | sort')" \
		'["/dev","/opened"]'
	restore_detached "$ID" "$T/b" "$T/image"
	in_it 'stat -c "%a %u %g" /run /closed /opened'
	equal "${lines[*]}" '755 0 0 700 7 0 750 0 7'
}

@test "what was removed from a tmpfs is not there again" {
	mkdir -p "$T/b/rootfs/copied/below" "$T/b/rootfs/emptied/dir"
	echo old | tee "$T/b/rootfs/copied/"{kept,gone,below/gone} >/dev/null
	RES_EDIT+=' | .mounts += [{destination: "/copied", type: "tmpfs", options: ["tmpcopyup"]},
		{destination: "/copied/below/mount", type: "tmpfs"},
		{destination: "/emptied", type: "tmpfs", options: ["tmpcopyup"]}]'
	start_shell 'rm /copied/gone /copied/below/gone; echo new >/copied/kept
		echo hidden >/copied/below/mount/file; chmod 700 /copied; rmdir /emptied/dir'
	around
	in_it 'find /emptied/* /copied -type f 2>/dev/null; cat /copied/kept; stat -c %a /copied'
	equal "$(sort <<<"$output" | xargs)" "/copied/below/mount/file /copied/kept 700 new"
}

@test "a tmpfs that is mounted read-only has what it had" {
	mkdir -p "$T/b/rootfs/copied"
	echo old >"$T/b/rootfs/copied/file"
	RES_EDIT+=' | .mounts += [{destination: "/copied", type: "tmpfs", options: ["ro", "tmpcopyup"]}]'
	start_shell 'touch /copied/x 2>/dev/null || echo text >/run/file'
	around
	in_it 'cat /copied/file /run/file; ! touch /copied/file'
	[[ $output == "old"$'\n'"text"* ]]
}

@test "a damaged archive is refused, and nothing of it is left" {
	start_shell 'echo something >/run/file'
	save
	for file in "$T"/image/tmpfs-*.tar; do
		! grep -q something "$file" || break
	done
	sed -i s/something/somethinG/ "$file"
	fails firn restore --detach --image-path "$T/image" --bundle "$T/b" "$ID"
	one_line
	has "${file##*/}: checksum does not match"
	fails firn state "$ID"
}

@test "a tmpfs that has become too small fails the restore, which leaves nothing" {
	start_shell 'head -c 6000000 /dev/urandom >/run/large; sha256sum /run/large >/tmp/sum'
	save
	edit_config "$T/b" '(.mounts[] | select(.destination == "/run")).options = ["size=4m"]'
	fails firn restore --detach --image-path "$T/image" --bundle "$T/b" "$ID"
	one_line
	has 'restoring what was in "/run"'
	has 'making "large": No space left on device (its option size='
	fails firn state "$ID"
	edit_config "$T/b" 'del(.mounts[] | select(.destination == "/run"))'
	fails firn restore --detach --image-path "$T/image" --bundle "$T/b" "$ID"
	has 'config.json must mount what it did'
	edit_config "$T/b" "$RES_EDIT"
	restore_detached "$ID" "$T/b" "$T/image"
	in_it 'sha256sum -c /tmp/sum'
}

@test "no room for the image: the container goes on" {
	start_shell 'head -c 4000000 /dev/urandom >/run/large'
	mount_here "$T/small" -o size=2M
	fails firn checkpoint --image-path "$T/small/image" "$ID"
	has 'No space left on device'
	[ -z "$(ls -A "$T/small")" ] || fail "left in it: $(ls -A "$T/small")"
	equal "$(container_status "$ID")" running
	in_it 'wc -c </run/large'
	equal "$output" 4000000
}

@test "a socket that nobody has bound is named, and removed it is no matter" {
	start_payload res_tmpfs stale
	run="/proc/$(container_pid "$ID")/root/run"
	mv "$run/stale" "$run/"$'stale\e[31m\nline'
	fails firn checkpoint --check "$ID"
	has '"/run/stale?[31m?line", a socket that nobody inside has bound'
	equal "${#lines[@]}" 1 lines
	rm "$run/stale"*
	around
	passes
}

@test "a tmpfs that has got another size is named" {
	start_shell 'echo text >/run/file'
	firn exec --cap CAP_SYS_ADMIN "$ID" mount -o remount,size=4m /run
	fails firn checkpoint --check "$ID"
	has 'that the tmpfs "/run" was made with'
	has 'size=8192k'
	has 'is now'
	firn exec --cap CAP_SYS_ADMIN "$ID" mount -o remount,size=8m /run
	ok firn checkpoint --check "$ID"
}

@test "a tmpfs where a watch would notice that it is read is named" {
	start_payload res_tmpfs 0x20 # IN_OPEN
	fails firn checkpoint --check "$ID"
	has '"/run", a file system in memory where a watch would notice that it is read,'
	passes
	again
	start_payload res_tmpfs 0x302 # IN_MODIFY, IN_CREATE, IN_DELETE
	around
	passes
}

@test "what comes from the host stays what it is" {
	mount_here "$T/volume"
	echo before >"$T/volume/file"
	make_bundle "$T/b" sh -c 'echo ready; exec sleep 1000'
	add_mount "$T/b" "$T/volume" /volume
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready
	save
	echo after >"$T/volume/file"
	restore_detached "$ID" "$T/b" "$T/image"
	in_it 'cat /volume/file'
	equal "$output" after
}

@test "the container is charged for its files, and its limit holds for them" {
	start_shell 'head -c 6000000 /dev/zero >/run/large'
	save
	restore_detached "$ID" "$T/b" "$T/image"
	ok firn events --stats "$ID"
	[ "$(jq .data.memory.usage.usage <<<"$output")" -gt 6000000 ]
}
