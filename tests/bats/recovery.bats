#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The runtime is killed with -9 in each passing state; the next verb, whichever, works.

load helpers
load payloads

# killed_in POINT VERB...: runs firn VERB with a SIGKILL at the fault point.
killed_in() {
	local point=$1
	shift
	run env FIRN_FAULT="$point:kill" "$FIRN" --root "$FIRN_ROOT" "$@" </dev/null 3>&-
	equal "$status" 137 "exit status of firn $1"
}

run_counter() {
	make_bundle "$T/b" counter /tmp/counts 3
	add_payload "$T/b" counter
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 non_empty "$T/b/rootfs/tmp/counts"
}

counts_on() {
	before=$(od "$T/b/rootfs/tmp/counts")
	moved() { [ "$(od "$T/b/rootfs/tmp/counts")" != "$before" ]; }
	wait_for 5 moved
}

@test "pause killed in FREEZING: the next verb finds it running" {
	run_counter
	for verb in "state" "pause" "list" "ps" "kill 0"; do
		killed_in freezing pause "$ID"
		equal "$(jq -r .state "$FIRN_ROOT/$ID/state.json")" FREEZING
		# shellcheck disable=SC2086
		case $verb in
		list) ok firn list ;;
		kill*) ok firn kill "$ID" 0 ;;
		*) ok firn $verb "$ID" ;;
		esac
		[ "$verb" != pause ] || ok firn resume "$ID"
		equal "$(state_field "$ID" .firn)" RUNNING
		counts_on
	done
}

# as above, but the tasks are frozen already when the runtime dies
@test "pause killed between the freeze and FROZEN" {
	run_counter
	killed_in write-frozen pause "$ID"
	cgroup_is_frozen "$ID" || fail "not frozen"
	equal "$(container_status "$ID")" running
	! cgroup_is_frozen "$ID" || fail "still frozen"
	counts_on
	killed_in write-frozen pause "$ID"
	ok firn pause "$ID"
	equal "$(container_status "$ID")" paused
	ok firn resume "$ID"
	counts_on
}

@test "pause killed in FROZEN has paused it" {
	run_counter
	killed_in frozen pause "$ID"
	equal "$(container_status "$ID")" paused
	ok firn resume "$ID"
	counts_on
}

@test "resume killed in THAWING: the thaw is finished" {
	run_counter
	for verb in "state" "pause" "kill 0"; do
		ok firn pause "$ID"
		killed_in thawing resume "$ID"
		equal "$(jq -r .state "$FIRN_ROOT/$ID/state.json")" THAWING
		# shellcheck disable=SC2086
		case $verb in
		kill*) ok firn kill "$ID" 0 ;;
		*) ok firn $verb "$ID" ;;
		esac
		[ "$verb" != pause ] || ok firn resume "$ID"
		equal "$(state_field "$ID" .firn)" RUNNING
		counts_on
	done
	ok firn pause "$ID"
	killed_in write-running resume "$ID"
	equal "$(container_status "$ID")" running
	counts_on
}

@test "the recovery itself killed" {
	run_counter
	killed_in freezing pause "$ID"
	killed_in thawing resume "$ID"
	killed_in write-running resume "$ID"
	equal "$(container_status "$ID")" running
	counts_on
}

@test "create killed: nothing of it is in the way of another" {
	make_bundle "$T/b" sleep 1000
	for point in write-creating creating write-created created; do
		new_id
		# into a file: bats' own run would wait for an init that holds its pipe
		status=0
		env FIRN_FAULT="$point:kill" "$FIRN" --root "$FIRN_ROOT" create --bundle "$T/b" "$ID" \
			</dev/null >"$T/log" 2>&1 3>&- || status=$?
		equal "$status" 137 "exit status at $point"
		ok firn delete --force "$ID"
		is_gone "$ID" || fail "not gone after $point"
		equal "$(cgroups_of "$ID")" "" "cgroups after $point"
		run_detached "$ID" "$T/b"
		equal "$(container_status "$ID")" running
		ok firn delete --force "$ID"
	done
}

@test "start killed" {
	make_bundle "$T/b" sleep 1000
	new_id
	"$FIRN" --root "$FIRN_ROOT" create --bundle "$T/b" "$ID" </dev/null >"$T/log" 2>&1 3>&-
	killed_in running start "$ID"
	equal "$(container_status "$ID")" running
	ok firn pause "$ID"
	ok firn delete --force "$ID"
	equal "$(cgroups_of "$ID")" "" "cgroups"
}

