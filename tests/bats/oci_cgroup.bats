#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Fields of /linux that are different things on cgroup v1 and v2: a file of their own, for the VM.

load helpers

setup() {
	setup_bundle true
}

@test "the cgroup is where cgroupsPath says" {
	edit_config "$B" --arg p "/firn-test-$ID/inner" '.linux.cgroupsPath = $p
		| .linux.namespaces |= map(select(.type != "cgroup"))'
	in_container cat /proc/self/cgroup
	has ":/firn-test-$ID/inner"
	find /sys/fs/cgroup -depth -maxdepth 3 -type d -name "firn-test-$ID" -exec rmdir {} + 2>/dev/null || :
}

@test "without cgroups it stays in its caller's" {
	set_args "$B" sleep 1000
	firn --cgroup-manager=disabled run -d --bundle "$B" "$ID" </dev/null >"$T/log" 2>&1 3>&- ||
		fail "$(cat "$T/log")"
	equal "$(cat "/proc/$(container_pid "$ID")/cgroup")" "$(cat /proc/self/cgroup)" cgroups
	equal "$(cgroups_of "$ID")" "" "cgroups that were made"
	ok firn exec "$ID" true
	fails firn pause "$ID"
	one_line
	fails firn update --pids-limit 20 "$ID"
	has "in no cgroup"
	ok firn delete --force "$ID"
	is_gone "$ID" || fail "not gone"
	edit_config "$B" '.linux.resources.pids.limit = 20'
	fails firn --cgroup-manager disabled run --bundle "$B" "$ID"
	one_line
	has "limits need a cgroup"
	fails firn --cgroup-manager other run --bundle "$B" "$ID"
	has "cgroupfs, systemd or disabled"
	set_args "$B" true
	ok firn --cgroup-manager cgroupfs run --bundle "$B" "$ID"
}

@test "a cgroup mount hides the host's, also below an rbound /sys" {
	edit_config "$B" '(.mounts[] | select(.destination == "/sys")) |=
		{destination: "/sys", type: "bind", source: "/sys", options: ["rbind", "ro"]}'
	in_container sh -c 'find /sys/fs/cgroup -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u | wc -l'
	[ "$output" -le 5 ] || fail "foreign processes are seen"
}

@test "the cgroup mount shows only the container's own" {
	in_container sh -c 'find /sys/fs/cgroup -name "cgroup.procs" -exec cat {} + | sort -u | wc -l'
	[ "$output" -le 5 ] || fail "foreign processes"
	edit_config "$B" '.linux.namespaces |= map(select(.type != "cgroup"))'
	in_container sh -c 'find /sys/fs/cgroup -name "cgroup.procs" -exec cat {} + | sort -u | wc -l'
	[ "$output" -le 5 ] || fail "foreign processes"
	in_container sh -c 'mkdir /sys/fs/cgroup/pids/x || mkdir /sys/fs/cgroup/x || echo refused'
	has refused
}

@test "device rules: what is allowed, and nothing beside it" {
	edit_config "$B" '.linux.devices = [{path: "/dev/d1", type: "c", major: 10, minor: 237},
			{path: "/dev/d2", type: "c", major: 10, minor: 230},
			{path: "/dev/d3", type: "c", major: 9, minor: 237},
			{path: "/dev/d4", type: "b", major: 10, minor: 237}]
		| .linux.resources.devices = [{allow: false, access: "rwm"},
			{allow: true, type: "c", major: 10, minor: 237, access: "r"}]'
	in_container sh -c 'for d in 1 2 3 4; do ( : </dev/d$d ) 2>&1 | grep -q "Operation not permitted" && echo "$d refused"; done
		( : 3<>/dev/d1 ) 2>&1 | grep -q "Operation not permitted" && echo "writing refused"; true'
	equal "$output" "$(printf '%s\n' '2 refused' '3 refused' '4 refused' 'writing refused')"
}

@test "a cpuset that somebody made, and left empty, gets what its parent has" {
	local parent=/sys/fs/cgroup/cpuset/firn-test-$$
	[ "$(cgroup_layout)" != v2 ] || skip "wants a cgroup v1 hierarchy"
	mkdir "$parent"
	edit_config "$B" --arg p "/firn-test-$$/$ID" '.linux.cgroupsPath = $p'
	run firn run --bundle "$B" "$ID"
	rmdir /sys/fs/cgroup/*/"firn-test-$$"
	equal "$status" 0 status
}
