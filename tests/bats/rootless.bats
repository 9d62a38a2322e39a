#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# An ordinary user's containers: without a cgroup of his own, and with one delegated to him.

load helpers

setup() {
	need_root
	need_command setpriv
	setup_firn
	let_users_through
	new_id
	B=$T/bundle
	make_rootfs "$B/rootfs"
	chmod 755 "$FIRN_ROOT"
	chown -R 1234:1234 "$B" "$FIRN_ROOT" "$T"
	# where others may not look, the user would find no program to run
	install -m 755 "$FIRN" "$T/firn"
	CGROUP=
	as_user "$T/firn" spec --rootless --bundle "$B"
	chown 0:0 "$CONTAINERS"
}

teardown() {
	teardown_firn
	[ -z "${CGROUP:-}" ] || find "$CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null || :
}

as_user() {
	setpriv --reuid 1234 --regid 1234 --clear-groups --inh-caps=-all --bounding-set=-all \
		env -u XDG_RUNTIME_DIR "$@"
}

user_firn() {
	as_user "$T/firn" --root "$FIRN_ROOT" "$@"
}

# user_firn_with DIR ARG...: with programs of that directory.
user_firn_with() {
	as_user env PATH="$1:$PATH" "$T/firn" --root "$FIRN_ROOT" "${@:2}"
}

# in_container CMD...: what it prints is in $output.
configure() {
	edit_config "$B" '.process.terminal = false | .process.args = $ARGS.positional' --args -- "$@"
	chown 1234:1234 "$B/config.json"
}

edit_config() {
	local dir=$1 filter=$2
	shift 2
	jq "$filter" "$dir/config.json" "$@" >"$dir/config.json.new"
	mv "$dir/config.json.new" "$dir/config.json"
}

@test "a user without a cgroup: run, exec, ps, kill, delete" {
	[ "$(cgroup_layout)" != v2 ] || [ ! -w /sys/fs/cgroup/cgroup.procs ] || :
	configure sh -c 'id -u; tr -s " " </proc/self/uid_map; echo >/dev/null && echo device; hostname'
	ok user_firn run --bundle "$B" "$ID"
	equal "$output" "$(printf '0\n 0 1234 1\ndevice\nfirn')"
	configure sleep 1000
	as_user "$T/firn" --root "$FIRN_ROOT" run -d --bundle "$B" "$ID" </dev/null >"$T/log" 2>&1 3>&-
	equal "$(user_firn state "$ID" | jq -r .status)" running
	ok user_firn exec "$ID" sh -c 'id -u; hostname'
	equal "$output" "$(printf '0\nfirn')"
	ok user_firn ps "$ID"
	has "sleep 1000"
	ok user_firn list -q
	equal "$output" "$ID"
	ok user_firn events --stats "$ID"
	fails user_firn pause "$ID"
	one_line
	has "no cgroup"
	fails user_firn update --pids-limit 5 "$ID"
	one_line
	has "no cgroup"
	ok user_firn kill "$ID" KILL
	wait_for 5 has_status "$ID" stopped
	ok user_firn delete "$ID"
	is_gone "$ID"
}

# How a rootless engine calls its runtime.
namespaced_firn() {
	as_user unshare --user --map-root-user "$T/firn" --root "$FIRN_ROOT" "$@"
}

@test "root of a user namespace is as rootless, with the device rules that engines give" {
	configure echo ran
	edit_config "$B" '.linux.resources = {devices: [{allow: false, access: "rwm"}]}
		| (.linux.uidMappings, .linux.gidMappings) = [{containerID: 0, hostID: 0, size: 1}]'
	chown 1234:1234 "$B/config.json"
	ok namespaced_firn run --bundle "$B" "$ID"
	equal "$output" ran
	fails namespaced_firn --rootless=false run --bundle "$B" "$ID"
	one_line
	has cgroup
	fails namespaced_firn --rootless=maybe run --bundle "$B" "$ID"
	one_line
	has "true, false or auto"
	# an ordinary user's own runtime, too
	edit_config "$B" '(.linux.uidMappings, .linux.gidMappings) |= map(.hostID = 1234)'
	chown 1234:1234 "$B/config.json"
	ok user_firn run --bundle "$B" "$ID"
	equal "$output" ran
}

@test "groups can be set where newgidmap maps them, not where a user maps his own" {
	mkdir "$T/bin"
	printf '#!/bin/sh\ncat "/proc/$1/setgroups" >"%s"\nexit 1\n' "$T/setgroups" >"$T/bin/newgidmap"
	chmod 755 "$T/bin" "$T/bin/newgidmap"
	configure sh -c 'cat /proc/self/setgroups'
	ok user_firn run --bundle "$B" "$ID"
	equal "$output" deny
	edit_config "$B" '.linux.gidMappings += [{containerID: 1, hostID: 100000, size: 65536}]'
	chown 1234:1234 "$B/config.json"
	fails user_firn_with "$T/bin" run --bundle "$B" "$ID"
	has "newgidmap refused"
	equal "$(cat "$T/setgroups")" allow
}

@test "limits without a cgroup are refused, not dropped" {
	configure true
	edit_config "$B" '.linux.resources = {pids: {limit: 10}}'
	chown 1234:1234 "$B/config.json"
	fails user_firn run --bundle "$B" "$ID"
	one_line
	has cgroup
	is_gone "$ID"
}

@test "a user with a delegated cgroup has limits and can pause" {
	need_cgroup v2
	CGROUP=/sys/fs/cgroup/delegated-$$
	echo "+memory +pids" >/sys/fs/cgroup/cgroup.subtree_control || :
	mkdir -p "$CGROUP/shell"
	chown -R 1234:1234 "$CGROUP"
	configure sleep 1000
	edit_config "$B" '.linux.resources = {pids: {limit: 10}}'
	chown 1234:1234 "$B/config.json"
	# moved by root, as a login manager does
	(
		echo $BASHPID >"$CGROUP/shell/cgroup.procs"
		as_user "$T/firn" --root "$FIRN_ROOT" run -d --bundle "$B" "$ID" </dev/null >"$T/log" 2>&1 3>&-
		as_user "$T/firn" --root "$FIRN_ROOT" pause "$ID"
		as_user "$T/firn" --root "$FIRN_ROOT" state "$ID" | jq -r .status >"$T/status"
		as_user "$T/firn" --root "$FIRN_ROOT" resume "$ID"
		cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(container_pid "$ID")/cgroup")/pids.max" >"$T/limit"
		as_user "$T/firn" --root "$FIRN_ROOT" delete --force "$ID"
	)
	equal "$(cat "$T/status")" paused
	equal "$(cat "$T/limit")" 10
	is_gone "$ID"
}
