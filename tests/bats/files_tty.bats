#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Pseudo-terminals that were made inside of a container, their sessions and jobs.

load helpers
load payloads
load res

@test "pseudo-terminals: without a checkpoint all programs pass" {
	res_control res_pty
	res_control res_session
}

@test "pseudo-terminals keep modes, sizes, numbers and what is queued" {
	res_once res_pty
}

@test "sessions keep their terminals and jobs, in the foreground, stopped, ended" {
	res_once res_session
}

@test "pseudo-terminals survive two checkpoints in a row" {
	res_twice res_pty
	res_twice res_session
}

@test "pseudo-terminals are as they were in a program that goes on" {
	res_goes_on res_pty
	res_goes_on res_session
}

@test "a runtime that is killed leaves no terminal raw, and has not lost what was queued" {
	start_payload res_pty
	killed_with_helper tty-drained checkpoint --image-path "$T/image" "$ID"
	equal "$(container_status "$ID")" running
	passes
}
