#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Podman with Firn as its runtime.

load engines

engine_teardown() {
	[ -z "${SHORT:-}" ] || podman_here rm -f -a >/dev/null 2>&1 || :
}

# MANAGER of cgroups: cgroupfs, unless a test says otherwise.
podman_here() {
	podman --root "$SHORT/storage" --runroot "$SHORT/run" --tmpdir "$SHORT/tmp" \
		--cgroup-manager "${MANAGER:-cgroupfs}" --storage-driver vfs --events-backend file \
		--runtime "$FIRN" "$@"
}

podman_run() {
	podman_here run --network none --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 "$@"
}

logs() {
	podman_here logs c
}

@test "podman: run, exit status, exec, logs, pause, unpause, stop, start, rm" {
	need_command podman conmon
	make_short
	make_image "$T/image.tar"
	run podman_here import "$T/image.tar" localhost/busybox
	[ "$status" -eq 0 ] || skip "podman does not work here: $output"
	ok podman_run --rm localhost/busybox echo hello
	has hello
	run podman_run --rm localhost/busybox sh -c 'exit 7'
	equal "$status" 7 "exit status"
	podman_run -d --name c localhost/busybox sh -c "$COUNTER" >"$T/id" 3>&-
	counts logs
	ok podman_here exec c echo inside
	has inside
	ok podman_here pause c
	equal "$(podman_here inspect -f '{{.State.Status}}' c)" paused
	ok podman_here unpause c
	counts logs
	ok podman_here stop -t 0 c
	equal "$(podman_here inspect -f '{{.State.Status}}' c)" exited
	ok podman_here start c
	counts logs
	ok podman_here rm -f -t 0 c
	equal "$(podman_here ps -a -q)" ""
}

# Podman's default manager.
@test "podman: systemd makes the cgroups: limits, update, pause, exec, stop, rm" {
	need_command podman conmon
	need_systemd
	local MANAGER=systemd unit
	make_short
	make_image "$T/image.tar"
	ok podman_here import "$T/image.tar" localhost/busybox
	podman_run -d --name c --memory 64m --pids-limit 50 \
		--annotation org.systemd.property.TimeoutStopUSec='uint64 3000000' localhost/busybox sh -c "$COUNTER" >"$T/id" 3>&-
	unit=libpod-$(cat "$T/id").scope
	counts logs
	equal "$(systemctl show -P Slice "$unit")" machine.slice
	equal "$(systemctl show -P MemoryMax "$unit")" 67108864
	equal "$(systemctl show -P TasksMax "$unit")" 50
	equal "$(systemctl show -P TimeoutStopUSec "$unit")" 3s
	systemctl daemon-reload
	equal "$(cat "/sys/fs/cgroup/machine.slice/$unit/memory.max")" 67108864
	ok podman_here exec c cat /proc/self/cgroup
	ok podman_here pause c
	equal "$(cat "/sys/fs/cgroup/machine.slice/$unit/cgroup.freeze")" 1
	ok podman_here unpause c
	counts logs
	ok podman_here stop -t 0 c
	equal "$(systemctl show -P LoadState "$unit")" not-found
	ok podman_here start c
	counts logs
	ok podman_here rm -f -t 0 c
	equal "$(find /sys/fs/cgroup -type d -name "libpod-*")" ""
}
