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
	ok firn checkpoint --leave-running --image-path "$T/image" "$ID"
	wanted+="FREEZING FROZEN CKPTING FROZEN THAWING RUNNING "
	fails env FIRN_FAULT=checkpoint-seal:EIO "$FIRN" --root "$FIRN_ROOT" checkpoint \
		--image-path "$T/none" "$ID"
	wanted+="FREEZING FROZEN CKPTING FROZEN THAWING RUNNING "
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
	# by a user, and then by checkpoints
	equal "$(jq -r 'select(.data.firn == "FROZEN").data.status' "$T/events" | uniq)" $'paused\nrunning'
}

# The image is durable in CKPTING, and the container dead in no other state than DEAD.
@test "the states of a checkpoint for good, and of a restore" {
	make_bundle "$T/b" sleep 1000
	new_id
	for ((i = 0; i < FIRN_ROUNDS; i++)); do
		run_detached "$ID" "$T/b"
		rm -f "$T/events" # else what it said before is taken for its start
		"$FIRN" --root "$FIRN_ROOT" events --states "$ID" >"$T/events" 2>"$T/err" 3>&- &
		events=$!
		wait_for 5 non_empty "$T/events"
		ok firn checkpoint --image-path "$T/image" "$ID"
		wait "$events" || fail "exit status $?"
		equal "$(states)" "RUNNING FREEZING FROZEN CKPTING FROZEN DEAD "
		# stopped in its first state, so that there is somebody to ask
		FIRN_FAULT=creating:stop "$FIRN" --root "$FIRN_ROOT" restore --detach --bundle "$T/b" \
			--image-path "$T/image" "$ID" </dev/null >"$T/log" 2>&1 3>&- &
		restore=$!
		# shellcheck disable=SC2317 # by wait_for
		stopped() { grep -q '^State:.T' "/proc/$restore/status"; }
		wait_for 5 stopped
		rm -f "$T/events" # else what it said before is taken for its start
		"$FIRN" --root "$FIRN_ROOT" events --states "$ID" >"$T/events" 2>"$T/err" 3>&- &
		events=$!
		wait_for 5 non_empty "$T/events"
		kill -CONT "$restore"
		wait "$restore" || fail "restore: $(cat "$T/log")"
		ok firn delete --force "$ID"
		wait "$events" || fail "exit status $?"
		equal "$(states)" "CREATING RSTRTING FROZEN THAWING RUNNING DEAD "
		equal "$(cat "$T/err")" ""
	done
}

@test "missing, and without --states" {
	fails firn events --states nobody
	one_line
	has "does not exist"
	fails firn events nobody
	one_line
	has "does not exist"
}
