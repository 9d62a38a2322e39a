#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Descriptors of namespaces, and of what /proc has shown of processes that are gone.

load helpers
load payloads
load res

teardown() {
	res_unmount
	teardown_firn
}

# with_pids: the program may choose the pids of its children.
with_pids() {
	RES_CAPS='["CAP_CHECKPOINT_RESTORE"]'
}

@test "namespaces and processes that are gone: without a checkpoint the program passes" {
	with_pids
	res_control res_proc again
}

@test "namespaces and processes that are gone, twice in a row, one's pid in use again" {
	with_pids
	res_twice res_proc again
	res_goes_on res_proc again
}

@test "the same in a user namespace" {
	RES_PLACE=user
	res_twice res_proc
}

@test "a working directory of a process that is gone and whose pid is in use again is named" {
	with_pids
	start_payload res_proc refused
	fails firn checkpoint --check "$ID"
	has "is gone, whose pid is in use again"
	lacks "which is not to be found by that path"
	fails firn checkpoint --image-path "$T/image" "$ID"
	passes
}
