#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# containerd, by ctr, with Firn as its runtime.

load engines

ctr_here() {
	ctr --address "$SHORT/c.sock" --namespace firn-test "$@"
}

answers() {
	ctr_here version
}

engine_teardown() {
	[ -n "${SHORT:-}" ] && [ -S "$SHORT/c.sock" ] || return 0
	ctr_here tasks kill --signal 9 c >/dev/null 2>&1 || :
	wait_for 5 no_task || :
	ctr_here containers rm c >/dev/null 2>&1 || :
}

no_task() {
	[ -z "$(ctr_here tasks ls -q)" ]
}

task_state() {
	ctr_here tasks ls | awk '$1 == "c" { print $3 }'
}

has_state() {
	[ "$(task_state)" = "$1" ]
}

start_containerd() {
	cat >"$SHORT/config.toml" <<-END
		version = 2
		root = "$SHORT/root"
		state = "$SHORT/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		  address = "$SHORT/c.sock"
		[ttrpc]
		  address = "$SHORT/t.sock"
	END
	start_daemon "$T/containerd.log" answers containerd --config "$SHORT/config.toml"
}

@test "containerd: run, exit status, exec, pause, resume, kill, rm" {
	need_command containerd ctr
	make_short
	start_containerd
	make_rootfs "$SHORT/rootfs"
	run ctr_here run --rm --runc-binary "$FIRN" --rootfs "$SHORT/rootfs" c /bin/echo hello
	[ "$status" -eq 0 ] || fail "run"
	has hello
	run ctr_here run --rm --runc-binary "$FIRN" --rootfs "$SHORT/rootfs" c /bin/sh -c 'exit 7'
	equal "$status" 7 "exit status"
	ok ctr_here run -d --runc-binary "$FIRN" --rootfs "$SHORT/rootfs" c \
		/bin/sh -c "while :; do busybox sleep 1; done"
	wait_for 5 has_state RUNNING
	ok ctr_here tasks exec --exec-id e c echo inside
	has inside
	ok ctr_here tasks pause c
	equal "$(task_state)" PAUSED
	ok ctr_here tasks resume c
	equal "$(task_state)" RUNNING
	ok ctr_here tasks kill --signal 9 c
	wait_for 5 has_state STOPPED
	ctr_here tasks rm c || :
	ok ctr_here containers rm c
}

# As its CRI plugin does with SystemdCgroup = true.
@test "containerd: systemd makes the cgroups: limit, exec, pause, kill, rm" {
	need_command containerd ctr
	need_systemd
	make_short
	start_containerd
	make_rootfs "$SHORT/rootfs"
	ok ctr_here run -d --runc-binary "$FIRN" --runc-systemd-cgroup --cgroup firn-test.slice:cri-containerd:c \
		--memory-limit 67108864 --rootfs "$SHORT/rootfs" c /bin/sh -c "while :; do busybox sleep 1; done"
	wait_for 5 has_state RUNNING
	equal "$(systemctl show -P ControlGroup cri-containerd-c.scope)" \
		/firn.slice/firn-test.slice/cri-containerd-c.scope
	equal "$(systemctl show -P MemoryMax cri-containerd-c.scope)" 67108864
	ok ctr_here tasks exec --exec-id e c echo inside
	has inside
	ok ctr_here tasks pause c
	equal "$(task_state)" PAUSED
	ok ctr_here tasks resume c
	ok ctr_here tasks kill --signal 9 c
	wait_for 5 has_state STOPPED
	ctr_here tasks rm c || :
	ok ctr_here containers rm c
	equal "$(systemctl show -P LoadState cri-containerd-c.scope)" not-found
}
