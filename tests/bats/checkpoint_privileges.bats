#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# An image gets no more privileges than the config.json that it is restored with gives.
# shellcheck disable=SC2016,SC2034 # jq has its own $; ck.bash reads CK_EDIT

load helpers
load payloads
load ck

# refused WHY FILTER: with config.json changed so the restore is refused and nothing is left.
refused() {
	cp "$B/config.json" "$T/config.json"
	edit_config "$B" "$2"
	fails firn restore --detach --image-path "$IMAGE" --bundle "$B" --pid-file "$T/pid" "$ID"
	one_line
	has "$1"
	has "config.json does not allow it"
	is_gone "$ID" || fail "the container is still there"
	equal "$(cgroups_of "$ID")" "" "cgroups"
	[ ! -e "$T/pid" ] || fail "a pid file is left"
	cp "$T/config.json" "$B/config.json"
}

@test "checkpoint: an image with more privileges than config.json gives is refused" {
	CK_EDIT='.process.noNewPrivileges = false'
	ck_start ck_threads
	ck_checkpoint
	refused "thread 1 has capability 5" \
		'.process.capabilities |= with_entries(.value -= ["CAP_KILL"])'
	refused "thread 1 does not have no_new_privs" '.process.noNewPrivileges = true'
	refused "thread 1 has no seccomp filter" '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW"}'
	ck_restore --pid-file "$T/pid"
	equal "$(cat "$T/pid")" "$(container_pid "$ID")" "pid file"
	ck_passes
}

@test "checkpoint: a deleted file of an id that the user namespace does not have is refused" {
	local maps='.linux.uidMappings = [{containerID: 0, hostID: $id, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	let_users_through
	B=$T/b
	make_bundle "$B" res_files /tmp/go
	edit_config "$B" --argjson id 100000 ".linux.namespaces += [{type: \"user\"}] | $maps"
	add_payload "$B" res_files
	chown -R 100000:100000 "$B/rootfs"
	new_id
	run_detached "$ID" "$B"
	wait_for 20 grep -qx ready "$T/$ID.log"
	ck_checkpoint
	edit_config "$B" --argjson id 200000 "$maps"
	chown -R 200000:200000 "$B/rootfs"
	fails firn restore --detach --image-path "$IMAGE" --bundle "$B" "$ID"
	one_line
	has "id 100000 is not in the container's uid_map"
	is_gone "$ID" || fail "the container is still there"
	edit_config "$B" --argjson id 100000 "$maps"
	chown -R 100000:100000 "$B/rootfs"
	ck_restore
	touch "$B/rootfs/tmp/go"
	wait_for 20 grep -qx PASS "$T/$ID.log"
}
