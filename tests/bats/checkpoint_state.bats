#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What a container's processes are made of survives a checkpoint: each payload verifies its own.

load helpers
load payloads
load ck

@test "checkpoint: memory of a static program" {
	ck_once ck_memory
}

@test "checkpoint: memory of a dynamic program" {
	make_rootfs "$T/root"
	cc -O2 -std=gnu17 -D_GNU_SOURCE -o "$T/ck_dynamic" "$REPO/tests/payload/ck_memory.c"
	B=$T/b
	make_bundle "$B" ck_dynamic
	add_program "$B/rootfs" "$T/ck_dynamic"
	cp "$T/ck_dynamic" "$B/rootfs/bin/"
	new_id
	run_detached "$ID" "$B"
	wait_for 20 exists "$B/rootfs/tmp/ready"
	ck_checkpoint
	ck_restore
	ck_passes
}

@test "checkpoint: threads in the middle of a computation" {
	for ((i = 0; i < FIRN_ROUNDS; i++)); do
		ck_once ck_threads
	done
}

@test "checkpoint: a tree with sessions, groups, zombies, a daemon and a stopped process" {
	ck_once ck_tree
}

@test "checkpoint: pending signals, actions and alternate stacks" {
	ck_once ck_signals
}

@test "checkpoint: a program that handles every signal that calls could be stopped by" {
	ck_once ck_signals all
}

@test "checkpoint: as many pending signals as its user may have, and more than it now may" {
	# whose others there are none of: they are counted together
	CK_EDIT='.process.user = {uid: '$((40000 + RANDOM))', gid: 4321}'
	ck_once ck_signals full 64
}

@test "checkpoint: more pending signals than a restore would take are refused at once" {
	[ "$(ulimit -Hi)" -ge 67000 ] || skip "wants a limit of pending signals (ulimit -i) above 67,000"
	ck_start ck_signals full 66000
	fails firn checkpoint --image-path "$T/refused" "$ID"
	one_line
	has "more than 65536 signals pending"
	equal "$(container_status "$ID")" running
}

USER_CAPS='.process.capabilities |= with_entries(.value = ["CAP_KILL","CAP_SETPCAP","CAP_SETUID","CAP_SETGID","CAP_NET_BIND_SERVICE"])'

@test "checkpoint: credentials of a user, and a filter of the program's own" {
	CK_EDIT=$USER_CAPS
	ck_once ck_creds user
}

@test "checkpoint: credentials of a lesser root" {
	CK_EDIT='.process.capabilities |= with_entries(.value = ["CAP_KILL","CAP_SETPCAP","CAP_SETUID","CAP_MKNOD","CAP_SYS_NICE","CAP_FOWNER"])'
	ck_once ck_creds root
}

@test "checkpoint: a filter in config.json" {
	CK_EDIT=$USER_CAPS' | .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"],
		syscalls: [{names: ["clone3", "mmap", "userfaultfd"], action: "SCMP_ACT_ALLOW"},
			{names: ["mknod", "memfd_create"], action: "SCMP_ACT_KILL_PROCESS"}]}'
	ck_once ck_creds user
}

@test "checkpoint: twice in a row" {
	ck_start ck_threads
	for i in 1 2; do
		ck_checkpoint
		ck_restore
	done
	ck_passes
}

@test "checkpoint: live, twice, and then for good" {
	ck_start ck_signals
	ck_checkpoint --leave-running
	ck_checkpoint --leave-running
	ck_checkpoint
	ck_restore
	ck_passes
}

@test "checkpoint: a process that is between vfork and exec is waited for" {
	ck_start ck_spawner
	for ((i = 0; i < 5; i++)); do
		ck_checkpoint
		ck_restore
	done
	ck_passes
}

@test "checkpoint: memory that stays shared is refused in the end" {
	make_bundle "$T/v" vforker /tmp/ready /tmp/go /tmp/done
	add_payload "$T/v" vforker
	new_id
	run_detached "$ID" "$T/v"
	wait_for 10 exists "$T/v/rootfs/tmp/ready"
	fails firn checkpoint --image-path "$T/refused" "$ID"
	one_line
	has "memory shared with another process"
	touch "$T/v/rootfs/tmp/go"
	wait_for 10 non_empty "$T/v/rootfs/tmp/done"
	equal "$(cat "$T/v/rootfs/tmp/done")" 42
}
