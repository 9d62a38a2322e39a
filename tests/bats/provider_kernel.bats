#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The kernel provider, on a kernel with the patches: tests/kernel/check boots one.
# shellcheck disable=SC2034 # CK_EDIT is for ck_start, RES_OPTIONS for res_once

load helpers
load payloads
load ck
load res
load kernel

@test "auto takes what the kernel has, and the user provider restores it" {
	local payload
	for payload in ck_memory ck_threads ck_signals; do
		echo "# $payload"
		begin "$payload"
		ck_checkpoint
		by_kernel memory
		ck_restore
		ck_passes
	done
}

@test "a process whose first thread has exited is left to the user provider" {
	RES_CAPS='["CAP_SETUID", "CAP_SETGID", "CAP_SYS_NICE"]' start_payload res_leader
	fails firn checkpoint --provider kernel --image-path "$T/image" "$ID"
	has "a process whose first thread has exited, which checkpoint(2) does not save"
	save
	equal "$(firn image show --json "$T/image" | jq -r .provider)" user
	fails firn restore --detach --provider kernel --bundle "$T/b" --image-path "$T/image" "$ID"
	has "the first thread has exited, which restart(2) does not restore"
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "auto: a container goes on, twice" {
	ck_start ck_worker
	ck_checkpoint --leave-running
	works
	ck_checkpoint --leave-running
	by_kernel memory
	works
	ck_checkpoint
	ck_restore
	works
}

@test "user leaves the kernel alone" {
	ck_start ck_memory
	ck_checkpoint --provider user
	ok firn image show --json "$IMAGE"
	equal "$(jq -r .provider <<<"$output")" user
	ck_restore
	ck_passes
}

@test "nothing is held when a checkpoint has failed" {
	local fault
	ck_start ck_worker
	for fault in checkpoint-kernel checkpoint-kernel-end; do
		IMAGE=$T/image-$fault
		FIRN_FAULT=$fault:EIO fails firn checkpoint --image-path "$IMAGE" "$ID"
		has "fault injected"
		works
	done
	FIRN_FAULT=checkpoint-kernel-end:kill run firn checkpoint --image-path "$IMAGE" "$ID"
	equal "$status" 137
	firn state "$ID" >/dev/null
	works
}

@test "what the user provider leaves when it is killed does not keep an image from being restored" {
	ck_start ck_worker
	FIRN_FAULT=checkpoint-windows:kill run firn checkpoint --provider user --image-path "$T/killed" "$ID"
	equal "$status" 137
	firn state "$ID" >/dev/null
	works
	ck_checkpoint --provider kernel
	ck_restore
	works
}

# --- by the kernel alone ---

# begin PAYLOAD: with what it needs
begin() {
	case $1 in
	ck_creds)
		CK_EDIT='.process.capabilities |= with_entries(.value = ["CAP_KILL","CAP_SETPCAP","CAP_SETUID","CAP_SETGID","CAP_NET_BIND_SERVICE"])'
		ck_start ck_creds user
		CK_EDIT=
		;;
	*) ck_start "$1" ;;
	esac
}

PAYLOADS=(ck_memory ck_threads ck_signals ck_creds ck_tree)

@test "kernel saves and restores all by itself" {
	local payload
	for payload in "${PAYLOADS[@]}"; do
		echo "# $payload"
		begin "$payload"
		ck_checkpoint --provider kernel
		by_kernel tree memory "memory policy" process timers rlimits signals threads
		ck_restore --provider kernel
		ck_passes
	done
}

@test "each provider restores what the other has saved" {
	local payload
	for payload in "${PAYLOADS[@]}"; do
		echo "# $payload"
		begin "$payload"
		ck_checkpoint --provider user
		ck_restore --provider kernel
		ck_passes
		begin "$payload"
		ck_checkpoint --provider kernel
		ck_restore --provider user
		ck_passes
	done
}

