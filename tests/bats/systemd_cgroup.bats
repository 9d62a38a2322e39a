#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Cgroups made by systemd (--systemd-cgroup): names, limits, life and death of the unit. They
# run in the test VM with systemd as process 1: FIRN_VM_SYSTEMD=1 tests/vm/run.

load helpers

# One root file system for all: to make one takes longer than most tests, in the VM.
setup_file() {
	make_bundle "$BATS_FILE_TMPDIR"
	chmod -R a+rX "$BATS_RUN_TMPDIR"
}

setup() {
	need_root
	case $BATS_TEST_DESCRIPTION in
	without\ systemd*) ;;
	*cgroup\ v1*) need_systemd && need_cgroup hybrid ;;
	*) need_systemd && need_cgroup v2 ;;
	esac
	setup_firn
	new_id
	B=$T/bundle
	UNIT=firn-$ID.scope
	CG=/sys/fs/cgroup/system.slice/$UNIT
}

teardown() {
	teardown_firn
	[ -z "${OTHER:-}" ] || systemctl stop "$OTHER" 2>/dev/null || :
}

# bundle FILTER CMD ARG...: a bundle with an edited config.json, whose $id is the container's.
bundle() {
	local filter='.process.args = $ARGS.positional | .root.path = $root |'" $1"
	shift
	mkdir -p "$B"
	jq --arg root "$BATS_FILE_TMPDIR/rootfs" --arg id "$ID" "$filter" \
		"$BATS_FILE_TMPDIR/config.json" --args -- "$@" >"$B/config.json"
}

sd_firn() {
	firn --systemd-cgroup "$@"
}

# start [OPTION...]: the bundle's container, detached.
start() {
	"$FIRN" --systemd-cgroup --root "$FIRN_ROOT" run -d --bundle "$B" "$@" "$ID" \
		</dev/null >>"$T/$ID.log" 2>&1 3>&- || fail "$(cat "$T/$ID.log")"
}

property() {
	systemctl show -P "$1" "${2:-$UNIT}"
}

# no_unit [UNIT]: systemd does not know it, and there is no cgroup of that name.
no_unit() {
	local unit=${1:-$UNIT}
	equal "$(property LoadState "$unit")" not-found "state of $unit"
	equal "$(find /sys/fs/cgroup -type d -name "$unit")" "" "directories"
}

file() {
	equal "$(cat "$CG/$1")" "$2" "$1"
}

@test "without a cgroupsPath the container is firn-ID.scope in system.slice; nothing is left" {
	bundle '.linux.namespaces |= map(select(.type != "cgroup"))' cat /proc/self/cgroup
	ok sd_firn run --bundle "$B" "$ID"
	equal "$output" "0::/system.slice/$UNIT"
	no_unit
	is_gone "$ID"
}

@test "SLICE:PREFIX:NAME with a slice in a slice" {
	bundle '.linux.cgroupsPath = "firn-test.slice:pre:\($id)"' sleep 1000
	start
	UNIT=pre-$ID.scope
	equal "$(property Slice)" firn-test.slice
	equal "$(property ControlGroup)" "/firn.slice/firn-test.slice/$UNIT"
	equal "$(cat "/sys/fs/cgroup/firn.slice/firn-test.slice/$UNIT/cgroup.procs")" "$(container_pid "$ID")"
	equal "$(property Delegate)" yes
	ok firn delete --force "$ID"
	no_unit
}

