#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Podman with Firn as its runtime.

load engines

engine_teardown() {
	[ -z "${SHORT:-}" ] || podman_here rm -f -a >/dev/null 2>&1 || :
}

podman_here() {
	podman --root "$SHORT/storage" --runroot "$SHORT/run" --tmpdir "$SHORT/tmp" \
		--cgroup-manager cgroupfs --storage-driver vfs --events-backend file \
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
