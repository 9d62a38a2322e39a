#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# spec and features.

load helpers

setup() {
	setup_firn
	new_id
}

teardown() {
	teardown_firn
}

@test "spec writes a configuration that runs" {
	make_rootfs "$T/rootfs"
	(cd "$T" && firn spec)
	jq -e '.root.readonly and .process.terminal' "$T/config.json"
	edit_config "$T" '.process.terminal = false'
	set_args "$T" echo hello
	ok firn run --bundle "$T" "$ID"
	equal "$output" hello
}

@test "spec does not overwrite" {
	ok firn spec --bundle "$T"
	cp "$T/config.json" "$T/before"
	fails firn spec --bundle "$T"
	one_line
	has "config.json"
	cmp "$T/config.json" "$T/before"
	fails firn spec --bundle "$T/none"
	one_line
}

@test "features is JSON with the versions" {
	ok firn features
	jq -e '.ociVersionMin and .ociVersionMax and (.hooks | length == 6)
		and (.mountOptions | index("rro"))' <<<"$output"
}

@test "--version" {
	ok "$FIRN" --version
	has "firn version"
	has "spec:"
}