@test "a NAME that is a slice" {
	UNIT=firn-${ID//-/_}.slice
	bundle '.linux.cgroupsPath = "::firn-" + ($id | gsub("-"; "_")) + ".slice"
		| .linux.resources.memory.limit = 67108864' sleep 1000
	start
	equal "$(property ControlGroup)" "/firn.slice/$UNIT"
	equal "$(property MemoryMax)" 67108864
	equal "$(cat "/sys/fs/cgroup/firn.slice/$UNIT/cgroup.procs")" "$(container_pid "$ID")"
	ok firn delete --force "$ID"
	# systemd knows any slice that it is asked about
	equal "$(property ActiveState)" inactive
	equal "$(find /sys/fs/cgroup -type d -name "$UNIT")" ""
}

@test "limits are properties too: a daemon-reload leaves them, and takes back what only a file had" {
	bundle '.linux.resources |= (. + {memory: {limit: 67108864, swap: 100663296, reservation: 4194304},
		cpu: {shares: 2048, quota: 30000, period: 100000, cpus: "0", burst: 10000},
		pids: {limit: 20}, unified: {"memory.high": "50331648"}})' sleep 1000
	start
	equal "$(property MemoryMax)" 67108864
	equal "$(property MemoryLow)" 4194304
	equal "$(property MemoryHigh)" 50331648
	equal "$(property CPUWeight)" 79
	equal "$(property CPUQuotaPerSecUSec)" 300ms
	equal "$(property AllowedCPUs)" 0
	equal "$(property TasksMax)" 20
	echo 33554432 >"$CG/memory.max"
	echo 10 >"$CG/pids.max"
	systemctl daemon-reload
	file memory.max 67108864
	file memory.low 4194304
	file memory.high 50331648
	file cpu.weight 79
	file cpu.max "30000 100000"
	file cpu.max.burst 10000
	file cpuset.cpus 0
	file pids.max 20
}

@test "memory.oom.group, which systemd writes with any other file, stays as it was asked for" {
	bundle '.linux.resources |= (. + {memory: {limit: 67108864}, unified: {"memory.oom.group": "1"}})' sleep 1000
	start
	file memory.oom.group 1
	ok firn update --memory 32M "$ID"
	file memory.max 33554432
	file memory.oom.group 1
	ok firn update --pids-limit 20 "$ID"
	file memory.oom.group 1
}

@test "without limits there is none of systemd's own" {
	bundle . sleep 1000
	start
	file pids.max max
	file memory.max max
	file cpu.max "max 100000"
}

@test "update: file and property; what is not given stays" {
	bundle '.linux.resources.memory.limit = 67108864 | .linux.resources.pids = {limit: 20}' sleep 1000
	start
	ok firn update --memory 32M --cpu-quota 20000 --cpu-period 50000 "$ID"
	equal "$(property MemoryMax)" 33554432
	equal "$(property CPUQuotaPerSecUSec)" 400ms
	systemctl daemon-reload
	file memory.max 33554432
	file cpu.max "20000 50000"
	file pids.max 20
	ok firn update --pids-limit -1 "$ID"
	equal "$(property TasksMax)" infinity
	echo '{"unified": {"pids.max": "30"}}' >"$T/unified.json"
	ok firn update --resources "$T/unified.json" "$ID"
	file pids.max 30
	equal "$(property TasksMax)" 30
	equal "$(property MemoryMax)" 33554432
}

@test "a limit of one process leaves room for the container's own" {
	bundle '.linux.resources.pids = {limit: 1}' sleep 1000
	start
	file pids.max 1
	file pids.current 1
}

@test "limits hold before any hook runs, but for those that count the runtime" {
	printf '#!/bin/sh\ncat "%s/memory.high" "%s/pids.max" >"%s/seen"\n' "$CG" "$CG" "$T" >"$T/hook"
	chmod 755 "$T/hook"
	bundle '.linux.resources |= (. + {unified: {"memory.high": "50331648", "pids.max": "1"}})
		| .hooks.createRuntime = [{path: "'"$T/hook"'"}]' sleep 1000
	start
	equal "$(cat "$T/seen")" "$(printf '50331648\nmax')"
	file memory.high 50331648
	file pids.max 1
}

