# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154,SC2016 # variables of helpers.bash; jq has its own $
# Real programs in containers: a root with this host's /usr, a network namespace that outlives
# the container, so that a client outside of it stays connected. `load apps` in a bats file.

load ../bats/helpers
load ../bats/payloads

setup() {
	need_root
	need_command ip python3
	setup_firn
	NETNS=
	B=$T/b
}

teardown() {
	[ -z "${CLIENT:-}" ] || kill -9 "$CLIENT" 2>/dev/null || :
	teardown_firn
	[ -z "$NETNS" ] || ip netns delete "$NETNS" || :
}

# make_app_bundle CMD ARG...: $B, with /usr of this host and a network namespace by path.
make_app_bundle() {
	local dir
	NETNS=firn-app-$$-$RANDOM
	ip netns add "$NETNS"
	ip -n "$NETNS" link set lo up
	mkdir -p "$B/rootfs"/{dev,etc,proc,run,sys,tmp,usr,data} "$B/rootfs/var"/{log,tmp,lib}
	chmod 1777 "$B/rootfs/tmp" "$B/rootfs/data"
	for dir in bin sbin lib lib64; do
		[ ! -e "/$dir" ] || ln -s "usr/$dir" "$B/rootfs/$dir"
	done
	printf 'root:x:0:0:root:/root:/bin/bash\nuser:x:1000:1000::/data:/bin/bash\n' \
		>"$B/rootfs/etc/passwd"
	printf 'root:x:0:\nuser:x:1000:\n' >"$B/rootfs/etc/group"
	cp -r /etc/ld.so.cache /etc/alternatives "$B/rootfs/etc/"
	make_config "$B" "$@"
	edit_config "$B" --arg ns "/run/netns/$NETNS" '
		.linux.namespaces |= map(if .type == "network" then .path = $ns else . end)
		| .process.env = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/data", "LANG=C.UTF-8",
			"TERM=screen"]
		| .process.cwd = "/data"'
	add_mount "$B" /usr /usr ro
}

# as_user: the container's processes are user 1000.
as_user() {
	edit_config "$B" '.process.user = {uid: 1000, gid: 1000}'
}

start_app() {
	new_id
	run_detached "$ID" "$B"
}

# inside_network CMD...: a program on the host in the container's network.
inside_network() {
	nsenter --net="/run/netns/$NETNS" "$@"
}

# What cannot be saved at one moment and can at the next: a vfork, a client that just connects.
passes_by() {
	[[ $output == *"memory shared with another process"* || $output == *"waiting to be accepted"* ]]
}

# one_round [OPTION...]: a checkpoint and a restore.
one_round() {
	local tries=200
	rm -rf "$T/image"
	while :; do
		run firn checkpoint --tcp keep --image-path "$T/image" "$@" "$ID"
		[ "$status" -ne 0 ] || break
		passes_by || fail "cannot be saved"
		[ $((--tries)) -gt 0 ] || fail "not for a moment"
	done
	restore_detached "$ID" "$B" "$T/image"
}

# pids_inside: pids as the container sees them, with the programs' names, sorted.
pids_inside() {
	local pid
	for pid in $(pids_in "$ID"); do
		echo "$(awk '/^NSpid:/ { print $NF }' "/proc/$pid/status") $(cat "/proc/$pid/comm")"
	done | sort -n
}

# --- a client that keeps its HTTP connection ------------------------------------------------

# start_client URL-PATH: asks again and again on one connection, and writes each answer (a line) to
# $T/answers. It ends when the connection does.
start_client() {
	inside_network python3 "$APPS_DIR/keepalive.py" 8080 "$1" "$T/answers" "$T/stop" \
		>"$T/client.log" 2>&1 3>&- &
	CLIENT=$!
	wait_for 10 non_empty "$T/answers"
}

answers() {
	wc -l <"$T/answers"
}

answers_beyond() {
	[ "$(answers)" -gt "$1" ]
}

# client_goes_on: the same client gets more answers.
client_goes_on() {
	local before
	before=$(answers)
	wait_for 20 answers_beyond $((before + 20)) || {
		cat "$T/client.log"
		return 1
	}
}

APPS_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
