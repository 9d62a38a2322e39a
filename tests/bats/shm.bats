#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Attachments of System V shared memory that were cut by munmap, mprotect and mremap.

load helpers
load payloads
load res

setup() {
	need_root
	setup_firn
}

teardown() {
	teardown_firn
}

@test "shm: without a checkpoint the program passes" {
	res_control res_shmpart
}

@test "parts of System V shared memory are attached as they were, twice in a row" {
	res_twice res_shmpart
	RES_PLACE=user res_once res_shmpart
}