@test "device rules are told to systemd, and hold" {
	bundle '.linux.devices = [{path: "/dev/d1", type: "c", major: 10, minor: 237},
			{path: "/dev/d2", type: "c", major: 10, minor: 230}]
		| .linux.resources.devices = [{allow: false, access: "rwm"},
			{allow: true, type: "c", major: 10, minor: 237, access: "r"}]' \
		sh -c 'for d in 1 2; do ( : </dev/d$d ) 2>&1 | grep -q "Operation not permitted" && echo "$d refused"; done
			: </dev/null && echo null; sleep 1000'
	start
	wait_for 5 grep -q null "$T/$ID.log"
	equal "$(cat "$T/$ID.log")" "$(printf '%s\n' '2 refused' null)"
	equal "$(property DevicePolicy)" strict
	[[ $(property DeviceAllow) == *"/dev/char/10:237 r"* ]] || fail "DeviceAllow: $(property DeviceAllow)"
}

@test "pause and resume: neither a daemon-reload nor an update thaws; a paused one is deleted" {
	bundle . sleep 1000
	start
	ok firn pause "$ID"
	systemctl daemon-reload
	ok firn update --memory 64M "$ID"
	file cgroup.freeze 1
	equal "$(container_status "$ID")" paused
	ok firn resume "$ID"
	file cgroup.freeze 0
	ok firn pause "$ID"
	ok firn delete --force "$ID"
	no_unit
}

@test "exec joins the unit" {
	bundle . sleep 1000
	start
	"$FIRN" --root "$FIRN_ROOT" exec --detach --pid-file "$T/pid" "$ID" sleep 999 3>&-
	equal "$(cat "/proc/$(cat "$T/pid")/cgroup")" "0::/system.slice/$UNIT"
}

@test "checkpoint, and restore into a unit of the same name with its limits" {
	local rootfs=$BATS_FILE_TMPDIR/rootfs
	rm -f "$rootfs/tmp/n"
	bundle '.linux.resources.memory.limit = 67108864' \
		sh -c 'i=0; while :; do i=$((i + 1)); echo $i >/tmp/n; sleep 0.1; done'
	start
	wait_for 5 test -s "$rootfs/tmp/n"
	ok sd_firn checkpoint --image-path "$T/image" "$ID"
	is_gone "$ID"
	no_unit
	n=$(cat "$rootfs/tmp/n")
	"$FIRN" --systemd-cgroup --root "$FIRN_ROOT" restore --image-path "$T/image" --bundle "$B" "$ID" \
		</dev/null >>"$T/$ID.log" 2>&1 3>&- &
	wait_for 5 has_status "$ID" running
	equal "$(property ActiveState)" active
	# who waits for the container has no ear for systemd, which would fill it: one for its init
	equal "$(find "/proc/$!/fd" -lname 'socket:*' | wc -l)" 1
	equal "$(property MemoryMax)" 67108864
	[[ $(cat "/proc/$(container_pid "$ID")/cgroup") == "0::/system.slice/$UNIT" ]] || fail "not in the unit"
	wait_for 5 eval '[ "$(cat "$rootfs/tmp/n")" -gt "$n" ]'
	ok firn delete --force "$ID"
	no_unit
}

@test "who ends by itself, or by systemctl stop, is stopped, and can be deleted" {
	bundle . sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done'
	start
	systemctl stop "$UNIT"
	wait_for 5 has_status "$ID" stopped
	ok firn delete "$ID"
	no_unit
	bundle . true
	start
	wait_for 5 has_status "$ID" stopped
	ok firn delete "$ID"
	no_unit
}

@test "a unit of that name: refused while it is active, and left alone; replaced when it has failed" {
	bundle . true
	OTHER=$UNIT
	systemd-run --quiet --scope --unit="$UNIT" -p RuntimeMaxSec=8 sleep 1000 3>&- 2>/dev/null &
	wait_for 5 systemctl is-active "$UNIT"
	fails sd_firn run --bundle "$B" "$ID"
	one_line
	has "unit \"$UNIT\" exists in systemd already"
	is_gone "$ID"
	equal "$(property ActiveState)" active
	wait_for 5 systemctl is-failed "$UNIT"
	ok sd_firn run --bundle "$B" "$ID"
	no_unit
}

