#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# How threads are scheduled, and what else each has of its own, comes back with a restore;
# the program checks its own.

load helpers
load payloads
load res

# start_payload [ARG...]: runs res_sched until it says that it is ready.
start_payload() {
	make_bundle "$T/b" res_sched /tmp/go "$@"
	edit_config "$T/b" '.process.capabilities[] += ["CAP_SYS_NICE", "CAP_SYS_ADMIN"] |
		.process.noNewPrivileges = false'
	add_payload "$T/b" res_sched
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

@test "policies, priorities, deadlines, processors, personality of each thread" {
	start_payload
	save
	# what the runtime itself has must not show
	renice -n 3 $$ >/dev/null
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

@test "keys, and filters that ask a listener, are refused by name" {
	local what
	declare -A name=([keys]="keys in its process keyring" [listener]="seccomp filter that asks a listener")
	for what in keys listener; do
		start_payload "$what"
		fails firn checkpoint --image-path "$T/image" "$ID"
		one_line
		has "${name[$what]}"
		[ ! -e "$T/image/manifest.json" ] || fail "there is an image"
		equal "$(container_status "$ID")" running
		rm -rf "$T/b" "$T/image"
	done
}

# start_dates SECONDS: the same with res_dates.
start_dates() {
	make_bundle "$T/b" res_dates /tmp/go "$1"
	add_payload "$T/b" res_dates
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready
}

@test "timers that are set to dates keep them, others what they have left" {
	start_dates 0
	passes
	rm -rf "$T/b"
	start_dates 3
	save
	# not a wait: this time must be missing for the one and not for the other
	sleep 3
	restore_detached "$ID" "$T/b" "$T/image"
	save
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}
