#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# update: other limits for a container that runs; events: what it uses, and OOM.

load helpers

setup() {
	setup_bundle sleep 1000
	run_detached "$ID" "$B"
	BUDGET=
}

# BUDGET: the file that a test has given real-time runtime by, which others of the host want too.
teardown() {
	teardown_firn
	# a cgroup that is removed counts for a moment more
	[ -z "$BUDGET" ] || wait_for 5 sh -c "echo 0 >$BUDGET"
}

# limit CONTROLLER V1-FILE V2-FILE: what the kernel says now.
limit() {
	local dir
	if [ "$(cgroup_layout)" = v2 ]; then
		dir=$(sed -n 's/^0:://p' "/proc/$(container_pid "$ID")/cgroup")
		cat "/sys/fs/cgroup$dir/$3"
	else
		dir=$(sed -nE "s/^[0-9]+:([^:]*,)?$1(,[^:]*)?://p" "/proc/$(container_pid "$ID")/cgroup")
		cat /sys/fs/cgroup/"$1$dir/$2"
	fi
}

@test "memory, tasks and CPU by options" {
	ok firn update --memory 64M --memory-reservation 32m --pids-limit 77 --cpu-share 2048 \
		--cpu-period 50000 --cpu-quota 25000 --cpuset-cpus 0 "$ID"
	equal "$(limit memory memory.limit_in_bytes memory.max)" 67108864
	equal "$(limit memory memory.soft_limit_in_bytes memory.low)" 33554432
	equal "$(limit pids pids.max pids.max)" 77
	equal "$(limit cpuset cpuset.cpus cpuset.cpus)" 0
	if [ "$(cgroup_layout)" = v2 ]; then
		equal "$(limit cpu '' cpu.max)" "25000 50000"
	else
		equal "$(limit cpu cpu.shares '')" 2048
		equal "$(limit cpu cpu.cfs_quota_us '')" 25000
		equal "$(limit cpu cpu.cfs_period_us '')" 50000
	fi
	# what is not given stays
	ok firn update --cpu-quota 30000 "$ID"
	equal "$(limit pids pids.max pids.max)" 77
	[[ $(limit cpu cpu.cfs_quota_us cpu.max) == 30000* ]]
	ok firn update --pids-limit -1 --memory -1 "$ID"
	equal "$(limit pids pids.max pids.max)" max
}

@test "memory without a limit, where memory and swap had one" {
	ok firn update --memory 64M --memory-swap 64M "$ID"
	ok firn update --memory -1 "$ID"
	[ "$(limit memory memory.limit_in_bytes memory.max)" != 67108864 ]
}

@test "a hierarchy that is joined late holds all processes, and goes with the container" {
	firn exec -d "$ID" sleep 1000 </dev/null >/dev/null 2>&1 3>&-
	ok firn update --cpu-share 512 "$ID"
	local lines
	lines=$(firn ps --format json "$ID" | jq -r '.[]' | while read -r p; do grep -E '^[0-9]+:(.*,)?cpu(,.*)?:|^0:' "/proc/$p/cgroup"; done | sort -u | wc -l)
	[ "$lines" -le 2 ] || fail "they are in different cgroups"
	ok firn delete --force "$ID"
	equal "$(cgroups_of "$ID")" "" "left cgroups"
}

@test "limits from a file and from standard input, options over them" {
	echo '{"pids": {"limit": 31}, "memory": {"limit": 33554432}}' >"$T/limits.json"
	ok firn update -r "$T/limits.json" --pids-limit 32 "$ID"
	equal "$(limit pids pids.max pids.max)" 32
	equal "$(limit memory memory.limit_in_bytes memory.max)" 33554432
	echo '{"pids": {"limit": 33}}' | "$FIRN" --root "$FIRN_ROOT" update --resources - "$ID"
	equal "$(limit pids pids.max pids.max)" 33
	echo '{"pids": {"limit": "x"}}' >"$T/limits.json"
	fails firn update -r "$T/limits.json" "$ID"
	one_line
	has /pids/limit
}

@test "what update refuses" {
	fails firn update --memory 12X "$ID"
	one_line
	has --memory
	fails firn update --pids-limit 1k "$ID"
	one_line
	has --pids-limit
	fails firn update --memory 99999999999T "$ID"
	one_line
	fails firn update --pids-limit 5 nobody
	one_line
	has "does not exist"
	firn kill "$ID" KILL
	wait_for 5 has_status "$ID" stopped
	fails firn update --pids-limit 5 "$ID"
	one_line
	has "not running"
}

@test "statistics, once and again" {
	ok firn events --stats "$ID"
	equal "${#lines[@]}" 1
	jq -e --arg id "$ID" '.type == "stats" and .id == $id and .data.pids.current == 1
		and .data.memory.usage.usage > 0 and .data.cpu.usage.total > 0' <<<"$output"
	"$FIRN" --root "$FIRN_ROOT" events --interval 50ms "$ID" >"$T/events" 2>&1 3>&- &
	local events=$!
	three() { [ "$(wc -l <"$T/events")" -ge 3 ]; }
	wait_for 5 three
	firn kill "$ID" KILL
	wait "$events"
	jq -e -s 'all(.type == "stats")' "$T/events"
	fails firn events --interval soon "$ID"
	one_line
	has --interval
}

@test "the OOM killer at work is an event" {
	"$FIRN" --root "$FIRN_ROOT" events --interval 1h "$ID" >"$T/events" 2>&1 3>&- &
	local events=$!
	wait_for 5 test -s "$T/events"
	ok firn update --memory 8M --memory-swap 8M "$ID"
	run firn exec "$ID" sh -c 'dd if=/dev/zero of=/dev/null bs=64M count=1'
	[ "$status" -ne 0 ]
	wait_for 5 grep -q '"type":"oom"' "$T/events" || wait_for 1 grep -q oom "$T/events"
	firn kill "$ID" KILL
	wait "$events"
}

# cgroup_dir V1-CONTROLLER: of the container.
cgroup_dir() {
	echo "/sys/fs/cgroup/$1$(sed -nE "s/^[0-9]+:([^:]*,)?$1(,[^:]*)?://p" "/proc/$(container_pid "$ID")/cgroup")"
}

@test "a real-time period that is shorter than the runtime was" {
	need_cgroup hybrid
	local dir
	ok firn update --cpu-share 512 "$ID"
	dir=$(cgroup_dir cpu)
	[ -e "$dir/cpu.rt_period_us" ] || skip "wants real-time group scheduling"
	if [ "$(dirname "$dir")" != /sys/fs/cgroup/cpu ]; then
		BUDGET=$(dirname "$dir")/cpu.rt_runtime_us
		echo 950000 >"$BUDGET" || skip "wants real-time runtime to give"
	fi
	ok firn update --cpu-rt-period 900001 --cpu-rt-runtime 600001 "$ID"
	ok firn update --cpu-rt-period 10000 --cpu-rt-runtime 3000 "$ID"
	equal "$(cat "$dir/cpu.rt_period_us") $(cat "$dir/cpu.rt_runtime_us")" "10000 3000"
}
