#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Terminals, memory files, pidfds, FIFOs and deleted files where ids and inodes are
# other ones: in a user namespace, and on overlayfs.

load helpers
load payloads
load res

PROGRAMS="res_pty res_session res_memfd res_memexec res_pidfd res_fifo res_deleted"

teardown() {
	local id
	while read -r id; do
		firn delete --force "$id" >/dev/null 2>&1 || :
	done <"$CONTAINERS"
	res_unmount
	teardown_firn
}

each_twice() {
	local name
	for name in $PROGRAMS; do
		echo "# $name"
		res_twice "$name"
	done
}

@test "in a user namespace, twice in a row" {
	RES_PLACE=user
	each_twice
}

@test "on overlayfs, twice in a row" {
	RES_PLACE=overlay
	each_twice
}