@test "delete killed can be repeated" {
	run_counter
	killed_in dead delete --force "$ID"
	equal "$(container_status "$ID")" stopped
	ok firn delete "$ID"
	is_gone "$ID" || fail "not gone"
	equal "$(cgroups_of "$ID")" "" "cgroups"
}

@test "a full disk: the state file stays as it was" {
	run_counter
	run env FIRN_FAULT=write-freezing:ENOSPC "$FIRN" --root "$FIRN_ROOT" pause "$ID"
	[ "$status" -ne 0 ] || fail "succeeded"
	has "No space left"
	equal "$(container_status "$ID")" running
	run env FIRN_FAULT=write-frozen:ENOSPC "$FIRN" --root "$FIRN_ROOT" pause "$ID"
	[ "$status" -ne 0 ] || fail "succeeded"
	equal "$(container_status "$ID")" running
	counts_on
	ok firn pause "$ID"
	ok firn resume "$ID"
}

@test "busy: the second verb says with what, and --wait waits" {
	run_counter
	env FIRN_FAULT=freezing:stop "$FIRN" --root "$FIRN_ROOT" pause "$ID" >"$T/log" 2>&1 3>&- &
	pause=$!
	is_freezing() { [ "$(jq -r .state "$FIRN_ROOT/$ID/state.json")" = FREEZING ]; }
	wait_for 5 is_freezing
	stopped() { grep -q '^State:.T' "/proc/$pause/status"; }
	wait_for 5 stopped
	fails firn resume "$ID"
	one_line
	has "busy with \"pause\", pid $pause, since 20"
	equal "$(state_field "$ID" .firn)" FREEZING
	"$FIRN" --root "$FIRN_ROOT" resume --wait "$ID" >"$T/resume.log" 2>&1 3>&- &
	resume=$!
	sleep 0.2
	kill -0 "$resume" || fail "did not wait"
	kill -CONT "$pause"
	wait "$pause" || fail "pause failed"
	wait "$resume" || fail "resume failed"
	equal "$(state_field "$ID" .firn)" RUNNING
}

@test "delete is killed while it removes the container's directory" {
	need_command strace
	need_native
	make_bundle "$T/b" sleep 1000
	new_id
	run_detached "$ID" "$T/b"
	strace -o "$T/trace" "$FIRN" --root "$FIRN_ROOT" delete --force "$ID" 3>&-
	# the cgroups' directories are removed by rmdir too
	for call in rename unlinkat rmdir; do
		calls=$(grep -c "^$call(" "$T/trace") || :
		[ "$calls" -gt 0 ] || fail "no $call"
		for ((n = 1; n <= calls; n++)); do
			echo "# $call $n"
			run_detached "$ID" "$T/b"
			run strace -o /dev/null -e "inject=$call:signal=SIGKILL:when=$n" "$FIRN" \
				--root "$FIRN_ROOT" delete --force "$ID" 3>&-
			ok firn delete --force "$ID"
			is_gone "$ID" || fail "not gone"
			equal "$(cgroups_of "$ID")" "" cgroups
		done
	done
}

# A worker that somebody has stopped, with or without the lock, would be waited for for ever.
@test "delete --force does not wait for a worker that is stopped" {
	make_bundle "$T/b" sleep 1000
	new_id
	run_detached "$ID" "$T/b"
	ok firn checkpoint --leave-running --image-path "$T/image" "$ID"
	ok firn delete --force "$ID"
	for work in "creating create" "freezing pause" "checkpoint-begin checkpoint" \
		"freezing checkpoint" "checkpoint-capture checkpoint" "restore-tree restore"; do
		echo "# $work"
		point=${work% *}
		case ${work#* } in
		create) args=(create --bundle "$T/b") ;;
		restore) args=(restore --detach --bundle "$T/b" --image-path "$T/image") ;;
		checkpoint) args=(checkpoint --image-path "$T/new") ;;
		*) args=("${work#* }") ;;
		esac
		case ${args[0]} in
		pause | checkpoint) run_detached "$ID" "$T/b" ;;
		esac
		FIRN_FAULT=$point:stop "$FIRN" --root "$FIRN_ROOT" "${args[@]}" "$ID" \
			</dev/null >"$T/log" 2>&1 3>&- &
		worker=$!
		stopped() { grep -q '^State:.T' "/proc/$worker/status"; }
		wait_for 10 stopped
		ok timeout $((10 * FIRN_SLOW)) "$FIRN" --root "$FIRN_ROOT" delete --force "$ID"
		is_gone "$ID" || fail "not gone"
		equal "$(cgroups_of "$ID")" "" cgroups
		wait "$worker" || :
		[ ! -e "$T/new" ] || fail "an image is left"
	done
}
