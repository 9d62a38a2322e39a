#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Pidfds of processes that live, are zombies, or have been reaped.

load helpers
load payloads
load res

@test "pidfds: without a checkpoint the program passes" {
	res_control res_pidfd
}

@test "pidfds lead to the same processes, or to ended ones with their statuses" {
	res_once res_pidfd
}

@test "pidfds survive two checkpoints in a row" {
	res_twice res_pidfd
}

@test "pidfds are as they were in a program that goes on" {
	res_goes_on res_pidfd
}
