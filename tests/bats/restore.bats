#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The restore verb as callers of runc's use it: in the foreground, and its options.
# shellcheck disable=SC2016 # the container's shell expands

load helpers
load payloads
load ck

setup() {
	need_root
	setup_firn
	B=$T/b
	make_bundle "$B" sh -c 'trap "exit 7" TERM; trap "echo hup >>/tmp/hups" HUP
		touch /tmp/ready; while :; do sleep 0.1; done'
	new_id
	run_detached "$ID" "$B"
	wait_for 20 exists "$B/rootfs/tmp/ready"
	ck_checkpoint
}

teardown() {
	[ -z "${DEVICE:-}" ] || ip link del "$DEVICE" 2>/dev/null || :
	teardown_firn
}

# in_foreground OPTION...: FRONT is a restore that waits for its container.
in_foreground() {
	"$FIRN" --root "$FIRN_ROOT" restore --image-path "$IMAGE" --bundle "$B" "$@" "$ID" \
		</dev/null >"$T/front" 2>&1 3>&- &
	FRONT=$!
	wait_for 20 has_status "$ID" running
}

# ends_with STATUS: FRONT, and the container is gone.
ends_with() {
	local status=0
	wait "$FRONT" || status=$?
	equal "$status" "$1" "exit status"
	equal "$(cat "$T/front")" "" "what it said"
	is_gone "$ID" || fail "not gone"
	nothing_left
}

@test "in the foreground: signals are passed on, and the exit status" {
	in_foreground --pid-file "$T/pid"
	equal "$(cat "$T/pid")" "$(container_pid "$ID")"
	kill -HUP "$FRONT"
	wait_for 10 non_empty "$B/rootfs/tmp/hups"
	kill -TERM "$FRONT"
	ends_with 7
}

@test "in the foreground: killed by a signal" {
	in_foreground
	ok firn kill "$ID" KILL
	ends_with 137
}

@test "in the foreground: checkpointed again, or deleted, by somebody else" {
	in_foreground
	ok firn checkpoint --image-path "$T/again" "$ID"
	ends_with 137
	in_foreground
	ok firn delete --force "$ID"
	ends_with 137
}

@test "in the foreground: a poststop hook runs at the end" {
	edit_config "$B" --arg f "$T/hook" '.hooks = {poststop: [{path: "/bin/touch", args: ["touch", $f]}]}'
	in_foreground
	kill -TERM "$FRONT"
	ends_with 7
	[ -e "$T/hook" ] || fail "no poststop hook"
}

@test "options: a console socket without a terminal is refused, --no-pivot is taken" {
	fails firn restore --detach --image-path "$IMAGE" --bundle "$B" --console-socket "$T/s" "$ID"
	one_line
	has console-socket
	nothing_left
	has_image || fail "the image is damaged"
	fails firn restore --detach --image-path "$IMAGE" --bundle "$B" --no-pivot \
		--pid-file "$T/no/such/pid" "$ID" </dev/null 3>&-
	one_line
	has "$T/no/such/pid"
	nothing_left
}

@test "a restore that fails gives the network devices back" {
	need_command ip
	DEVICE=fa$$
	ip link add "$DEVICE" type veth peer name "fb$$" || skip "wants veth devices"
	ip addr add 192.0.2.7/24 dev "$DEVICE"
	edit_config "$B" --arg d "$DEVICE" '.linux.netDevices = {($d): {name: "inside0"}}'
	fails firn restore --detach --image-path "$IMAGE" --bundle "$B" --pid-file "$T/nowhere/pid" "$ID"
	has "pid file"
	ok ip -4 addr show dev "$DEVICE"
	has "192.0.2.7/24"
	nothing_left
}
