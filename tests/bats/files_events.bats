#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What event descriptors hold comes back with a restore; each program checks its own.

load helpers
load payloads
load res

# what the program says by itself, so that a failure of those below is the restore's
@test "without a checkpoint all programs pass" {
	for name in res_eventfd "res_timerfd 3600" res_signalfd res_epoll; do
		# shellcheck disable=SC2086
		res_control $name
	done
}

@test "eventfd: count of 64 bits, semaphore, flags" {
	res_once res_eventfd
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
	res_once res_signalfd
}

@test "epoll: members of all sorts, by their numbers, wake as before" {
	res_once res_epoll
}

@test "event descriptors survive two checkpoints in a row" {
	for name in res_eventfd "res_timerfd 3600" res_signalfd res_epoll; do
		# shellcheck disable=SC2086
		res_twice $name
	done
}

@test "a checkpoint leaves event descriptors as they were in a program that goes on" {
	for name in res_eventfd "res_timerfd 3600" res_signalfd res_epoll; do
		# shellcheck disable=SC2086
		res_goes_on $name
	done
}
