#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Docker with Firn as an added runtime.

load engines

docker_here() {
	docker --host "unix://$SHORT/d.sock" "$@"
}

answers() {
	docker_here version
}

engine_teardown() {
	[ -n "${SHORT:-}" ] && [ -S "$SHORT/d.sock" ] || return 0
	docker_here ps -aq | xargs -r docker --host "unix://$SHORT/d.sock" rm -f >/dev/null 2>&1 || :
}

logs() {
	docker_here logs counter
}

@test "docker: run, exit status, exec, logs, pause, unpause, stop, start, rm" {
	need_command docker dockerd
	make_short
	start_daemon "$T/dockerd.log" answers dockerd --data-root "$SHORT/data" \
		--exec-root "$SHORT/exec" --pidfile "$SHORT/pid" --host "unix://$SHORT/d.sock" \
		--iptables=false --bridge=none --storage-driver vfs --add-runtime "firn=$FIRN"
	make_image "$T/image.tar"
	ok docker_here import "$T/image.tar" busybox
	ok docker_here run --rm --runtime firn --network none busybox echo hello
	has hello
	run docker_here run --rm --runtime firn --network none busybox sh -c 'exit 7'
	equal "$status" 7 "exit status"
	ok docker_here run -d --name counter --runtime firn --network none busybox sh -c "$COUNTER"
	counts logs
	ok docker_here exec counter echo inside
	has inside
	ok docker_here pause counter
	equal "$(docker_here inspect -f '{{.State.Status}}' counter)" paused
	ok docker_here unpause counter
	counts logs
	ok docker_here stop -t 0 counter
	equal "$(docker_here inspect -f '{{.State.Status}}' counter)" exited
	ok docker_here start counter
	counts logs
	ok docker_here rm -f counter
	equal "$(docker_here ps -aq)" ""
}
