#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Processes whose first thread has exited while others run: the container's init and others.

load helpers
load payloads
load res

# For ids of their own.
RES_CAPS='["CAP_SETUID", "CAP_SETGID", "CAP_SYS_NICE"]'

# is_zombie PID: its first thread has exited.
is_zombie() {
	grep -q '^State:.Z' "/proc/$1/status"
}

@test "leader: without a checkpoint the program passes" {
	res_control res_leader
	res_control res_leader_owns
}

@test "processes whose first thread has exited go on after a restore" {
	start_payload res_leader
	is_zombie "$(container_pid "$ID")"
	around
	is_zombie "$(container_pid "$ID")"
	passes
}

@test "... after two in a row, and in a user namespace" {
	res_twice res_leader
	RES_PLACE=user res_once res_leader
}

@test "... and with a seccomp filter" {
	RES_EDIT='.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW",
		syscalls: [{names: ["acct"], action: "SCMP_ACT_ERRNO"}]}' res_once res_leader
}

@test "... where they go on after the checkpoint, which asks the same once more" {
	res_goes_on res_leader
	start_payload res_leader
	ok firn checkpoint --check "$ID"
	save --leave-running
	save
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "what one thread alone has stays its own, though an older one ends" {
	res_once res_leader_owns
}

@test "a child that wants to hear of a thread's end is refused where several have children" {
	start_payload res_leader_owns two
	fails firn checkpoint --image-path "$T/image" "$ID"
	has "has asked for a signal at the end of one of several threads with children"
	passes
}

@test "the exit code of a restored init without its first thread is that of its last one" {
	start_payload res_leader
	save
	touch "$T/b/rootfs/tmp/go"
	run timeout 30 "$FIRN" --root "$FIRN_ROOT" restore --bundle "$T/b" \
		--image-path "$T/image" "$ID"
	has PASS
	equal "$status" 11
}

@test "exec finds the namespaces of an init whose first thread has exited" {
	start_payload res_leader
	around
	run firn exec "$ID" /bin/busybox readlink /proc/self/ns/mnt
	equal "$output" "$(readlink "/proc/$(other_thread "$(container_pid "$ID")")/ns/mnt")"
	passes
}

# other_thread PID: a thread that is not the first one.
other_thread() {
	local task
	for task in "/proc/$1/task"/*; do
		[ "${task##*/}" = "$1" ] || break
	done
	echo "${task##*/}"
}

@test "a failed checkpoint or restore of such processes leaves nothing behind" {
	local point
	start_payload res_leader
	FIRN_FAULT=checkpoint-pages:EIO fails firn checkpoint --image-path "$T/image" "$ID"
	equal "$(container_status "$ID")" running
	save
	for point in cross arm-end release-end; do
		FIRN_FAULT=restore-$point:EIO fails firn restore --detach --bundle "$T/b" \
			--image-path "$T/image" "$ID"
		[ ! -e "$FIRN_ROOT/$ID" ] || fail "$point: a state directory is left"
		if FIRN_FAULT=restore-$point:kill restore_detached "$ID" "$T/b" "$T/image"; then
			fail "$point: was not killed"
		fi
		ok firn delete --force "$ID"
	done
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "a runtime that is killed while it saves such processes lets them go on" {
	local point
	start_payload res_leader
	for point in windows windows-end capture-end pages-end; do
		echo "# $point"
		FIRN_FAULT=checkpoint-$point:kill fails firn checkpoint --image-path "$T/image" "$ID"
		equal "$(container_status "$ID")" running
		is_zombie "$(container_pid "$ID")"
	done
	passes
}

@test "image show and gdb know who has exited" {
	start_payload res_leader
	save
	run firn image show "$T/image"
	has "res_leader (has exited, status 0x900)"
	firn image show --json "$T/image" |
		jq -e '.processes[0].threads[0].exitStatus == 2304' >/dev/null
	readelf -n "$T/image/task-1.core" >"$T/notes"
	equal "$(grep -c NT_PRSTATUS "$T/notes")" 2 "threads with registers"
}

@test "update moves such processes into the cgroups that new limits want" {
	start_payload res_leader
	ok firn update --cpu-share 512 --pids-limit 100 --memory 500000000 "$ID"
	passes
}
