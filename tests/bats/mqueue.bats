#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# POSIX message queues come back with a restore; the program checks its own.

load helpers
load payloads
load res

@test "without a checkpoint it passes" {
	res_control res_mqueue
}

@test "message queues: messages, attributes, who waits and who is told" {
	res_once res_mqueue
}

@test "they survive two checkpoints in a row" {
	res_twice res_mqueue
}

@test "a checkpoint leaves them as they were in a program that goes on" {
	res_goes_on res_mqueue
}

@test "a limit that the container has set is there again" {
	RES_EDIT='.linux.sysctl = {"fs.mqueue.msg_max": "77"}'
	start_payload res_mqueue
	save
	edit_config "$T/b" '.linux.sysctl = {}'
	restore_detached "$ID" "$T/b" "$T/image"
	ok nsenter -t "$(container_pid "$ID")" -i cat /proc/sys/fs/mqueue/msg_max
	equal "$output" 77
	passes
}

@test "queues of the host's IPC namespace are refused by name" {
	RES_EDIT='.linux.namespaces |= map(select(.type != "ipc")) | .mounts |= map(select(.type != "mqueue"))'
	start_payload res_mqueue
	fails firn checkpoint --check "$ID"
	has 'message queue "/full" of another IPC namespace'
	passes
}

@test "a runtime that is killed has not lost a message" {
	start_payload res_mqueue
	killed_with_helper mqueue-taken checkpoint --image-path "$T/image" "$ID"
	equal "$(container_status "$ID")" running
	passes
}

@test "a checkpoint that fails with messages taken out has told nobody" {
	start_payload res_mqueue
	FIRN_FAULT=mqueue-tell:EIO fails firn checkpoint --image-path "$T/image" "$ID"
	equal "$(container_status "$ID")" running
	passes
}
