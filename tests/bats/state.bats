#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# state: the OCI status and Firn's own, and nothing else on any stream.

load helpers
load payloads

@test "from created to stopped" {
	make_bundle "$T/b" sleep 1000
	new_id
	"$FIRN" --root "$FIRN_ROOT" create --bundle "$T/b" "$ID" </dev/null >"$T/log" 2>&1 3>&-
	equal "$(state_field "$ID" '"\(.status) \(.firn)"')" "created CREATED"
	ok firn start "$ID"
	equal "$(state_field "$ID" '"\(.status) \(.firn)"')" "running RUNNING"
	pid=$(container_pid "$ID")
	equal "$(cat "/proc/$pid/comm")" sleep
	kill -9 "$pid"
	wait_for 10 has_status "$ID" stopped
	equal "$(state_field "$ID" '"\(.pid) \(.firn)"')" "0 DEAD"
}

@test "members as the specification and runc have them" {
	make_bundle "$T/b" sleep 1000
	edit_config "$T/b" '.annotations = {"org.example": "yes"}'
	new_id
	run_detached "$ID" "$T/b"
	ok firn state "$ID"
	equal "$(jq -r '.id, .bundle, .rootfs, .annotations["org.example"]' <<<"$output")" \
		"$(printf '%s\n' "$ID" "$T/b" "$T/b/rootfs" yes)"
	jq -e '.created | test("^20..-..-..T..:..:..[.][0-9]+Z$")' <<<"$output"
	jq -e '.ociVersion and (.pid > 0)' <<<"$output"
}

@test "an empty environment, and not a byte on standard error" {
	make_bundle "$T/b" sleep 1000
	new_id
	run_detached "$ID" "$T/b"
	env -i XDG_RUNTIME_DIR=/nowhere "$FIRN" --root "$FIRN_ROOT" state "$ID" 2>"$T/err" | jq -e .status
	[ ! -s "$T/err" ] || fail "standard error: $(cat "$T/err")"
	for verb in pause resume "kill KILL" delete; do
		# shellcheck disable=SC2086
		set -- $verb
		wait_for 5 env -i "$FIRN" --root "$FIRN_ROOT" "$1" "$ID" ${2:+"$2"}
	done
}

@test "missing, and with its bundle gone" {
	fails firn state nobody
	one_line
	has "does not exist"
	make_bundle "$T/b" sleep 1000
	new_id
	run_detached "$ID" "$T/b"
	mv "$T/b/config.json" "$T/elsewhere"
	equal "$(container_status "$ID")" running
}

@test "a damaged state file is one clear line, and hides no other container" {
	make_bundle "$T/b" sleep 1000
	new_id
	run_detached "$ID" "$T/b"
	mkdir "$FIRN_ROOT/bad"
	for text in '{' '[]' '{"version": 1}' '{"version": 99}' "$(jq '.init.pid = -5' "$FIRN_ROOT/$ID/state.json")"; do
		printf '%s' "$text" >"$FIRN_ROOT/bad/state.json"
		for verb in state pause kill delete "delete --force"; do
			# shellcheck disable=SC2086
			fails firn $verb bad
			one_line
			has "$FIRN_ROOT/bad/state.json"
		done
		run firn list -q
		has "$ID"
	done
}

@test "a container whose state file is damaged is deleted by its cgroup" {
	make_bundle "$T/b" sleep 1000
	for text in '{' '' '{"version": 99}' keep; do
		new_id
		run_detached "$ID" "$T/b"
		pid=$(container_pid "$ID")
		state=$FIRN_ROOT/$ID/state.json
		if [ "$text" = keep ]; then
			text=$(head -c 300 "$state")
		fi
		printf '%s' "$text" >"$state"
		if [ -n "$text" ]; then
			fails firn delete "$ID"
			one_line
			has "delete --force"
		fi
		ok firn delete --force "$ID"
		if [ -n "$text" ]; then
			one_line
			has "$state"
		fi
		is_gone "$ID" || fail "not gone"
		equal "$(cgroups_of "$ID")" "" cgroups
		[ ! -e "/proc/$pid" ] || grep -q '^State:.Z' "/proc/$pid/status" || fail "still runs"
	done
}

@test "an empty state file, as a crash of the machine may leave it, can be deleted" {
	mkdir "$FIRN_ROOT/crashed"
	: >"$FIRN_ROOT/crashed/state.json"
	equal "$(container_status crashed)" stopped
	ok firn delete crashed
	is_gone crashed || fail "not gone"
}
