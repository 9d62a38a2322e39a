#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# events --states: every state, in order, until the container is deleted.

load helpers
load payloads

states() {
	jq -r '.data.firn' "$T/events" | tr '\n' ' '
}

@test "every change is told, the short ones, too" {
	make_bundle "$T/b" sleep 1000
	new_id
	"$FIRN" --root "$FIRN_ROOT" create --bundle "$T/b" "$ID" </dev/null >"$T/log" 2>&1 3>&-
	"$FIRN" --root "$FIRN_ROOT" events --states "$ID" >"$T/events" 2>"$T/err" 3>&- &
	events=$!
	wait_for 5 non_empty "$T/events"
	ok firn start "$ID"
	wanted="CREATED RUNNING "
	for ((i = 0; i < FIRN_ROUNDS; i++)); do
		ok firn pause "$ID"
		ok firn resume "$ID"
		wanted+="FREEZING FROZEN THAWING RUNNING "
	done
	# nobody but the kernel tells of this end
	kill -9 "$(container_pid "$ID")"
	wanted+="DEAD "
	dead() { [ "$(states)" = "$wanted" ]; }
	wait_for 5 dead
	ok firn delete "$ID"
	wait "$events" || fail "exit status $?"
	equal "$(states)" "$wanted"
	equal "$(cat "$T/err")" ""
	jq -e -s --arg id "$ID" 'all(.type == "state" and .id == $id and .time != null)' "$T/events"
	equal "$(jq -r 'select(.data.firn == "FROZEN").data.status' "$T/events" | sort -u)" paused
}

@test "missing, and without --states" {
	fails firn events --states nobody
	one_line
	has "does not exist"
	fails firn events nobody
	one_line
	has "does not exist"
}
