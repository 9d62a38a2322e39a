#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Processes come back as children of their parents and in their sessions, whatever way these were
# inherited on; trees of which no restore can find that are refused by the checkpoint.
# The steps of a tree are in res_tree.c.

load helpers
load payloads
load res

# comes_back STEP...: the tree, without a checkpoint and around two.
comes_back() {
	echo "# tree: $*"
	res_control res_tree "$@"
	res_twice res_tree "$@"
}

@test "an orphan of a session below a subreaper that leads one itself" {
	comes_back 1f2 2s 2r 2f3 3s 3f4 4f5 4x
}

@test "the same when its leader, or the subreaper's session, is gone" {
	comes_back 1f2 2s 2r 2f3 3s 3f4 4f5 4x 3x
	comes_back 1f2 2s 2f3 3r 2x 3f4 4s 4f5 5f6 5x
}

@test "children from before their parents led sessions, below each other" {
	comes_back 1f2 2s 2f3 3f4 2x 4f5 4s 5f6 5s
	comes_back 1f2 2s 2f3 3f4 4f5 5f6 6f7 2x 4s 5s 6s
}

@test "a session whose leader has gone to another branch is refused by the check" {
	start_payload res_tree 1f2 2r 2f3 3f4 4s 4f5 5f6 5x 2R 3x
	fails firn checkpoint --check "$ID"
	has "the tree of processes (process "
	has "in which it cannot be born"
	has "let the processes of that session end"
	passes
}

@test "so is an orphan of a session whose leader is outside of the pid namespace" {
	local outside pid
	start_payload res_tree 1f2
	pid=$(container_pid "$ID")
	# its parent ends, and it is the init's; its session is its grandparent's
	nsenter --target "$pid" --mount --uts --ipc --net --pid --cgroup --root --wd \
		sh -c 'sleep 1000 </dev/null >/dev/null 2>&1 3>&- &'
	wait_for 5 pgrep -x -P "$pid" sleep
	outside=$(pgrep -x -P "$pid" sleep)
	echo "$outside" >"$(dirname "$(freezer_file "$ID")")/cgroup.procs"
	fails firn checkpoint --check "$ID"
	has "is in session 0"
	passes
}

@test "who shares descriptors with others than its parent, or is not in its session" {
	comes_back 1c2 2s 2c3 2x
	comes_back 1f2 2c3 3c4 3x 2c5
	comes_back 1f2 2s 2r 2f3 3c4 4c5 4x
}

@test "one that shares its descriptors with its grandparent alone is refused by the check" {
	start_payload res_tree 1c2 2c3 2u
	fails firn checkpoint --check "$ID"
	[[ $output =~ ^process\ ([0-9]+):\ the\ tree\ of\ processes\ \(process\ ([0-9]+)\ shares ]] ||
		fail "not named"
	equal "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "who is named"
	has "(end it, or let it have its own)"
	passes
}
