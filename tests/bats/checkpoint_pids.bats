#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2034 # CK_EDIT is for ck_start
# Containers without a pid namespace of their own: their pids may be taken at a restore.

load helpers
load payloads
load ck

setup() {
	need_root
	setup_firn
	HOLDER=
}

teardown() {
	[ -z "$HOLDER" ] || kill -9 "$HOLDER" 2>/dev/null || :
	teardown_firn
}

# A pid namespace in which nobody else makes processes; HOLDER is its first one, and reaps.
make_pid_namespace() {
	unshare --pid --fork --kill-child sh -c 'while :; do sleep 1000 & wait; done' \
		</dev/null >/dev/null 2>&1 3>&- &
	wait_for 5 pgrep -P $!
	HOLDER=$(pgrep -P $!)
}

# start_joined: six workers in three processes, in HOLDER's pid namespace.
start_joined() {
	make_pid_namespace
	CK_EDIT='(.linux.namespaces[] | select(.type == "pid")).path = "/proc/'$HOLDER'/ns/pid"'
	ck_start ck_worker
}

# inner_pid PID: in its own pid namespace.
inner_pid() {
	awk '/^NSpid/ { print $NF }' "/proc/$1/status"
}

# take_pid N: a process TAKER that has it in HOLDER's pid namespace.
take_pid() {
	local ns=--pid=/proc/$HOLDER/ns/pid
	nsenter "$ns" sh -c "echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid"
	nsenter "$ns" sleep 1000 </dev/null >/dev/null 2>&1 3>&- &
	NSENTER=$!
	wait_for 5 pgrep -P $NSENTER
	TAKER=$(pgrep -P $NSENTER)
	equal "$(inner_pid "$TAKER")" "$1" "pid of the taker"
}

# Dead processes keep their pids until their parents have heard of it.
checkpoint_and_wait() {
	local pids
	pids=$(pids_in "$ID")
	ck_checkpoint
	reaped() {
		# shellcheck disable=SC2086
		! ps -o pid= -p "$(echo $pids | tr ' ' ,)"
	}
	wait_for 20 reaped
}

restore_fails() {
	fails timeout -k 1 60 "$FIRN" --root "$FIRN_ROOT" restore --detach --image-path "$IMAGE" \
		--bundle "$B" "$ID" </dev/null 3>&-
	one_line
}

@test "a shared pid namespace: the container comes back with its pids" {
	start_joined
	before=$(for p in $(pids_in "$ID"); do inner_pid "$p"; done | sort)
	checkpoint_and_wait
	ck_restore
	works
	equal "$(for p in $(pids_in "$ID"); do inner_pid "$p"; done | sort)" "$before" pids
}

@test "a shared pid namespace: a pid that is taken is named, and nothing is left" {
	start_joined
	init=$(inner_pid "$(container_pid "$ID")")
	child=$(for p in $(pids_in "$ID"); do inner_pid "$p"; done | sort -n | tail -n 1)
	checkpoint_and_wait
	for pid in "$init" "$child"; do
		take_pid "$pid"
		restore_fails
		has "pid $pid is taken"
		nothing_left
		has_image || fail "the image is damaged"
		[ -d "/proc/$TAKER" ] || fail "the other process was killed"
		kill -9 "$TAKER"
		wait "$NSENTER" || :
	done
	ck_restore
	works
}

@test "the host's pid namespace" {
	CK_EDIT='.linux.namespaces |= map(select(.type != "pid"))
		| .mounts |= map(select(.destination != "/proc"))'
	ck_start ck_worker
	pid=$(container_pid "$ID")
	checkpoint_and_wait
	"$FIRN" --root "$FIRN_ROOT" restore --image-path "$IMAGE" --bundle "$B" "$ID" \
		</dev/null >"$T/front" 2>&1 3>&- &
	front=$!
	wait_for 20 has_status "$ID" running
	runs_sealed "$front" || fail "whoever shares the pid namespace sees the runtime's own file"
	equal "$(container_pid "$ID")" "$pid"
	works
}

@test "another pid namespace than at the checkpoint is refused before anything is made" {
	CK_EDIT='.linux.namespaces |= map(select(.type != "pid"))
		| .mounts |= map(select(.destination != "/proc"))'
	ck_start ck_worker
	ck_checkpoint
	edit_config "$B" '.linux.namespaces += [{type: "pid"}]'
	restore_fails
	has "shared a pid namespace"
	nothing_left

	unset CK_EDIT
	ck_start ck_worker
	ck_checkpoint
	edit_config "$B" '.linux.namespaces |= map(select(.type != "pid"))
		| .mounts |= map(select(.destination != "/proc"))'
	restore_fails
	has "had a pid namespace of its own"
	nothing_left
}
