#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# POSIX message queues come back with a restore; the program checks its own.

load helpers
load payloads
load res

# start_payload [JQ]: runs res_mqueue until it says that it is ready; JQ changes config.json.
start_payload() {
	make_bundle "$T/b" res_mqueue /tmp/go
	[ $# -eq 0 ] || edit_config "$T/b" "$1"
	add_payload "$T/b" res_mqueue
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready
}

save() {
	ok firn checkpoint --image-path "$T/image" "$@" "$ID"
}

@test "without a checkpoint it passes" {
	start_payload
	passes
}

@test "message queues: messages, attributes, who waits and who is told" {
	start_payload
	save
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "they survive two checkpoints in a row" {
	start_payload
	save
	restore_detached "$ID" "$T/b" "$T/image"
	save
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "a checkpoint leaves them as they were in a program that goes on" {
	start_payload
	save --leave-running
	passes
}

@test "a limit that the container has set is there again" {
	start_payload '.linux.sysctl = {"fs.mqueue.msg_max": "77"}'
	save
	edit_config "$T/b" '.linux.sysctl = {}'
	restore_detached "$ID" "$T/b" "$T/image"
	ok nsenter -t "$(container_pid "$ID")" -i cat /proc/sys/fs/mqueue/msg_max
	equal "$output" 77
	passes
}

@test "queues of the host's IPC namespace are refused by name" {
	start_payload '.linux.namespaces |= map(select(.type != "ipc")) | .mounts |= map(select(.type != "mqueue"))'
	fails firn checkpoint --check "$ID"
	has 'message queue "/full" of another IPC namespace'
	passes
}

@test "a runtime that is killed has not lost a message" {
	start_payload
	killed_with_helper mqueue-taken checkpoint --image-path "$T/image" "$ID"
	equal "$(container_status "$ID")" running
	passes
}

@test "a checkpoint that fails with messages taken out has told nobody" {
	start_payload
	FIRN_FAULT=mqueue-tell:EIO fails firn checkpoint --image-path "$T/image" "$ID"
	equal "$(container_status "$ID")" running
	passes
}
