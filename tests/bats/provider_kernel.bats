#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The kernel provider, on a kernel with the patches: tests/kernel/check boots one.
# shellcheck disable=SC2034 # CK_EDIT is for ck_start, RES_OPTIONS for res_once

load helpers
load payloads
load ck
load res

setup() {
	[ -e /sys/kernel/checkpoint/abi ] || skip "wants checkpoint(2)"
	need_root
	setup_firn
}

# by_kernel CLASS...: these are the kernel's in $IMAGE.
by_kernel() {
	local class
	ok firn image show --json "$IMAGE"
	equal "$(jq -r .provider <<<"$output")" kernel
	for class; do
		jq -e --arg class "$class" '.kernelClasses | index($class)' <<<"$output" >/dev/null ||
			fail "class $class is not the kernel's"
	done
}

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

# took NAME MOST: what the payload of sleeps measured on its own clock.
took() {
	local line ms
	line=$(grep "^$1 " <<<"$output")
	ms=${line##* }
	[[ $line != *EINTR* ]] && [ "$ms" -ge 2950 ] && [ "$ms" -le "$2" ] ||
		fail "$line: not between 2950 and $2 ms"
}

@test "every sleeping call goes on with the time that it had left" {
	local name
	ck_start ck_sleeps 3000
	sleep 1.5 # of the three
	ck_checkpoint --provider kernel
	ck_restore --provider kernel
	ck_result
	# the container's clock goes on in a restore; those that began anew would take 1500 longer
	for name in nanosleep clock_relative poll ppoll select futex epoll_wait sigtimedwait semtimedop recv; do
		took "$name" 4400
	done
}

@test "a restore that is held up changes nothing about sleeps, and dates stay dates" {
	local name
	CK_EDIT='.linux.namespaces += [{type: "time"}]'
	ck_start ck_sleeps 3000 17000
	CK_EDIT=
	sleep 1.5 # of the three
	ck_checkpoint --provider kernel
	ln -s "$IMAGE" "$T/image"
	ln -s "$B" "$T/b"
	held_up 6 restore-arm
	ck_result
	for name in nanosleep clock_relative clock_absolute poll ppoll select futex futex_bitset cond \
		epoll_wait sigtimedwait semtimedop recv; do
		# the container's clock goes on when all is armed, or it would be more than 7500
		took "$name" 7000
	done
	name=$(sed -n 's/^wall //p' <<<"$output")
	echo "$name ms late"
	[ "$name" -ge 0 ] && [ "$name" -lt 1000 ]
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

@test "attachments of System V shared memory" {
	RES_OPTIONS=(--provider kernel)
	res_once res_shmpart
}

@test "System V IPC in a user namespace, by one provider and by the other" {
	RES_PLACE=user
	RES_OPTIONS=(--provider kernel)
	res_once res_shmpart
	res_once res_semundo
	start_payload res_shmpart
	ok firn pause "$ID"
	ok firn checkpoint --provider kernel --leave-running --image-path "$T/kernel" "$ID"
	ok firn checkpoint --provider user --image-path "$T/user" "$ID"
	ok "$REPO/${BUILD:-build}/tests/tools/compare_images" "$T/kernel" "$T/user"
	restore_detached "$ID" "$T/b" "$T/kernel" --provider user
	passes
}

@test "creators, times and last pids of System V IPC" {
	local place
	for place in "" user; do
		echo "# ${place:-root}"
		RES_PLACE=$place
		start_payload res_ipctimes
		sleep 1 # they have seconds
		ok firn checkpoint --provider kernel --image-path "$T/image" "$ID"
		restore_detached "$ID" "$T/b" "$T/image" --provider kernel
		passes
		again
	done
}

@test "semaphores undo what ended processes did" {
	RES_OPTIONS=(--provider kernel)
	res_once res_semundo
}

@test "semaphore adjustments are restored by any provider" {
	start_payload res_semundo
	ok firn checkpoint --provider kernel --image-path "$T/image" "$ID"
	restore_detached "$ID" "$T/b" "$T/image" --provider user
	passes
}

@test "a lease that is being broken has the time that it had left" {
	echo 10 >/proc/sys/fs/lease-break-time
	start_payload res_leasetime 10 2.5
	sleep 3
	ok firn checkpoint --provider kernel --image-path "$T/image" "$ID"
	sleep 6
	restore_detached "$ID" "$T/b" "$T/image" --provider kernel
	passes
}

# held_up SECONDS FAULT: a restore that is stopped there for so long.
held_up() {
	FIRN_FAULT=$2:stop "$FIRN" --root "$FIRN_ROOT" restore --detach --image-path "$T/image" \
		--bundle "$T/b" "$ID" </dev/null >>"$T/$ID.log" 2>&1 3>&- &
	local runtime=$!
	wait_for 30 is_stopped "$runtime"
	sleep "$1"
	kill -CONT "$runtime"
	wait "$runtime" || fail "$(cat "$T/$ID.log")"
}

is_stopped() {
	[ "$(ps -o s= -p "$1")" = T ]
}

@test "a restore that takes long moves no clock of the container" {
	make_bundle "$T/b" res_clock /tmp/go 1500
	add_payload "$T/b" res_clock
	edit_config "$T/b" '.linux.namespaces += [{type: "time"}]'
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready
	ok firn checkpoint --image-path "$T/image" "$ID"
	sleep 1
	held_up 3 restore-arm
	passes
}

@test "a process that is being debugged is saved, and its debugger goes on" {
	start_payload res_traced
	fails firn checkpoint --provider user --leave-running --image-path "$T/image" "$ID"
	has "a task that is being traced"
	fails firn checkpoint --provider kernel --image-path "$T/image" "$ID"
	has "could not be restored"
	ok firn checkpoint --provider kernel --leave-running --image-path "$T/image" "$ID"
	passes
	firn delete --force "$ID"
	fails firn restore --detach --image-path "$T/image" --bundle "$T/b" "$ID"
	has "was being traced by process 1, which cannot be restored"
}

@test "gdb in a container, at a breakpoint: a checkpoint disturbs neither, and gdb steps on" {
	need_command gdb
	make_gdb_bundle "$T/b" -ex "break access" -ex run \
		-ex "shell touch /tmp/ready; until [ -e /tmp/on ]; do sleep 0.1; done" \
		-ex stepi -ex "info symbol \$pc" -ex delete -ex "shell touch /tmp/go" -ex continue
	new_id
	run_detached "$ID" "$T/b"
	wait_for 60 exists "$T/b/rootfs/tmp/ready"
	ok firn checkpoint --provider kernel --leave-running --image-path "$T/image" "$ID"
	ok firn checkpoint --provider kernel --leave-running --image-path "$T/image" "$ID"
	touch "$T/b/rootfs/tmp/on"
	wait_for 60 has_status "$ID" stopped
	output=$(cat "$T/$ID.log")
	has "in access ()"
	has "access + "
	has "undisturbed"
	has "exited with code 07"
	lacks "received signal"
}
