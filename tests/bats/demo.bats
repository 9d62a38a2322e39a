#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# `make demo` with less data. Every figure in it is checked by itself, so that it can only end well
# if the values, the run_id and the pipeline's output are what they were.

load helpers

@test "the demo: gdb reads Redis's core, a restored Redis goes on, a pipeline goes on in mid-stream" {
	local count=1000000
	need_root
	need_command redis-server redis-cli gdb
	# firn has to come while the pipeline is in mid-stream
	[ -z "${FIRN_MEMCHECK:-}" ] || count=20000000
	TMPDIR=$T FIRN=$FIRN FIRN_DEMO_KEYS=1000 FIRN_DEMO_LINES=$count ok "$REPO/tests/demo/demo"
	has "1000 keys, "
	# the main thread and at least the three of bio.c; where the main one was
	[[ $output =~ ([0-9]+)" threads; Redis's own" ]] && [ "${BASH_REMATCH[1]}" -ge 4 ] || fail "not Redis's threads"
	[[ $output =~ gdb:\ #0\ .*epoll_wait.*gdb:.*aeMain.*gdb:.*main\ \( ]] || fail "not Redis's stack"
	has "  1 redis-server  (parent 0, group 1, session 1)"
	has "same values, same run_id; a new key: SET OK, now 1001 keys"
	has '"task-1.core" is damaged'
	has "All of it held."
	equal "$(find "$T" -mindepth 1 -maxdepth 1 -name 't.*')" "" "what the demo leaves"
}
