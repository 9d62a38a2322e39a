#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# /process of config.json, beyond what run.bats shows: tests/oci/fields.tsv says which field is
# whose.

load helpers

setup() {
	setup_bundle true
}

# stat_field N: of /proc/self/stat as seen by a program that the container runs.
stat_field() {
	cut -d' ' -f"$1" <<<"$output"
}

@test "a terminal of the size that is asked for" {
	edit_config "$B" '.process.terminal = true | .process.consoleSize = {height: 31, width: 97}'
	in_container stty size
	equal "$(tr -d '\r' <<<"$output")" "31 97"
}

@test "effective capabilities are those with which the program is executed" {
	rm "$B/rootfs/bin/uname"
	cp "$B/rootfs/bin/busybox" "$B/rootfs/bin/uname"
	chmod 700 "$B/rootfs/bin/uname"
	edit_config "$B" '.process.user = {uid: 1000, gid: 1000} | .process.capabilities = {
		bounding: ["CAP_DAC_OVERRIDE"], permitted: ["CAP_DAC_OVERRIDE"], effective: ["CAP_DAC_OVERRIDE"]}'
	in_container uname
	equal "$output" Linux
}

@test "a scheduling policy with its nice value, and its reset on fork" {
	edit_config "$B" '.process.scheduler = {policy: "SCHED_BATCH", nice: -5, flags: ["SCHED_FLAG_RESET_ON_FORK"]}'
	in_container cat /proc/self/stat
	equal "$(stat_field 41) $(stat_field 19)" "3 -5" "policy and nice value"
	in_container sh -c 'cat /proc/self/stat; true'
	equal "$(stat_field 19)" 0 "nice value of a child"
}

@test "a real-time policy with its priority" {
	edit_config "$B" '.process.scheduler = {policy: "SCHED_FIFO", priority: 7}'
	in_container cat /proc/self/stat
	equal "$(stat_field 41) $(stat_field 40)" "1 7" "policy and priority"
}

@test "a deadline" {
	need_command chrt
	edit_config "$B" '.process.scheduler = {policy: "SCHED_DEADLINE", runtime: 1000000, deadline: 20000000, period: 30000000}'
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	ok chrt -p "$(container_pid "$ID")"
	has SCHED_DEADLINE
	has "1000000/20000000/30000000"
	firn delete --force "$ID"
	edit_config "$B" '.process.scheduler.runtime = 25000000'
	fails firn run --bundle "$B" "$ID"
	one_line
	has "runtime <= deadline"
}

@test "an I/O priority" {
	need_command ionice
	edit_config "$B" '.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 6}'
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	ok ionice -p "$(container_pid "$ID")"
	equal "$output" "best-effort: prio 6"
}

# exec_affinity JSON: the CPUs of a process that enters with it.
exec_affinity() {
	jq --argjson a "$1" '.process | .execCPUAffinity = $a
		| .args = ["grep", "^Cpus_allowed_list", "/proc/self/status"]' "$B/config.json" >"$T/process.json"
	ok firn exec --process "$T/process.json" "$ID"
}

@test "the CPUs of a process that enters, at first" {
	taskset -c 0,1 true 2>/dev/null || skip "wants to be allowed CPUs 0 and 1"
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	exec_affinity '{"initial": "1"}'
	equal "${output##*$'\t'}" 1
}

@test "the CPUs of a process that enters, in the end" {
	taskset -c 0,1 true 2>/dev/null || skip "wants to be allowed CPUs 0 and 1"
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	exec_affinity '{"initial": "1", "final": "0"}'
	equal "${output##*$'\t'}" 0
	exec_affinity '{"final": "0-1"}'
	equal "${output##*$'\t'}" 0-1
	jq '.process | .execCPUAffinity = {final: "5000"}' "$B/config.json" >"$T/process.json"
	fails firn exec --process "$T/process.json" "$ID"
	one_line
	has execCPUAffinity
}

@test "labels that no module enforces are refused, in one line" {
	local field
	[ ! -e /sys/module/apparmor ] || skip "wants a kernel without AppArmor"
	[ ! -e /sys/fs/selinux ] || skip "wants a kernel without SELinux"
	for field in .process.apparmorProfile .process.selinuxLabel .linux.mountLabel; do
		make_config "$T" true
		edit_config "$T" --arg r "$B/rootfs" ".root.path = \$r | $field = \"acme\""
		fails firn run --bundle "$T" "$ID"
		one_line
		has "${field//.//}"
		is_gone "$ID"
		rm "$T/config.json"
	done
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	fails firn exec --apparmor acme "$ID" true
	one_line
	has AppArmor
}

@test "what the terminal prints is captured as it was printed" {
	edit_config "$B" '.process.terminal = true'
	in_container printf 'first\nsecond\n'
	equal "$output" $'first\nsecond'
}

@test "a filter without getcwd does not keep anybody from a working directory" {
	edit_config "$B" '.process.noNewPrivileges = false | .linux.seccomp = {
		defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["getcwd"], action: "SCMP_ACT_ERRNO"}]}'
	in_container echo started
	equal "$output" started
}

@test "a working directory that is not there is made" {
	edit_config "$B" '.process.cwd = "/made/here" | .root.readonly = true'
	in_container pwd
	equal "$output" /made/here
	edit_config "$B" '.process.cwd = "/proc/nowhere"'
	set_args "$B" pwd
	fails firn run --bundle "$B" "$ID"
	one_line
	has /process/cwd
}

@test "streams that are pipes or files belong to the user, who can open them anew" {
	edit_config "$B" '.process.user = {uid: 1000, gid: 2000}'
	set_args "$B" sh -c 'echo again >/proc/self/fd/1; stat -L -c %u:%g /proc/self/fd/0 /proc/self/fd/2 >&2'
	: >"$T/errors"
	chmod 600 "$T/errors"
	firn run --bundle "$B" "$ID" </dev/null 2>"$T/errors" | cat >"$T/out"
	equal "$(cat "$T/out")" again
	# the host's null device stays what it is
	equal "$(tr '\n' ' ' <"$T/errors")" "0:0 1000:2000 "
	# nor is a file of the host's given away that the container only reads
	: >"$T/input"
	set_args "$B" true
	firn run --bundle "$B" "$ID" <"$T/input"
	equal "$(stat -c %u:%g "$T/input")" 0:0
}

@test "of a variable that is there twice the last counts" {
	edit_config "$B" '.process.env += ["TWICE=no", "OTHER=x", "TWICE=yes"]'
	in_container env
	equal "$(grep ^TWICE <<<"$output")" "TWICE=yes"
	has "OTHER=x"
}
