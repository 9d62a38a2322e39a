#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# pause and resume: every task stands still, and no program can tell.

load helpers
load payloads

teardown() {
	[ -z "${WATCHER:-}" ] || kill "$WATCHER" 2>/dev/null || :
	teardown_firn
}

@test "pause and resume: state, cgroup and CPU time" {
	make_bundle "$T/b" counter /tmp/counts 3
	add_payload "$T/b" counter
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 non_empty "$T/b/rootfs/tmp/counts"
	ok firn pause "$ID"
	equal "$output" ""
	equal "$(state_field "$ID" .status)" paused
	equal "$(state_field "$ID" .firn)" FROZEN
	cgroup_is_frozen "$ID" || fail "the cgroup is not frozen"
	before=$(od "$T/b/rootfs/tmp/counts")
	sleep 0.2
	equal "$(od "$T/b/rootfs/tmp/counts")" "$before" "what they counted while frozen"
	ok firn resume "$ID"
	equal "$(state_field "$ID" .firn)" RUNNING
	! cgroup_is_frozen "$ID" || fail "the cgroup is still frozen"
	moved() { [ "$(od "$T/b/rootfs/tmp/counts")" != "$before" ]; }
	wait_for 5 moved
}

@test "pause and resume in the wrong state: one line, nothing changed" {
	make_bundle "$T/b" sleep 1000
	new_id
	fails firn pause "$ID"
	one_line
	has "does not exist"
	run_detached "$ID" "$T/b"
	fails firn resume "$ID"
	one_line
	has "not paused"
	equal "$(container_status "$ID")" running
	ok firn pause "$ID"
	fails firn pause "$ID"
	one_line
	has "already paused"
	equal "$(container_status "$ID")" paused
	ok firn kill "$ID" KILL
	wait_for 10 has_status "$ID" stopped
	fails firn pause "$ID"
	has "container not running"
	fails firn resume "$ID"
	has "container not running"
}

@test "pause of a container that is created" {
	make_bundle "$T/b" sleep 1000
	new_id
	"$FIRN" --root "$FIRN_ROOT" create --bundle "$T/b" "$ID" </dev/null >"$T/log" 2>&1 3>&-
	fails firn pause "$ID"
	one_line
	has "created"
	equal "$(container_status "$ID")" created
}

# A shell waits for its children with WUNTRACED: what SIGSTOP does to one it is told at
# once. The watcher is that outer shell, the container's shell the inner one, which in
# turn has a child that it waits for.
@test "two nested shells, the inner one frozen and thawed: neither notices" {
	make_bundle "$T/b" sh -c 'sh -c "echo \$\$ >/tmp/inner; while [ ! -e /tmp/go ]; do sleep 0.01; done; exit 5"; echo "inner ended with $?" >/tmp/outcome; while :; do sleep 0.01; done'
	new_id
	"$(payload watcher)" "$T/watched" "$FIRN" --root "$FIRN_ROOT" run -d --bundle "$T/b" "$ID" \
		</dev/null >"$T/log" 2>&1 3>&- &
	WATCHER=$!
	wait_for 10 non_empty "$T/b/rootfs/tmp/inner"
	pid=$(container_pid "$ID")
	for ((i = 0; i < 5 * FIRN_ROUNDS; i++)); do
		ok firn pause "$ID"
		ok firn resume "$ID"
	done
	ok firn pause "$ID"
	sleep 0.2
	ok firn resume "$ID"
	touch "$T/b/rootfs/tmp/go"
	wait_for 10 non_empty "$T/b/rootfs/tmp/outcome"
	equal "$(cat "$T/b/rootfs/tmp/outcome")" "inner ended with 5"
	run grep "^$pid " "$T/watched"
	equal "$output" "" "what the outer shell saw"
	# and it would have seen the signals
	kill -STOP "$pid"
	wait_for 5 grep -q "^$pid stopped 19" "$T/watched"
	kill -CONT "$pid"
	wait_for 5 grep -q "^$pid continued" "$T/watched"
}

@test "gdb runs a program in the container: frozen and thawed, neither notices" {
	need_command gdb
	make_gdb_bundle "$T/b" -ex "break next_step" -ex "ignore 1 1000000" -ex run \
		-ex "info breakpoints"
	new_id
	run_detached "$ID" "$T/b"
	wait_for 60 non_empty "$T/b/rootfs/tmp/progress"
	progress() { [ "$(cat "$T/b/rootfs/tmp/progress")" -gt "$1" ]; }
	for ((i = 0; i < 2 * FIRN_ROUNDS; i++)); do
		ok firn pause "$ID"
		before=$(cat "$T/b/rootfs/tmp/progress")
		sleep 0.05
		equal "$(cat "$T/b/rootfs/tmp/progress")" "$before" "progress while frozen"
		ok firn resume "$ID"
		wait_for 10 progress "$((before))"
	done
	touch "$T/b/rootfs/tmp/go"
	wait_for 30 has_status "$ID" stopped
	output=$(cat "$T/$ID.log")
	has "undisturbed"
	has "breakpoint already hit"
	has "exited with code 07"
	lacks "received signal"
	lacks "SIG"
}

