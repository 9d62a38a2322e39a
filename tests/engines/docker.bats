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

# Experimental, for checkpoints.
start_docker() {
	need_command docker dockerd
	make_short
	echo '{ "experimental": true }' >"$T/daemon.json"
	start_daemon "$T/dockerd.log" answers dockerd --config-file "$T/daemon.json" --data-root "$SHORT/data" \
		--exec-root "$SHORT/exec" --pidfile "$SHORT/pid" --host "unix://$SHORT/d.sock" \
		--iptables=false --bridge=none --storage-driver vfs --add-runtime "firn=$FIRN"
	make_image "$T/image.tar"
	ok docker_here import "$T/image.tar" busybox
}

docker_run() {
	docker_here run --runtime firn --network none "$@"
}

docker_command() {
	echo docker --host "unix://$SHORT/d.sock" "$@"
}

# inspected NAME FORMAT VALUE
inspected() {
	[ "$(docker_here inspect -f "{{$2}}" "$1")" = "$3" ]
}

@test "docker: run, exit status, exec, logs, pause, unpause, stop, start, rm" {
	start_docker
	ok docker_run --rm busybox echo hello
	has hello
	run docker_run --rm busybox sh -c 'exit 7'
	equal "$status" 7 "exit status"
	ok docker_run -d --name counter busybox sh -c "$COUNTER"
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

@test "docker: an init, a terminal, a health check, a restart policy, limits set anew" {
	start_docker
	ok docker_run --rm --init busybox busybox ps -o pid,args
	has "1 /sbin/docker-init -- busybox ps"
	run on_terminal docker_command run --rm -it --runtime firn --network none busybox \
		sh -c "'test -t 0 && echo has one; exit 3'"
	has "has one"
	has "status 3"
	ok docker_run -d --name counter --health-cmd 'test -e /well' --health-interval 1s --health-retries 1 \
		--memory 32m --memory-swap 32m busybox sh -c "$COUNTER"
	wait_for 20 inspected counter .State.Health.Status unhealthy
	ok docker_here exec -d counter sh -c ': >/well'
	wait_for 20 inspected counter .State.Health.Status healthy
	ok docker_here update --memory 64m --memory-swap 64m counter
	equal "$(docker_here stats --no-stream --format '{{.MemUsage}}' counter | sed 's/.* //')" 64MiB
	counts logs
	ok docker_run -d --name again --restart on-failure:2 busybox sh -c 'echo once more; exit 1'
	wait_for 20 inspected again .RestartCount 2
	wait_for 20 inspected again .State.Status exited
	equal "$(docker_here logs again)" $'once more\nonce more\nonce more'
}

@test "docker: two services of a compose file share a volume" {
	start_docker
	need_command docker-compose
	mkdir "$T/project"
	cat >"$T/project/docker-compose.yml" <<-END
		version: "2.4"
		services:
		  first:
		    image: busybox
		    runtime: firn
		    network_mode: none
		    command: sh -c 'echo from the first >/shared/made; busybox sleep 1000'
		    volumes: [ "shared:/shared" ]
		  second:
		    image: busybox
		    runtime: firn
		    network_mode: none
		    depends_on: [ first ]
		    command: sh -c 'until busybox grep . /shared/made; do busybox sleep 0.1; done; busybox sleep 1000'
		    volumes: [ "shared:/shared" ]
		volumes: { shared: {} }
	END
	compose() {
		DOCKER_HOST=unix://$SHORT/d.sock docker-compose -f "$T/project/docker-compose.yml" "$@"
	}
	# shellcheck disable=SC2317 # by wait_for
	second_says() {
		compose logs --no-color second | grep "$1"
	}
	ok compose up -d
	wait_for 10 second_says "from the first"
	equal "$(docker_here ps -q | wc -l)" 2
	ok compose down -t 0 -v
	equal "$(docker_here ps -aq)" ""
	equal "$(docker_here volume ls -q)" ""
}

@test "docker: a checkpoint, and a start from it" {
	local last
	start_docker
	ok docker_run -d --name counter busybox sh -c "$COUNTER"
	counts logs
	ok docker_here checkpoint create counter first
	wait_for 10 inspected counter .State.Status exited
	last=$(logs | tail -n 1)
	# containerd refuses to take contents anew that it has not thrown away yet
	wait_for 20 docker_here start --checkpoint first counter
	counts logs
	# it went on counting where it was
	equal "$(logs | awk -v n="$last" '$1 == n { getline; print $1 - n }')" 1
	ok docker_here checkpoint create --leave-running counter second
	counts logs
	equal "$(docker_here checkpoint ls counter | awk 'NR > 1 { print $1 }' | sort | xargs)" "first second"
	ok docker_here rm -f counter
}