@test "the runtime killed after the unit is made: it goes with the runtime, delete does the rest" {
	bundle . sleep 1000
	fails env FIRN_FAULT=unit-started:kill "$FIRN" --systemd-cgroup --root "$FIRN_ROOT" run -d --bundle "$B" "$ID"
	equal "$status" 137
	wait_for 5 no_unit
	ok firn delete --force "$ID"
	is_gone "$ID"
	start
	pid=$(container_pid "$ID")
	kill -9 "$pid"
	wait_for 5 no_unit
}

@test "the runtime killed before the unit is made: a slice of that name, another's, is left alone" {
	OTHER=firn_other.slice
	systemctl start "$OTHER"
	bundle '.linux.cgroupsPath = "::firn_other.slice"' sleep 1000
	fails env FIRN_FAULT=unit-planned:kill "$FIRN" --systemd-cgroup --root "$FIRN_ROOT" run -d --bundle "$B" "$ID"
	equal "$status" 137
	ok firn delete --force "$ID"
	is_gone "$ID"
	equal "$(property ActiveState "$OTHER")" active
	[ -d /sys/fs/cgroup/firn_other.slice ]
	# systemd itself would take it for one that can be made
	fails sd_firn run -d --bundle "$B" "$ID" </dev/null
	has "unit \"$OTHER\" exists in systemd already"
	equal "$(property ActiveState "$OTHER")" active
}

@test "what fails after the unit is made takes it away again" {
	# a start that did not end in time: a slice stays without processes
	bundle '.linux.cgroupsPath = "::firn_failed.slice"' sleep 1000
	fails env FIRN_FAULT=unit-job:ETIMEDOUT "$FIRN" --systemd-cgroup --root "$FIRN_ROOT" run -d --bundle "$B" "$ID"
	one_line
	equal "$(property ActiveState firn_failed.slice)" inactive
	bundle . sleep 1000
	fails env FIRN_FAULT=unit-started:EIO "$FIRN" --systemd-cgroup --root "$FIRN_ROOT" run -d --bundle "$B" "$ID"
	one_line
	no_unit
	is_gone "$ID"
	bundle '.linux.resources.unified = {"memory.nonsense": "1"}' true
	fails sd_firn run --bundle "$B" "$ID"
	has memory.nonsense
	no_unit
	is_gone "$ID"
}

@test "annotations are properties, also for who is paused; what cannot be one is refused" {
	bundle '.annotations = {"org.systemd.property.TimeoutStopUSec": "uint64 1000000",
		"org.systemd.property.Description": "\u0027a word\u0027"}' sleep 1000
	start
	equal "$(property TimeoutStopUSec)" 1s
	equal "$(property Description)" "a word"
	ok firn pause "$ID"
	systemctl stop "$UNIT"
	equal "$(container_status "$ID")" stopped
	ok firn delete "$ID"
	bundle '.annotations = {"org.systemd.property.NoSuchProperty": "1"}' true
	fails sd_firn run --bundle "$B" "$ID"
	one_line
	has "NoSuchProperty"
	no_unit
	bundle '.annotations = {"org.systemd.property.Slice": "\u0027x.slice\u0027"}' true
	fails sd_firn run --bundle "$B" "$ID"
	one_line
	has "/annotations/org.systemd.property.Slice: the runtime sets this"
}

@test "a cgroupsPath that names no unit: one line that says so" {
	local path
	for path in /a/path a.slice:b no:b:c a--b.slice:b:c a.slice:b/c:d; do
		bundle ".linux.cgroupsPath = \"$path\"" true
		fails sd_firn run --bundle "$B" "$ID"
		one_line
		has "config.json: /linux/cgroupsPath \"$path\": "
		is_gone "$ID"
	done
}

# What a container has in a user namespace that was there before, of root alone.
IN_USER_NAMESPACE='.linux.namespaces |= map(select(.type != "user")) | del(.linux.uidMappings, .linux.gidMappings)
	| (.mounts[] | select(.options) | .options) |= map(select(startswith("gid=") | not)) |'

