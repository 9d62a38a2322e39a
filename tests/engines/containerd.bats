#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2016 # $ of the container's shell
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

# topic TOPIC: such an event of the container came.
topic() {
	grep -q " $1 .*\"c\"" "$T/events"
}

@test "containerd: events, and the memory limit killing" {
	local kind
	need_command containerd ctr
	make_short
	start_containerd
	make_rootfs "$SHORT/rootfs"
	ctr_here events >"$T/events" 2>&1 </dev/null 3>&- &
	DAEMONS+=($!)
	ok ctr_here run -d --runc-binary "$FIRN" --memory-limit 8388608 --rootfs "$SHORT/rootfs" c \
		/bin/sh -c 'until [ -e /go ]; do busybox sleep 0.05; done; busybox head -c 64m /dev/zero | busybox tail -n 1'
	wait_for 5 has_state RUNNING
	ok ctr_here tasks exec --exec-id e c echo inside
	ok ctr_here tasks pause c
	ok ctr_here tasks resume c
	: >"$SHORT/rootfs/go"
	wait_for 10 has_state STOPPED
	wait_for 5 topic /tasks/oom
	ctr_here tasks rm c || :
	for kind in create start exec-added exec-started paused resumed exit delete; do
		wait_for 5 topic "/tasks/$kind"
	done
}

@test "containerd: a checkpoint with its files, restored as another container" {
	local before
	need_command containerd ctr podman
	make_short
	start_containerd
	make_image "$T/image.tar"
	podman --root "$SHORT/p" --runroot "$SHORT/pr" --storage-driver vfs import "$T/image.tar" localhost/busybox
	podman --root "$SHORT/p" --runroot "$SHORT/pr" --storage-driver vfs save --format oci-archive \
		-o "$T/oci.tar" localhost/busybox
	ok ctr_here images import --snapshotter native "$T/oci.tar"
	ok ctr_here run -d --runc-binary "$FIRN" --snapshotter native localhost/busybox:latest c \
		/bin/sh -c 'i=0; while :; do i=$((i+1)); echo $i >/count; busybox sleep 0.05; done'
	count() {
		ctr_here tasks exec --exec-id e "$1" busybox cat /count
	}
	# shellcheck disable=SC2317 # by wait_for
	above() {
		[ "$(count "$1")" -gt "$2" ]
	}
	wait_for 10 above c 10
	ok ctr_here containers checkpoint --rw --image --task c saved
	before=$(count c)
	ok ctr_here tasks kill --signal 9 c
	wait_for 5 has_state STOPPED
	ctr_here tasks rm c || :
	ok ctr_here containers rm c
	ok ctr_here containers restore --rw --live c saved
	wait_for 5 has_state RUNNING
	[ "$(count c)" -ge 10 ]
	wait_for 10 above c "$before"
	ok ctr_here tasks kill --signal 9 c
	wait_for 5 has_state STOPPED
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
