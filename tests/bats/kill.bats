#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# kill: signals by name and number, the words that callers look for, frozen containers.

load helpers
load payloads

# A container whose init writes the name of each signal it gets to /tmp/got.
run_trapper() {
	make_bundle "$T/b" sh -c 'for s in HUP TERM USR1 USR2 35; do trap "echo $s >>/tmp/got" $s; done; touch /tmp/ready; while :; do sleep 0.01; done'
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 exists "$T/b/rootfs/tmp/ready"
}

got() {
	[ "$(tail -n 1 "$T/b/rootfs/tmp/got" 2>/dev/null)" = "$1" ]
}

@test "signals by name, number, with SIG, in small letters; TERM by default" {
	run_trapper
	ok firn kill "$ID"
	wait_for 5 got TERM
	ok firn kill "$ID" HUP
	wait_for 5 got HUP
	ok firn kill "$ID" SIGUSR1
	wait_for 5 got USR1
	ok firn kill "$ID" 12
	wait_for 5 got USR2
	ok firn kill "$ID" sigterm
	wait_for 5 got TERM
	ok firn kill "$ID" 0
	ok firn kill "$ID" RTMIN+1
	wait_for 5 got 35
}

@test "unknown signals are refused" {
	run_trapper
	for signal in KILLL 99 -1 "" 9x SIG RTMIN+99 RTMAX+1; do
		fails firn kill "$ID" -- "$signal"
		fails firn kill "$ID" "$signal"
	done
	equal "$(container_status "$ID")" running
}

@test "the words that callers look for" {
	fails firn kill nobody KILL
	one_line
	has "does not exist"
	run_trapper
	ok firn kill "$ID" KILL
	wait_for 10 has_status "$ID" stopped
	fails firn kill "$ID" KILL
	one_line
	has "container not running"
	ok firn kill --all "$ID" KILL
}

@test "--all reaches every process" {
	make_bundle "$T/b" sh -c 'trap "echo init >>/tmp/got" USR1; sh -c "trap \"echo child >>/tmp/got\" USR1; touch /tmp/ready; while :; do sleep 0.01; done" & while :; do sleep 0.01; done'
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 exists "$T/b/rootfs/tmp/ready"
	# sleep has no handler: signals may hit it, and it is made again
	ok firn kill --all "$ID" USR1
	both() { grep -q init "$T/b/rootfs/tmp/got" && grep -q child "$T/b/rootfs/tmp/got"; }
	wait_for 5 both
}

# Counters in a file that is mapped: each instruction that a task ran would show.
@test "a frozen container is killed and deleted, and no task of it runs again" {
	for how in "kill KILL" "kill --all KILL" "delete --force"; do
		make_bundle "$T/b" counter /tmp/counts 20
		add_payload "$T/b" counter
		new_id
		run_detached "$ID" "$T/b"
		all_there() { [ "$(pids_in "$ID" | wc -l)" -eq 20 ] && [ "$(number_at "$T/b/rootfs/tmp/counts" 19)" -gt 0 ]; }
		wait_for 10 all_there
		ok firn pause "$ID"
		cp "$T/b/rootfs/tmp/counts" "$T/before"
		# handlers are waiting to run as well
		ok firn kill --all "$ID" HUP
		# shellcheck disable=SC2086
		case $how in
		"kill KILL") ok firn kill "$ID" KILL ;;
		"kill --all KILL") ok firn kill --all "$ID" KILL ;;
		*) ok firn delete --force "$ID" ;;
		esac
		if [ "$how" != "delete --force" ]; then
			# nothing to wait for: a frozen container is dead when kill returns
			equal "$(container_status "$ID")" stopped
			ok firn delete "$ID"
		fi
		is_gone "$ID" || fail "not gone"
		equal "$(cgroups_of "$ID")" "" "cgroups"
		cmp "$T/before" "$T/b/rootfs/tmp/counts" || fail "a task ran after the freeze ($how)"
		rm -rf "$T/b"
	done
}

@test "a frozen container keeps other signals for later" {
	run_trapper
	ok firn pause "$ID"
	ok firn kill "$ID" USR1
	equal "$(container_status "$ID")" paused
	sleep 0.1
	[ ! -e "$T/b/rootfs/tmp/got" ] || fail "the handler ran while frozen"
	ok firn resume "$ID"
	wait_for 5 got USR1
}

@test "KILL without a pid namespace of its own takes all processes" {
	make_bundle "$T/b" sh -c 'sleep 1000 & sleep 1001 & touch /tmp/ready; wait'
	edit_config "$T/b" 'del(.linux.namespaces[] | select(.type == "pid"))'
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 exists "$T/b/rootfs/tmp/ready"
	pids=$(pids_in "$ID")
	equal "$(wc -w <<<"$pids" | tr -d ' ')" 3
	ok firn kill "$ID" KILL
	for pid in $pids; do
		gone() { ! kill -0 "$pid" 2>/dev/null || grep -q '^State:.Z' "/proc/$pid/status"; }
		wait_for 5 gone
	done
}