# mapped UID CMD...: as root of a user namespace in which he is who UID is outside. Groups can be set in it, as in
# those of engines: so it is not for himself to map the ids.
mapped() {
	local uid=$1 job map
	shift
	rm -f "$T/mapped"
	setpriv --reuid "$uid" --regid "$uid" --clear-groups env XDG_RUNTIME_DIR="/run/user/$uid" \
		unshare --user --mount sh -c 'echo $$ >"$0"; until grep -q . /proc/self/uid_map; do sleep 0.05; done; exec "$@"' \
		"$T/mapped" "$@" </dev/null >>"$T/log" 2>&1 3>&- &
	job=$!
	wait_for 5 test -s "$T/mapped"
	for map in gid_map uid_map; do
		echo "0 $uid 1" >"/proc/$(cat "$T/mapped")/$map"
	done
	wait "$job" || fail "$(cat "$T/log")"
}

@test "root of a user namespace whose systemd is the system's asks that one" {
	need_command setpriv
	bundle "$IN_USER_NAMESPACE .linux.resources.memory.limit = 67108864" sleep 1000
	mapped 0 "$FIRN" --systemd-cgroup --root "$FIRN_ROOT" run -d --bundle "$B" "$ID"
	equal "$(property MemoryMax)" 67108864
	equal "$(cat "/proc/$(container_pid "$ID")/cgroup")" "0::/system.slice/$UNIT"
	# who asks for the user's gets no other
	fails unshare --user --map-root-user --mount "$FIRN" --systemd-cgroup --rootless true --root "$FIRN_ROOT" \
		run -d --bundle "$B" "$ID-2"
	has "connecting to the user's systemd"
}

# As a login would have it, but for the login: his own systemd, and Firn outside of that.
user() {
	setpriv --reuid 1234 --regid 1234 --clear-groups --inh-caps=-all --bounding-set=-all \
		env XDG_RUNTIME_DIR=/run/user/1234 "$@"
}

# user_bundle FILTER: a user with a systemd, a Firn and a bundle of his own
user_bundle() {
	need_vm # where there is a user 1234
	need_command setpriv
	OTHER=user@1234.service
	systemctl start "$OTHER"
	make_rootfs "$B/rootfs"
	install -m 755 "$FIRN" "$T/firn"
	chmod 755 "$FIRN_ROOT"
	chown -R 1234:1234 "$B" "$FIRN_ROOT" "$T"
	user "$T/firn" spec --rootless --bundle "$B"
	edit_config "$B" "$1"'.process.terminal = false | .process.args = ["sleep", "1000"]
		| .linux.resources.memory.limit = 67108864'
	chown 1234:1234 "$B/config.json"
	CG=/user.slice/user-1234.slice/user@1234.service/user.slice/$UNIT
}

@test "a user's container in a user namespace that is there already is a unit of his own systemd" {
	user_bundle "$IN_USER_NAMESPACE"
	mapped 1234 "$T/firn" --systemd-cgroup --root "$FIRN_ROOT" run -d --bundle "$B" "$ID"
	equal "$(cat "/proc/$(container_pid "$ID")/cgroup")" "0::$CG"
	user nsenter --user="/proc/$(container_pid "$ID")/ns/user" --preserve-credentials \
		"$T/firn" --root "$FIRN_ROOT" exec --detach --pid-file "$T/pid" "$ID" sleep 999 </dev/null >>"$T/log" 2>&1 3>&- ||
		fail "$(cat "$T/log")"
	equal "$(cat "/proc/$(cat "$T/pid")/cgroup")" "0::$CG"
	ok firn delete --force "$ID"
	no_unit
}

