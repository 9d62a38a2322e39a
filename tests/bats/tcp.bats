#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# TCP connections: kept with all that is in them, reset, or refused; inside a container
# and with a client outside that streams all the while.

load helpers
load payloads
load res

setup() {
	need_root
	need_command ip
	setup_firn
	NETNS=
}

teardown() {
	[ -z "${CLIENT:-}" ] || kill -9 "$CLIENT" 2>/dev/null || :
	teardown_firn
	[ -z "${NETNS:-}" ] || {
		ip netns delete "$NETNS" || :
		ip netns delete "$NETNS-peer" || :
	}
}

save() {
	rm -rf "$T/image"
	ok firn checkpoint --image-path "$T/image" "$@" "$ID"
}

# --- both ends inside ------------------------------------------------------------------

start() {
	make_bundle "$T/b" res_tcp /tmp/go
	edit_config "$T/b" '.process.capabilities[] += ["CAP_NET_ADMIN"]'
	add_payload "$T/b" res_tcp
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready
}

passes() {
	touch "$T/b/rootfs/tmp/go"
	wait_for 30 ended
	says PASS || {
		cat "$T/$ID.log"
		fail "the program found something amiss"
	}
}

@test "without a checkpoint the program passes" {
	start
	passes
}

@test "connections inside: queues, options, half-closed ones, IPv4 and IPv6" {
	start
	save --tcp keep
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "twice in a row" {
	start
	save --tcp keep
	restore_detached "$ID" "$T/b" "$T/image"
	save --tcp-established
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "a checkpoint leaves them as they were in a program that goes on" {
	start
	save --tcp keep --leave-running
	passes
}

@test "refused without a word about them, and a wrong word is named" {
	start
	fails firn checkpoint --image-path "$T/image" "$ID"
	has "established TCP connection"
	has "--tcp keep"
	fails firn checkpoint --tcp sometimes --image-path "$T/image" "$ID"
	has "must be keep, reset or refuse"
	fails firn checkpoint --tcp refuse --tcp-established --image-path "$T/image" "$ID"
	passes
}

# --- a client outside -------------------------------------------------------------------

# Two network namespaces with a cable between them; the container joins the first.
make_network() {
	NETNS=firn-t-$$-$RANDOM
	ip netns add "$NETNS"
	ip netns add "$NETNS-peer"
	ip -n "$NETNS" link add eth0 type veth peer name eth0 netns "$NETNS-peer"
	ip -n "$NETNS" address add 10.99.0.1/24 dev eth0
	ip -n "$NETNS-peer" address add 10.99.0.2/24 dev eth0
	for ns in "$NETNS" "$NETNS-peer"; do
		ip -n "$ns" link set lo up
		ip -n "$ns" link set eth0 up
	done
}

start_server() {
	make_network
	make_bundle "$T/b" res_stream server 7000 /tmp/report
	edit_config "$T/b" --arg p "/run/netns/$NETNS" \
		'.linux.namespaces |= map(if .type == "network" then .path = $p else . end)'
	add_payload "$T/b" res_stream
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready
}

# A container of the same name, not a restored one.
start_again() {
	: >"$T/$ID.log"
	rm -f "$T/b/rootfs/tmp/report"
	run_detached "$ID" "$T/b"
	wait_for 10 says ready
}

outside() {
	ip netns exec "$NETNS-peer" "$(payload res_stream)" "$@"
}

start_client() {
	# not by a function: $! would be a shell around it
	ip netns exec "$NETNS-peer" "$(payload res_stream)" client 10.99.0.1 7000 "$T/stop" \
		>"$T/client.log" 2>&1 3>&- &
	CLIENT=$!
	wait_for 10 flows_more 0
}

# flows_more N: more than N pieces of 4 MiB have come.
flows_more() {
	[ "$(grep -c flows "$T/client.log")" -gt "$1" ]
}

still_flows() {
	local n
	n=$(grep -c flows "$T/client.log")
	wait_for 20 flows_more "$n" || {
		cat "$T/client.log"
		return 1
	}
}

# Both have counted the same bytes.
client_passes() {
	touch "$T/stop"
	wait_for 20 grep -q '^PASS\|^FAIL' "$T/client.log"
	grep -q PASS "$T/client.log" || fail "$(cat "$T/client.log")"
	wait_for 5 non_empty "$T/b/rootfs/tmp/report"
	equal "$(cat "$T/b/rootfs/tmp/report")" "$(grep '^[0-9]' "$T/client.log")"
}

resets() {
	ip netns exec "$NETNS" awk '/^Tcp:/ { if (n++) print $15 }' /proc/net/snmp
}

@test "a client outside streams through checkpoint, death and restore" {
	local before
	start_server
	start_client
	for round in 1 2; do
		before=$(resets)
		save --tcp keep
		equal "$(jq -r .networkHold "$T/image/manifest.json")" "firn-$ID"
		# nobody is there, and nobody says so
		equal "$(outside probe 10.99.0.1 7000)" silent
		equal "$(resets)" "$before" "resets sent"
		restore_detached "$ID" "$T/b" "$T/image"
		still_flows
		equal "$(resets)" "$before" "resets sent"
		equal "$(outside probe 10.99.0.1 7000)" connected
	done
	client_passes
}

@test "it streams on when a checkpoint fails, or leaves the container running" {
	start_server
	start_client
	for phase in capture-end pages release-end seal; do
		rm -rf "$T/image"
		FIRN_FAULT=checkpoint-$phase:EIO fails firn checkpoint --tcp keep --image-path "$T/image" "$ID"
		still_flows
	done
	save --tcp keep --leave-running
	still_flows
	equal "$(jq -r .networkHold "$T/image/manifest.json")" null
	client_passes
}

@test "it streams on when the runtime is killed in the midst of a checkpoint" {
	start_server
	start_client
	for point in capture capture-end pages commit-end seal; do
		rm -rf "$T/image"
		run env FIRN_FAULT=checkpoint-$point:kill "$FIRN" --root "$FIRN_ROOT" checkpoint \
			--tcp keep --image-path "$T/image" "$ID"
		equal "$status" 137 "status of $point"
		# any verb puts the container right
		equal "$(container_status "$ID")" running
		still_flows
	done
	client_passes
}

# Without any verb that would put the container right.
@test "no connection is left in repair mode when the runtime is killed" {
	start_server
	start_client
	pid=$(container_pid "$ID")
	FIRN_FAULT=checkpoint-seal:stop "$FIRN" --root "$FIRN_ROOT" checkpoint --tcp keep \
		--image-path "$T/image" "$ID" </dev/null >"$T/out" 2>&1 3>&- &
	firn=$!
	stopped() { grep -q '^State:.T' "/proc/$firn/status"; }
	wait_for 10 stopped
	in_repair() { [ "$("$(payload inrepair)" "$pid")" -gt 0 ]; }
	in_repair || fail "not in repair mode before"
	kill -KILL "$firn"
	not_in_repair() { ! in_repair; }
	wait_for 5 not_in_repair
	equal "$(container_status "$ID")" running
	still_flows
	client_passes
}

@test "delete lets go what a checkpoint holds back" {
	start_server
	save --tcp keep
	equal "$(outside probe 10.99.0.1 7000)" refused
	start_again
	start_client
	save --tcp keep
	equal "$(outside probe 10.99.0.1 7000)" silent
	start_again
	ok firn delete --force "$ID"
	equal "$(outside probe 10.99.0.1 7000)" refused
}

@test "a failed restore leaves the connection as it was" {
	start_server
	start_client
	save --tcp keep
	for phase in objects tasks cross; do
		FIRN_FAULT=restore-$phase-end:EIO restore_detached "$ID" "$T/b" "$T/image" && fail "restored"
		equal "$(outside probe 10.99.0.1 7000)" silent
	done
	restore_detached "$ID" "$T/b" "$T/image"
	still_flows
	client_passes
}

@test "reset at the restore, if that is asked for" {
	start_server
	start_client
	save --tcp keep
	restore_detached "$ID" "$T/b" "$T/image" --tcp-close
	wait_for 20 grep -q '^FAIL' "$T/client.log"
}
