#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# A Redis that saves nothing to disk survives checkpoints while it is written to.

load helpers
load payloads

setup() {
	need_root
	need_command redis-server redis-cli
	setup_firn
}

teardown() {
	rm -f "$T/run"
	wait
	teardown_firn
}

# One client and its one connection: redis-cli connects again by itself when that is lost, and
# prints each number that Redis has acknowledged.
client() {
	(cd "$T/b/rootfs/data" && exec stdbuf -oL redis-cli -s redis.sock) \
		< <(while [ -e "$T/run" ]; do echo incr counter; read -rt 0.002 <> <(:) || :; done) \
		>"$T/acked" 2>"$T/lost" 3>&- &
	CLIENT=$!
}

acked() {
	local last
	last=$(tail -n 1 "$T/acked")
	echo "${last:-0}"
}

acked_beyond() {
	[ "$(acked)" -gt "$1" ]
}

run_id() {
	redis "$T/b" info server | sed -n 's/\r//; s/^run_id://p'
}

# tasks_inside: pid, thread id and name of all tasks as the container knows them.
tasks_inside() {
	local pid
	for pid in $(pids_in "$ID"); do
		awk '/^Name:/ { name = $2 } /^NStgid:/ { pid = $NF } /^NSpid:/ { print pid, $NF, name }' \
			"/proc/$pid"/task/*/status
	done | sort
}

@test "redis: rounds of checkpoint and restore under load lose no acknowledged write" {
	local was tasks round before
	make_redis_bundle "$T/b"
	new_id
	run_detached "$ID" "$T/b"
	wait_for_redis "$T/b"
	was=$(run_id)
	tasks=$(tasks_inside)
	touch "$T/run"
	client
	wait_for 10 acked_beyond 20
	for ((round = 0; round < FIRN_ROUNDS; round++)); do
		before=$(acked)
		ok firn checkpoint --allow ext-unix --image-path "$T/image" "$ID"
		restore_detached "$ID" "$T/b" "$T/image"
		wait_for 20 acked_beyond $((before + 20))
		equal "$(tasks_inside)" "$tasks" "tasks in round $round"
		rm -rf "$T/image"
	done
	rm "$T/run"
	[ -s "$T/lost" ] || fail "the client has never lost its connection"
	wait "$CLIENT" || fail "the client has ended: $(tail -n 3 "$T/lost")"
	equal "$(run_id)" "$was" run_id
	# every acknowledged number once, in order, and none taken back
	equal "$(sort -nu "$T/acked" | cmp - "$T/acked" 2>&1)" "" "order of the numbers"
	[ "$(redis "$T/b" get counter)" -ge "$(acked)" ] ||
		fail "an acknowledged write is lost"
}
