#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# list: table, JSON and ids.

load helpers

@test "none, also without a state directory" {
	ok firn list
	equal "${#lines[@]}" 1
	has "ID "
	ok firn list -q
	equal "$output" ""
	ok firn list --format json
	equal "$output" "[]"
	ok "$FIRN" --root "$T/nowhere" list -q
	equal "$output" ""
	[ ! -e "$T/nowhere" ] || fail "listing made the directory"
}

@test "two in different states" {
	make_bundle "$T/b" sleep 1000
	new_id a
	a=$ID
	run_detached "$a" "$T/b"
	new_id b
	b=$ID
	run_detached "$b" "$T/b"
	ok firn pause "$b"
	ok firn list -q
	equal "$output" "$(printf '%s\n' "$a" "$b" | sort)"
	ok firn list
	equal "${#lines[@]}" 3
	[[ $output =~ $a\ +[0-9]+\ +running\ +$T/b\ +20[^\ ]+\ +root ]] || fail "no row of $a"
	[[ $output =~ $b\ +[0-9]+\ +paused ]] || fail "no row of $b"
	ok firn list --format json
	equal "$(jq -r --arg id "$b" '.[] | select(.id == $id) | .status' <<<"$output")" paused
	equal "$(jq -r 'length' <<<"$output")" 2
	ok firn list -f json
}

@test "a wrong format" {
	fails firn list --format xml
	one_line
	has "--format"
}

@test "what cannot be written is an error, of every verb that prints" {
	local words
	new_id
	make_bundle "$T/b" sleep 1000
	run_detached "$ID" "$T/b"
	for words in --help --version "run --help" features list "list -f json" "ps $ID" "state $ID"; do
		# shellcheck disable=SC2086
		run bash -c '"$0" --root "$1" "${@:2}" >/dev/full' "$FIRN" "$FIRN_ROOT" $words
		[ "$status" -eq 1 ] || fail "$words: exit status $status"
		one_line
		has "writing to standard output"
	done
}
