#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What a hook gets, and how long it may take.

load helpers

setup() {
	setup_bundle true
	cat >"$T/hook" <<-END
		#!/bin/bash
		echo "\$0 \$*" >>$T/args
		echo "\$WHO" >>$T/env
		cat >>$T/given
	END
	chmod 755 "$T/hook"
}

@test "arguments, environment and the container's annotations" {
	edit_config "$B" --arg h "$T/hook" '.annotations = {"org.example.key": "value"}
		| .hooks = {createRuntime: [{path: $h, args: ["name", "one", "two words"], env: ["WHO=me"]}]}'
	ok firn run --bundle "$B" "$ID"
	equal "$(cat "$T/args")" "$T/hook one two words"
	equal "$(cat "$T/env")" me
	equal "$(jq -r '.annotations["org.example.key"]' "$T/given")" value
	equal "$(jq -r .id "$T/given")" "$ID"
}

@test "a timeout ends a hook that would end by itself" {
	printf '#!/bin/sh\nexec sleep 2\n' >"$T/slow"
	chmod 755 "$T/slow"
	edit_config "$B" --arg h "$T/slow" '.hooks = {createRuntime: [{path: $h, timeout: 1}]}'
	fails firn run --bundle "$B" "$ID"
	one_line
	has "longer than 1 s"
	edit_config "$B" '.hooks.createRuntime[0].timeout = 2147483647'
	ok firn run --bundle "$B" "$ID"
}

@test "poststop hooks follow a failed hook of the creation, and nothing else that failed" {
	local kind
	for kind in prestart createRuntime createContainer; do
		edit_config "$B" --arg k "$kind" --arg h "$T/hook" \
			'.hooks = {($k): [{path: "/bin/false"}], poststop: [{path: $h, args: ["name", $k]}]}'
		fails firn create --bundle "$B" "$ID"
		has "/hooks/$kind/0"
		equal "$(tail -1 "$T/args")" "$T/hook $kind"
		is_gone "$ID"
	done
	rm "$T/args"
	edit_config "$B" 'del(.hooks.createContainer) | .root.path = "none"'
	fails firn create --bundle "$B" "$ID"
	[ ! -e "$T/args" ] || fail "a hook ran"
}

@test "hooks run where they belong: prestart to createRuntime on the host, the others inside" {
	local kind
	cat >"$T/where" <<-END
		#!/bin/busybox sh
		busybox echo "\$1 \$(busybox readlink /proc/self/ns/uts)" >>$T/places
	END
	chmod 755 "$T/where"
	for kind in prestart createRuntime createContainer poststart poststop; do
		edit_config "$B" --arg k "$kind" --arg h "$T/where" \
			'.hooks[$k] = [{path: $h, args: ["where", $k], env: ["PATH=/bin:/usr/bin"]}]'
	done
	ok firn run --bundle "$B" "$ID"
	for kind in prestart createRuntime poststart poststop; do
		grep -qxF "$kind $(readlink /proc/self/ns/uts)" "$T/places" || fail "$kind"
	done
	grep -q "^createContainer uts" "$T/places"
	! grep -qF "createContainer $(readlink /proc/self/ns/uts)" "$T/places" || fail createContainer
}