@test "200 forking tasks: all frozen, none left running" {
	make_bundle "$T/b" forker 200
	add_payload "$T/b" forker
	new_id
	run_detached "$ID" "$T/b"
	many() { [ "$(pids_in "$ID" | wc -l)" -ge 150 ]; }
	wait_for 20 many
	for ((i = 0; i < FIRN_ROUNDS; i++)); do
		ok firn pause "$ID"
		pids=$(pids_in "$ID")
		# shellcheck disable=SC2086
		before=$(all_ticks $pids)
		sleep 0.3
		equal "$(pids_in "$ID")" "$pids" "processes"
		# shellcheck disable=SC2086
		equal "$(all_ticks $pids)" "$before" "CPU times"
		ok firn resume "$ID"
		changed() { [ "$(pids_in "$ID")" != "$pids" ]; }
		wait_for 10 changed
	done
}

@test "pause during a vfork" {
	make_bundle "$T/b" vforker /tmp/ready /tmp/go /tmp/done
	add_payload "$T/b" vforker
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 exists "$T/b/rootfs/tmp/ready"
	ok firn pause "$ID"
	touch "$T/b/rootfs/tmp/go"
	sleep 0.2
	[ ! -e "$T/b/rootfs/tmp/done" ] || fail "the parent ran while frozen"
	ok firn resume "$ID"
	wait_for 10 non_empty "$T/b/rootfs/tmp/done"
	equal "$(cat "$T/b/rootfs/tmp/done")" 42
}

# start_stuck: a container with a task that cannot be frozen, and one that counts.
start_stuck() {
	local tmp=$T/b/rootfs/tmp
	make_bundle "$T/b" sh -c 'wontfreeze /tmp/ready || echo $? >/tmp/ended & exec counter /tmp/counts 2'
	add_payload "$T/b" wontfreeze counter
	edit_config "$T/b" '.process.capabilities[] += ["CAP_SYS_PTRACE"] | del(.linux.seccomp)'
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 test -e "$tmp/ready" -o -s "$tmp/ended"
	[ ! -e "$tmp/ended" ] || equal "$(cat "$tmp/ended")" 77 "exit status of wontfreeze"
	[ ! -e "$tmp/ended" ] || skip "wants userfaultfd for kernel faults"
}

@test "a task that cannot be frozen: named after the deadline, the container runs on" {
	start_stuck
	stuck=$(pids_in "$ID" | while read -r pid; do
		[ "$(cat "/proc/$pid/comm")" != wontfreeze ] || echo "$pid"
	done | head -1)
	wait_for 5 grep -q handle_userfault "/proc/$stuck/wchan"
	begin=${EPOCHREALTIME/./}
	fails firn pause --timeout 1 "$ID"
	ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
	[ "$ms" -ge 1000 ] && [ "$ms" -lt $((1000 + 2000 * FIRN_SLOW)) ] || fail "gave up after $ms ms"
	one_line
	has "not frozen within 1000 ms"
	has "$stuck (wontfreeze)"
	lacks counter
	equal "$(state_field "$ID" .firn)" RUNNING
	! cgroup_is_frozen "$ID" || fail "left frozen"
	before=$(od "$T/b/rootfs/tmp/counts")
	moved() { [ "$(od "$T/b/rootfs/tmp/counts")" != "$before" ]; }
	wait_for 5 moved
}

@test "a pause that is interrupted leaves the container running" {
	start_stuck
	for signal in TERM INT; do
		# bash lets what it starts in the background ignore SIGINT
		env --default-signal=INT "$FIRN" --root "$FIRN_ROOT" pause --timeout 100 "$ID" \
			</dev/null >"$T/out" 2>&1 3>&- &
		pause=$!
		wait_for 10 firn_state_is "$ID" FREEZING
		kill "-$signal" "$pause"
		status=0
		wait "$pause" || status=$?
		equal "$status" 1 "exit status"
		output=$(cat "$T/out")
		mapfile -t lines <"$T/out"
		one_line
		has cancelled
		# written down, not found out by who looks
		equal "$(jq -r .state "$FIRN_ROOT/$ID/state.json")" RUNNING
		! cgroup_is_frozen "$ID" || fail "left frozen"
		before=$(od "$T/b/rootfs/tmp/counts")
		moved() { [ "$(od "$T/b/rootfs/tmp/counts")" != "$before" ]; }
		wait_for 5 moved
	done
}

@test "frozen from outside: not called paused, not thawed by resume, told apart" {
	make_bundle "$T/b" sleep 1000
	new_id
	edit_config "$T/b" --arg p "/firn-outer-$ID/$ID" '.linux.cgroupsPath = $p'
	run_detached "$ID" "$T/b"
	base=/sys/fs/cgroup
	[ ! -d $base/freezer ] || base=$base/freezer
	outer=$base/firn-outer-$ID
	if [ -e "$outer/freezer.state" ]; then
		file=$outer/freezer.state on=FROZEN off=THAWED
	else
		file=$outer/cgroup.freeze on=1 off=0
	fi
	echo $on >"$file"
	equal "$(container_status "$ID")" running
	ok firn pause "$ID"
	fails firn resume "$ID"
	one_line
	has "frozen by a cgroup above"
	equal "$(container_status "$ID")" paused
	echo $off >"$file"
	equal "$(container_status "$ID")" paused
	ok firn resume "$ID"
	equal "$(container_status "$ID")" running
	ok firn delete --force "$ID"
	rmdir "$outer"
	for dir in /sys/fs/cgroup/*/"firn-outer-$ID"; do
		[ ! -d "$dir" ] || rmdir "$dir"
	done
}
