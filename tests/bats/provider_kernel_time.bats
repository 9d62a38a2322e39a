#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The kernel provider, and what only the kernel can tell: the time that sleeps and leases had left, clocks that
# stand still meanwhile, System V IPC with its times and undos, and tasks that are debugged.
# shellcheck disable=SC2034 # CK_EDIT is for ck_start, RES_OPTIONS for res_once

load helpers
load payloads
load ck
load res
load kernel

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
