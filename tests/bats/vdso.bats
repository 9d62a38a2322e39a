#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Processes that have unmapped or moved the kernel's code (vdso) or its data.

load helpers
load payloads
load res

@test "vdso: without a checkpoint the program passes" {
	res_control res_novdso
}

@test "processes without a vdso, without its data, with one elsewhere, twice in a row, and going on" {
	res_twice res_novdso
	res_goes_on res_novdso
}
