#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What event descriptors hold comes back with a restore; each program checks its own.

load helpers
load payloads
load res

# start_payload NAME [ARG...]: runs it until it says that it is ready.
start_payload() {
	local name=$1
	shift
	make_bundle "$T/b" "$name" /tmp/go "$@"
	add_payload "$T/b" "$name"
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready
}

save() {
	ok firn checkpoint --image-path "$T/image" "$@" "$ID"
}

# what the program says by itself, so that a failure of those below is the restore's
@test "without a checkpoint all programs pass" {
	for name in res_eventfd "res_timerfd 3600" res_signalfd res_epoll; do
		# shellcheck disable=SC2086
		start_payload $name
		passes
		rm -rf "$T/b"
	done
}

@test "eventfd: count of 64 bits, semaphore, flags" {
	start_payload res_eventfd
	save
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "timerfd: time left, intervals, ticks not read, the wall clock's alarm" {
	start_payload res_timerfd 4
	save
	# not a wait: this time must not be missing afterwards
	sleep 5
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "signalfd: mask, and the signal that waits in it" {
	start_payload res_signalfd
	save
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "epoll: members of all sorts, by their numbers, wake as before" {
	start_payload res_epoll
	save
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "event descriptors survive two checkpoints in a row" {
	for name in res_eventfd "res_timerfd 3600" res_signalfd res_epoll; do
		# shellcheck disable=SC2086
		start_payload $name
		save
		restore_detached "$ID" "$T/b" "$T/image"
		save
		restore_detached "$ID" "$T/b" "$T/image"
		passes
		rm -rf "$T/b" "$T/image"
	done
}

@test "a checkpoint leaves event descriptors as they were in a program that goes on" {
	for name in res_eventfd "res_timerfd 3600" res_signalfd res_epoll; do
		# shellcheck disable=SC2086
		start_payload $name
		save --leave-running
		passes
		rm -rf "$T/b" "$T/image"
	done
}
