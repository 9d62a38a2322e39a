#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# FIFOs, packets in pipes, removed directories, files that have lost a name.

load helpers
load payloads
load res

@test "FIFOs and removed directories: without a checkpoint all programs pass" {
	res_control res_fifo
	res_control res_deleted
}

@test "FIFOs between processes, and packets in pipes" {
	res_once res_fifo
}

@test "removed directories, a device, a symbolic link, and files under another name" {
	RES_CAPS='["CAP_MKNOD"]'
	start_payload res_deleted device
	around
	# nothing of it is seen outside
	run find "$T/b/rootfs/tmp" -name '.firn*' -o -name b
	equal "$output" ""
	passes
}

@test "FIFOs and removed directories survive two checkpoints in a row" {
	res_twice res_fifo
	res_twice res_deleted
}

@test "FIFOs and removed directories are as they were in a program that goes on" {
	res_goes_on res_fifo
	res_goes_on res_deleted
}
