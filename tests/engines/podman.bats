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

# The same as a line for a shell, quoted by the caller where it needs to be.
podman_command() {
	echo podman --root "$SHORT/storage" --runroot "$SHORT/run" --tmpdir "$SHORT/tmp" \
		--cgroup-manager cgroupfs --storage-driver vfs --events-backend file --runtime "$FIRN" "$@"
}

podman_run() {
	podman_here run --network none "$@"
}

# Without CAP_SYS_RESOURCE a container, and the infra container of a pod, cannot have Podman's own
# limits. An init that needs no library of the image.
start_podman() {
	need_command podman conmon tini-static
	make_short
	cat >"$T/containers.conf" <<-END
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
		init_path = "$(command -v tini-static)"
	END
	export CONTAINERS_CONF=$T/containers.conf
	make_image "$T/image.tar"
	run podman_here import "$T/image.tar" localhost/busybox
	[ "$status" -eq 0 ] || skip "podman does not work here: $output"
}

logs() {
	podman_here logs c
}

has_logs() {
	[[ $(logs 2>&1) == "$1" ]]
}

@test "podman: run, exit status, exec, logs, pause, unpause, stop, start, rm" {
	start_podman
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

@test "podman: an init, a terminal, a health check, a restart policy" {
	start_podman
	ok podman_run --rm --init localhost/busybox busybox ps -o pid,args
	has "1 /run/podman-init -- busybox ps"
	run on_terminal podman_command run --rm -it --network none localhost/busybox \
		sh -c "'test -t 0 && echo has one; exit 3'"
	has "has one"
	has "status 3"
	podman_run -d --name c --health-cmd 'test -e /well' --health-interval disable --health-retries 1 \
		localhost/busybox sh -c "$COUNTER" >"$T/id" 3>&-
	counts logs
	run podman_here healthcheck run c
	equal "$status" 1 "exit status of a health check that fails"
	ok podman_here exec c sh -c ': >/well'
	ok podman_here healthcheck run c
	ok podman_here rm -f -t 0 c
	podman_run -d --name c --restart on-failure:2 localhost/busybox \
		sh -c 'echo once more; exit 1' >"$T/id" 3>&-
	wait_for 10 has_logs $'once more\nonce more\nonce more'
	equal "$(podman_here wait c)" 1
	equal "$(podman_here inspect -f '{{.RestartCount}}' c)" 2
}

@test "podman: a pod, paused and stopped as a whole" {
	start_podman
	ok podman_here pod create --name p --network none --infra-image localhost/busybox \
		--infra-command "/bin/busybox sleep 1000"
	podman_here run -d --pod p --name c localhost/busybox sh -c "$COUNTER" >"$T/id" 3>&-
	counts logs
	podman_here run -d --pod p --name d localhost/busybox busybox sleep 1000 >"$T/id" 3>&-
	# what a pod shares
	equal "$(podman_here exec c busybox readlink /proc/self/ns/ipc)" \
		"$(podman_here exec d busybox readlink /proc/self/ns/ipc)"
	ok podman_here pod pause p
	equal "$(podman_here inspect -f '{{.State.Status}}' c d | sort -u)" paused
	ok podman_here pod unpause p
	counts logs
	ok podman_here pod stop -t 0 p
	equal "$(podman_here inspect -f '{{.State.Status}}' c d | sort -u)" exited
	ok podman_here pod rm -f p
	equal "$(podman_here ps -a -q)" ""
}

# --userns=auto takes ids from what /etc/subuid gives to "containers": here, in a mount namespace.
@test "podman: users of its own" {
	start_podman
	ok podman_run --rm --uidmap 0:100000:1000 --gidmap 0:200000:1000 localhost/busybox \
		busybox cat /proc/self/uid_map /proc/self/gid_map
	equal "$(tr -s ' ' <<<"$output")" $' 0 100000 1000\n 0 200000 1000'
	[ -e /etc/subuid ] && [ -e /etc/subgid ] || skip "wants /etc/subuid and /etc/subgid"
	echo containers:300000:100000 >"$T/ids"
	podman_command run --rm --network none --userns=auto localhost/busybox \
		busybox cat /proc/self/uid_map >"$T/command"
	ok unshare -m sh -c "mount --bind '$T/ids' /etc/subuid && mount --bind '$T/ids' /etc/subgid && $(cat "$T/command")"
	equal "$(tr -s ' ' <<<"$output" | cut -d' ' -f 2,3)" "0 300000"
}

@test "podman and buildah build an image, its steps run by firn" {
	start_podman
	need_command buildah
	local build=(--isolation oci --network none)
	printf '%s\n' 'FROM localhost/busybox' 'RUN echo first >/made' 'RUN busybox id -u >>/made' \
		'CMD ["/bin/busybox", "cat", "/made"]' >"$T/Dockerfile"
	ok podman_here build "${build[@]}" -t localhost/made "$T"
	ok podman_run --rm localhost/made
	equal "$output" $'first\n0'
	ok buildah --root "$SHORT/storage" --runroot "$SHORT/run" --storage-driver vfs \
		bud --no-cache --runtime "$FIRN" "${build[@]}" -t localhost/again "$T"
	ok podman_run --rm localhost/again
	equal "$output" $'first\n0'
}

@test "podman: checkpoint and restore in place, and as another container from a file" {
	local last
	start_podman
	# nobody here has CRIU, or it would be asked
	mkdir "$T/bin"
	ln -s "$FIRN" "$T/bin/criu"
	PATH=$T/bin:$PATH
	podman_run -d --name c localhost/busybox sh -c "$COUNTER" >"$T/id" 3>&-
	counts logs
	ok podman_here container checkpoint --print-stats c
	[ "$(jq '.container_statistics[0].criu_statistics.pages_written' <<<"$output")" -gt 0 ]
	equal "$(podman_here inspect -f '{{.State.Status}} {{.State.Checkpointed}}' c)" "exited true"
	last=$(logs | tail -n 1)
	ok podman_here container restore c
	counts logs
	# it went on counting where it was
	equal "$(logs | awk -v n="$last" '$1 == n { getline; print $1 - n }')" 1
	ok podman_here container checkpoint --leave-running c
	counts logs
	ok podman_here exec c sh -c 'echo made inside >/made'
	ok podman_here container checkpoint --export "$T/c.tar.gz" c
	ok podman_here rm -f c
	ok podman_here container restore --import "$T/c.tar.gz" --name d
	equal "$(podman_here exec d cat /made)" "made inside"
	equal "$(podman_here inspect -f '{{.State.Status}}' d)" running
	ok podman_here rm -f -t 0 d
}

# Podman's default manager.
@test "podman: systemd makes the cgroups: limits, update, pause, exec, stop, rm" {
	need_systemd
	local MANAGER=systemd unit
	start_podman
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
