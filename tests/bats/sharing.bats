#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Descriptor tables and working directories that several processes have.

load helpers
load payloads
load res

@test "sharing: without a checkpoint the program passes" {
	res_control res_sharing
}

@test "shared descriptor tables and directories are shared after a restore" {
	res_once res_sharing
}

@test "shared descriptor tables and directories survive two checkpoints in a row" {
	res_twice res_sharing
}