@test "a user's container is a unit of his own systemd" {
	user_bundle ""
	user "$T/firn" --systemd-cgroup --root "$FIRN_ROOT" run -d --bundle "$B" "$ID" \
		</dev/null >>"$T/log" 2>&1 3>&- || fail "$(cat "$T/log")"
	equal "$(cat "/proc/$(container_pid "$ID")/cgroup")" "0::$CG"
	equal "$(user systemctl --user show -P MemoryMax "$UNIT")" 67108864
	ok user "$T/firn" --root "$FIRN_ROOT" exec "$ID" cat /proc/self/cgroup
	equal "$output" 0::/
	ok user "$T/firn" --root "$FIRN_ROOT" delete --force "$ID"
	equal "$(user systemctl --user show -P LoadState "$UNIT")" not-found
	no_unit
	# as Podman does it for a user; who he is, is told by the map of ids alone
	edit_config "$B" '.linux.uidMappings[0].hostID = 0 | .linux.gidMappings[0].hostID = 0
		| .process.args = ["cat", "/proc/self/cgroup"] | .linux.namespaces |= map(select(.type != "cgroup"))'
	chown 1234:1234 "$B/config.json"
	ok user env -u XDG_RUNTIME_DIR unshare -Ur "$T/firn" --systemd-cgroup --root "$FIRN_ROOT" run --bundle "$B" "$ID"
	equal "$output" "0::$CG"
	no_unit
}

@test "where systemd's own socket is not within reach the message bus is" {
	bundle '.linux.resources.memory.limit = 67108864
		| .linux.namespaces |= map(select(.type != "cgroup"))' cat /proc/self/cgroup
	ok unshare -m sh -c 'mount --bind /dev/null /run/systemd/private && exec "$@"' sh \
		"$FIRN" --systemd-cgroup --root "$FIRN_ROOT" run --bundle "$B" "$ID"
	equal "$output" "0::/system.slice/$UNIT"
	no_unit
}

# file_v1 CONTROLLER FILE VALUE
file_v1() {
	equal "$(cat "/sys/fs/cgroup/$1/system.slice/$UNIT/$2")" "$3" "$2"
}

limits_v1() {
	file_v1 memory memory.limit_in_bytes 67108864
	file_v1 pids pids.max 1
	file_v1 cpu cpu.shares 2048
	file_v1 cpu cpu.cfs_quota_us 30000
	file_v1 cpuset cpuset.cpus 0
	[[ $(cat "/sys/fs/cgroup/devices/system.slice/$UNIT/devices.list") == *"c 10:237 r"* ]] || fail "devices"
	lacks_line "a *:* rwm" "/sys/fs/cgroup/devices/system.slice/$UNIT/devices.list"
}

lacks_line() {
	! grep -qFx "$1" "$2" || fail "$2 has: $1"
}

@test "cgroup v1: the same unit in each hierarchy; a daemon-reload leaves limits and devices" {
	bundle '.linux.resources = {memory: {limit: 67108864}, pids: {limit: 1},
		cpu: {shares: 2048, quota: 30000, period: 100000, cpus: "0"},
		devices: [{allow: false, access: "rwm"}, {allow: true, type: "c", major: 10, minor: 237, access: "r"},
			{allow: false, type: "c", major: 10, minor: 229, access: "rwm"},
			{allow: true, type: "c", minor: 238, access: "r"}]}' \
		sleep 1000
	# as on any machine: for the sake of such a service systemd writes the device lists of all in its slice
	OTHER=firn-beside-$$.service
	systemd-run --quiet --unit="$OTHER" -p DevicePolicy=closed -p DefaultDependencies=no sleep 1000
	start
	limits_v1
	echo 134217728 >"/sys/fs/cgroup/memory/system.slice/$UNIT/memory.limit_in_bytes"
	systemctl daemon-reload
	limits_v1
	ok firn pause "$ID"
	systemctl daemon-reload
	ok firn update --pids-limit 7 "$ID"
	file_v1 freezer freezer.state FROZEN
	file_v1 pids pids.max 7
	ok firn delete --force "$ID"
	no_unit
	fails env FIRN_FAULT=unit-started:kill "$FIRN" --systemd-cgroup --root "$FIRN_ROOT" run -d --bundle "$B" "$ID"
	ok firn delete --force "$ID"
	wait_for 5 no_unit
}

@test "without systemd there is an error of one line" {
	[ ! -e /run/systemd/private ] || skip "wants a machine without systemd"
	bundle . true
	fails sd_firn run --bundle "$B" "$ID"
	one_line
	has "connecting to systemd"
	has "is systemd process 1?"
	is_gone "$ID"
}