@test "both providers record the same of one frozen container" {
	local payload
	for payload in ck_memory ck_threads ck_signals ck_creds; do
		echo "# $payload"
		begin "$payload"
		ok firn pause "$ID"
		ok firn checkpoint --provider kernel --leave-running --image-path "$T/kernel-$payload" "$ID"
		ok firn checkpoint --provider user --leave-running --image-path "$T/user-$payload" "$ID"
		ok "$REPO/${BUILD:-build}/tests/tools/compare_images" "$T/kernel-$payload" "$T/user-$payload"
		echo "$output"
		ok firn resume "$ID"
		ck_passes
	done
}

@test "what prctl(2) has set, whoever saves and whoever restores it" {
	let_it_flush
	start_payload res_prctl
	ok firn checkpoint --provider kernel --image-path "$T/image" "$ID"
	restore_detached "$ID" "$T/b" "$T/image" --provider user
	ok firn checkpoint --provider user --image-path "$T/image2" "$ID"
	restore_detached "$ID" "$T/b" "$T/image2" --provider kernel
	passes
	again
	start_payload res_prctl
	ok firn pause "$ID"
	ok firn checkpoint --provider kernel --leave-running --image-path "$T/kernel" "$ID"
	ok firn checkpoint --provider user --leave-running --image-path "$T/user" "$ID"
	ok "$REPO/${BUILD:-build}/tests/tools/compare_images" "$T/kernel" "$T/user"
	ok firn resume "$ID"
	passes
}

@test "no task is traced during a checkpoint" {
	need_command strace
	ck_start ck_worker
	IMAGE=$T/image
	ok strace -f -qq -e trace=ptrace -o "$T/trace" \
		"$FIRN" --root "$FIRN_ROOT" checkpoint --provider kernel --leave-running --image-path "$IMAGE" "$ID"
	works
	run cat "$T/trace"
	lacks "ptrace("
	by_kernel memory threads
}

# snapshot [OPTION...]: of a container that goes on
snapshot() {
	rm -rf "$T/image"
	ok firn checkpoint --provider kernel --leave-running "$@" --image-path "$T/image" "$ID"
	FROZEN=$(jq .statistics.frozenTime "$T/image/manifest.json")
}

# restore_snapshot: in the place of who has gone on and passed
restore_snapshot() {
	ok firn delete --force "$ID"
	rm "$T/b/rootfs/tmp/go"
	: >"$T/$ID.log"
	restore_detached "$ID" "$T/b" "$T/image"
}

@test "a snapshot is of one moment, and written while the container goes on" {
	local frozen
	start_payload res_snapshot
	snapshot
	frozen=$FROZEN
	snapshot --snapshot
	passes
	echo "frozen for $FROZEN ns, without a snapshot for $frozen"
	[ $((FROZEN * 2)) -lt "$frozen" ]
	restore_snapshot
	passes
}

@test "memory that a fork leaves out is saved while frozen, and a warning says so" {
	start_payload res_advice
	snapshot --snapshot
	has 'is saved while it is frozen'
	has 'a fork would not have this memory as it is'
	passes
	restore_snapshot
	passes
}

@test "a container stays as it was when its snapshot cannot be written" {
	start_payload res_snapshot
	mkdir "$T/small"
	mount -t tmpfs -o size=8M small "$T/small"
	run firn checkpoint --leave-running --snapshot --image-path "$T/small/image" "$ID"
	umount "$T/small"
	[ "$status" -ne 0 ]
	has 'No space left on device'
	equal "$(container_status "$ID")" running
	passes
}

@test "a container with a stopped process" {
	local init
	ck_start ck_worker
	init=$(state_field "$ID" .pid)
	kill -STOP "$(pgrep -P "$init" | head -n 1)"
	sleep 0.2
	ck_checkpoint --provider kernel
	ck_restore --provider kernel
	init=$(state_field "$ID" .pid)
	equal "$(ps -o s= --ppid "$init" | grep -c T)" 1
	kill -CONT "$(pgrep -P "$init" | head -n 1)"
	works
}
