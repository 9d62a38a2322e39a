#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Attachments of System V shared memory that were cut by munmap, mprotect and mremap.

load helpers
load payloads
load res

@test "shm: without a checkpoint the program passes" {
	res_control res_shmpart
}

@test "parts of System V shared memory are attached as they were, twice in a row" {
	res_twice res_shmpart
	RES_PLACE=user res_once res_shmpart
}

@test "shared memory that is not the container's, or longer than it is, is named" {
	make_bundle "$T/b" res_shmpart /tmp/go foreign
	add_payload "$T/b" res_shmpart
	edit_config "$T/b" '.process.capabilities[] += ["CAP_SYS_ADMIN"]'
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready
	fails firn checkpoint --check "$ID"
	# one whose id the container has not, and one whose id is another segment there
	has 'System V shared memory 0 of another IPC namespace'
	has 'System V shared memory 1 of another IPC namespace'
	has 'a mapping beyond the end of System V shared memory 0'
	equal "$(grep -c 'System V' <<<"$output")" 3
	fails firn checkpoint --image-path "$T/image" "$ID"
	one_line
	passes
}
