#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What was made inside a container and would not be there after a restore: named, all of it,
# before anything is touched.
# shellcheck disable=SC2034 # CK_EDIT is for ck_start

load helpers
load payloads
load ck

teardown() {
	umount "$T/volume/later" "$T/volume" 2>/dev/null || :
	[ -z "${MADE_CGROUP:-}" ] || rmdir "$MADE_CGROUP" 2>/dev/null || :
	teardown_firn
}

# in_mounts, in_net CMD...: the host's programs in the container's namespace
in_mounts() {
	nsenter --target "$(container_pid "$ID")" --pid --mount "$@"
}

in_net() {
	nsenter --target "$(container_pid "$ID")" --net "$@"
}

can_be_saved() {
	ok firn checkpoint --check --allow exec "$ID"
	has "can be checkpointed"
}

# is_named TEXT...: --check lists all of them, and the checkpoint is refused in one line.
is_named() {
	fails firn checkpoint --check "$ID"
	for text; do
		has "$text"
	done
	fails firn checkpoint --image-path "$T/refused" "$ID"
	one_line
	[ ! -e "$T/refused" ] || fail "an image is left"
	works
}

@test "mounts made inside, taken away, and changed" {
	mkdir "$T/volume"
	# what a container has by default, hidden and read-only paths, and a bind mount
	CK_EDIT='.mounts += [{destination: "/volume", type: "bind", source: "'$T/volume'",
		options: ["rbind", "ro"]}, {destination: "/scratch", type: "tmpfs", source: "tmpfs"}]'
	ck_start ck_worker
	can_be_saved
	in_mounts /bin/mount -t tmpfs inner /tmp
	is_named '"/tmp" (tmpfs), mounted inside'
	in_mounts /bin/umount /tmp
	can_be_saved
	in_mounts /bin/umount /scratch
	is_named '"/scratch" (tmpfs) was unmounted'
	in_mounts /bin/mount -o remount,bind,rw /volume
	in_mounts /bin/mount --bind /volume /scratch
	is_named '"/scratch" (tmpfs) was unmounted' '"/volume" was mounted with' \
		'"/scratch" (' 'mounted inside'
}

@test "a program that could not be executed any more" {
	mkdir "$T/volume"
	cp "$(payload ck_worker)" "$T/volume/ck_worker"
	CK_EDIT='.mounts += [{destination: "/volume", type: "bind", source: "'$T/volume'",
		options: ["rbind"]}] | .process.args[0] = "/volume/ck_worker"'
	ck_start ck_worker
	chmod a-x "$T/volume/ck_worker"
	is_named 'process 1: its program "/volume/ck_worker", which nobody may execute any more'
	chmod u+x "$T/volume/ck_worker"
	can_be_saved
	in_mounts /bin/mount -o remount,bind,noexec /volume
	is_named 'its program "/volume/ck_worker" on a mount that is noexec now'
	in_mounts /bin/mount -o remount,bind,exec /volume
	ck_checkpoint
	ck_restore
	works
}

@test "after a restore the same is looked for" {
	ck_start ck_worker
	ck_checkpoint
	ck_restore
	can_be_saved
	in_mounts /bin/mount -t tmpfs inner /tmp
	is_named '"/tmp" (tmpfs), mounted inside'
	in_mounts /bin/umount /tmp
	ck_checkpoint
	ck_restore
	works
}

@test "a mount that came from the host by propagation is no obstacle" {
	mkdir "$T/volume"
	mount -t tmpfs volume "$T/volume"
	mount --make-shared "$T/volume"
	mkdir "$T/volume/later"
	CK_EDIT='.mounts += [{destination: "/volume", type: "bind", source: "'$T/volume'",
		options: ["rbind", "rslave"]}]'
	ck_start ck_worker
	mount -t tmpfs later "$T/volume/later"
	in_mounts grep -q /volume/later /proc/self/mountinfo || fail "not propagated"
	can_be_saved
}

@test "the network of a namespace of its own" {
	need_command ip
	ck_start ck_worker
	can_be_saved
	in_net ip link add inside type veth peer name other || skip "wants veth"
	in_net ip link set other up
	in_net ip link set inside up
	in_net ip addr add 10.1.2.3/24 dev inside
	in_net ip route add 10.9.0.0/16 via 10.1.2.1
	in_net ip addr add 127.5.5.5/32 dev lo
	in_net ip rule add pref 99 to 10.8.0.0/16 lookup 7
	is_named 'network interface "inside"' 'route to 10.9.0.0/16' 'address 127.5.5.5/32' \
		'routing rule 99'
	in_net ip link del inside
	in_net ip addr del 127.5.5.5/32 dev lo
	in_net ip rule del pref 99
	can_be_saved
	in_net ip link set lo down
	is_named 'loopback interface, down'
	in_net ip link set lo up
	can_be_saved
	ck_checkpoint
	ck_restore
	in_net ip link show lo | grep -q LOOPBACK,UP
	can_be_saved
}

@test "nftables of a namespace of its own" {
	need_command nft
	ck_start ck_worker
	in_net nft add table inet inside || skip "wants nftables"
	is_named 'nftables table "inside"'
	in_net nft delete table inet inside
	can_be_saved
}

@test "a network namespace that was joined by path is not the container's" {
	need_command ip
	ip netns add "firn-$$" || skip "wants network namespaces with names"
	ip -n "firn-$$" link add outside type veth || :
	CK_EDIT='(.linux.namespaces[] | select(.type == "network")).path = "/run/netns/firn-'$$'"'
	ck_start ck_worker
	run firn checkpoint --check "$ID"
	ip netns del "firn-$$"
	equal "$status" 0
}

@test "cgroups made inside" {
	ck_start ck_worker
	can_be_saved
	MADE_CGROUP=$(dirname "$(freezer_file "$ID")")/inside
	mkdir "$MADE_CGROUP"
	is_named "$MADE_CGROUP"
	rmdir "$MADE_CGROUP"
	can_be_saved
}

# What entered by exec could change what is shared while it is captured.
@test "--allow exec: who entered by exec stands still meanwhile, and goes on" {
	ck_start ck_worker
	add_payload "$B" counter
	firn exec --detach "$ID" counter /tmp/other 2 </dev/null >"$T/exec.log" 2>&1 3>&-
	wait_for 10 non_empty "$B/rootfs/tmp/other"
	other() {
		echo "$(number_at "$B/rootfs/tmp/other" 0) $(number_at "$B/rootfs/tmp/other" 1)"
	}
	other_gets_on() {
		[ "$(other)" != "$1" ]
	}
	wait_for 10 other_gets_on "$(other)"
	for point in capture pages; do
		env FIRN_FAULT="checkpoint-$point:stop" "$FIRN" --root "$FIRN_ROOT" checkpoint \
			--allow exec --leave-running --image-path "$T/image-$point" "$ID" \
			</dev/null >"$T/out" 2>&1 3>&- &
		pid=$!
		stopped() {
			grep -q '^State:.T' "/proc/$pid/status"
		}
		wait_for 10 stopped
		before=$(other)
		sleep 0.3
		equal "$(other)" "$before" "what the exec'ed processes count"
		kill -CONT "$pid"
		wait "$pid" || fail "$(cat "$T/out")"
		wait_for 10 other_gets_on "$before"
		works
	done
}
