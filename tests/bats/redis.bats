#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# A Redis that saves nothing to disk survives checkpoints while it is written to.

load helpers

setup() {
	need_root
	need_command redis-server redis-cli
	setup_firn
}

teardown() {
	touch "$T/stop"
	wait
	teardown_firn
}

# Counts up for as long as it may, on a new connection whenever one is lost, and notes
# each number that Redis has acknowledged.
writer() {
	local got
	while [ ! -e "$T/stop" ]; do
		got=$(redis "$T/b" incr counter 2>/dev/null) || continue
		[[ $got =~ ^[0-9]+$ ]] && echo "$got" >>"$T/acked"
	done
}

acked() {
	tail -n 1 "$T/acked" 2>/dev/null || echo 0
}

acked_beyond() {
	[ "$(acked)" -gt "$1" ]
}

@test "redis: rounds of checkpoint and restore under load lose no acknowledged write" {
	local run_id round before
	make_redis_bundle "$T/b"
	new_id
	run_detached "$ID" "$T/b"
	wait_for_redis "$T/b"
	run_id=$(redis "$T/b" info server | sed -n 's/\r//; s/^run_id://p')
	: >"$T/acked"
	writer 3>&- &
	wait_for 10 acked_beyond 20
	for ((round = 0; round < FIRN_ROUNDS; round++)); do
		before=$(acked)
		ok firn checkpoint --allow ext-unix --image-path "$T/image" "$ID"
		restore_detached "$ID" "$T/b" "$T/image"
		wait_for 20 acked_beyond $((before + 20))
		rm -rf "$T/image"
	done
	touch "$T/stop"
	wait
	equal "$(redis "$T/b" info server | sed -n 's/\r//; s/^run_id://p')" "$run_id" run_id
	# every acknowledged number once, none taken back
	equal "$(sort -n "$T/acked" | uniq -d)" "" "doubled numbers"
	[ "$(redis "$T/b" get counter)" -ge "$(sort -n "$T/acked" | tail -n 1)" ] ||
		fail "an acknowledged write is lost"
}
