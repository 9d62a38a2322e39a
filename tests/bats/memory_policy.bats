#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What was asked for memory comes back with a restore: advice, guards, locks, policies, keys;
# the program checks its own.

load helpers
load payloads

setup() {
	need_root
	setup_firn
}

teardown() {
	teardown_firn
}

says() {
	grep -qx "$1" "$T/$ID.log"
}

ended() {
	says PASS || grep -q ^FAIL "$T/$ID.log" || [ "$(container_status "$ID")" = stopped ]
}

# start_payload: runs res_advice until it says that it is ready.
start_payload() {
	make_bundle "$T/b" res_advice /tmp/go
	edit_config "$T/b" '.process.capabilities[] += ["CAP_IPC_LOCK"]'
	add_payload "$T/b" res_advice
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready
}

# passes: lets it go on, and it finds everything in order. What the kernel lacks is shown.
passes() {
	touch "$T/b/rootfs/tmp/go"
	wait_for 20 ended
	says PASS || {
		cat "$T/$ID.log"
		fail "the program found something amiss"
	}
	sed -n 's/^no /# without /p' "$T/$ID.log" | sort -u >&3
}

save() {
	ok firn checkpoint --image-path "$T/image" "$@" "$ID"
}

@test "without a checkpoint it passes" {
	start_payload
	passes
}

@test "advice, guard pages, locks, NUMA policies, protection keys, huge pages" {
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
