#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# delete: what it removes, what it refuses.

load helpers
load payloads

@test "a stopped container goes without a trace" {
	make_bundle "$T/b" true
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 has_status "$ID" stopped
	ok firn delete "$ID"
	equal "$output" ""
	is_gone "$ID" || fail "not gone"
	equal "$(cgroups_of "$ID")" "" "cgroups"
	equal "$(ls -A "$FIRN_ROOT")" "" "state directory"
}

@test "one that runs or is paused is refused without --force" {
	make_bundle "$T/b" sleep 1000
	new_id
	run_detached "$ID" "$T/b"
	fails firn delete "$ID"
	one_line
	has "not stopped: running"
	ok firn pause "$ID"
	fails firn delete "$ID"
	has "not stopped: paused"
	equal "$(container_status "$ID")" paused
	ok firn delete --force "$ID"
	is_gone "$ID" || fail "not gone"
	equal "$(cgroups_of "$ID")" "" "cgroups"
}

@test "one that is created goes without --force" {
	make_bundle "$T/b" sleep 1000
	new_id
	"$FIRN" --root "$FIRN_ROOT" create --bundle "$T/b" "$ID" </dev/null >"$T/log" 2>&1 3>&-
	pid=$(container_pid "$ID")
	ok firn delete "$ID"
	gone() { ! kill -0 "$pid" 2>/dev/null || grep -q '^State:.Z' "/proc/$pid/status"; }
	wait_for 5 gone
	is_gone "$ID" || fail "not gone"
}

@test "missing: an error, but none with --force" {
	fails firn delete nobody
	one_line
	has "does not exist"
	ok firn delete --force nobody
	equal "$output" ""
}

@test "all whose ids match a regular expression" {
	local one two other
	make_bundle "$T/b" sleep 1000
	new_id web && one=$ID
	new_id web && two=$ID
	new_id db && other=$ID
	run_detached "$one" "$T/b"
	"$FIRN" --root "$FIRN_ROOT" create --bundle "$T/b" "$two" </dev/null >"$T/log" 2>&1 3>&-
	run_detached "$other" "$T/b"
	# those that can be, and the others are named
	fails firn delete --regex '^(web|db)-'
	has "$one: cannot delete"
	has "$other: cannot delete"
	has "firn: delete: 2 of 3 containers could not be deleted"
	is_gone "$two" || fail "not gone"
	ok firn delete --force --regex '^web-.*[0-9]$'
	is_gone "$one" || fail "not gone"
	has_status "$other" running
	ok firn delete --force --regex nobody
	fails firn delete --force --regex '('
	one_line
	has_status "$other" running
}

@test "hostile ids" {
	touch "$T/precious"
	for id in .. . ../precious a/b /etc "a b" $'a\nb' "" "$(printf 'x%.0s' {1..300})"; do
		for verb in "delete --force" delete kill state pause resume; do
			# shellcheck disable=SC2086
			fails firn $verb -- "$id"
			has "invalid container id"
		done
	done
	[ -e "$T/precious" ] || fail "deleted"
}

@test "poststop hooks run after the deletion; that they fail changes nothing" {
	make_bundle "$T/b" true
	edit_config "$T/b" --arg f "$T/hook" '.hooks.poststop = [
		{path: "/bin/sh", args: ["sh", "-c", "cat >\($f); exit 3"]},
		{path: "/bin/sh", args: ["sh", "-c", "touch \($f)2"]}]'
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 has_status "$ID" stopped
	ok firn delete "$ID"
	equal "$(jq -r .status "$T/hook")" stopped
	equal "$(jq -r .id "$T/hook")" "$ID"
	[ -e "$T/hook2" ] || fail "the second hook did not run"
	is_gone "$ID" || fail "not gone"
}

@test "cgroups that the container made below its own go with it" {
	make_bundle "$T/b" sleep 1000
	new_id
	run_detached "$ID" "$T/b"
	dir=$(dirname "$(freezer_file "$ID")")
	mkdir -p "$dir/x/y" "$dir/z"
	ok firn delete --force "$ID"
	equal "$(cgroups_of "$ID")" "" "cgroups"
}

@test "one that somebody has moved into a cgroup that is frozen" {
	[ -d /sys/fs/cgroup/freezer ] || skip "wants the freezer of cgroup v1"
	make_bundle "$T/b" sleep 1000
	new_id
	local frozen=/sys/fs/cgroup/freezer/frozen-$ID
	run_detached "$ID" "$T/b"
	mkdir "$frozen"
	container_pid "$ID" >"$frozen/cgroup.procs"
	echo FROZEN >"$frozen/freezer.state"
	run firn delete --force "$ID"
	echo THAWED >"$frozen/freezer.state"
	wait_for 5 rmdir "$frozen"
	equal "$status" 0 status
	equal "$output" ""
	is_gone "$ID" || fail "not gone"
}
