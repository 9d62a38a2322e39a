#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# /linux of config.json, beyond what run.bats and mounts.bats show: tests/oci/fields.tsv says
# which field is whose.

load helpers

setup() {
	setup_bundle true
	BUILD_DIR=$(cd "$REPO/${BUILD:-build}" 2>/dev/null && pwd || realpath "$BUILD")
	DEVICES=()
}

teardown() {
	local d
	for d in "${DEVICES[@]}"; do
		ip link del "$d" 2>/dev/null || :
	done
	teardown_firn
}

@test "annotations are in the state" {
	edit_config "$B" '.annotations = {"org.example.key": "value"}'
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	equal "$(state_field "$ID" '.annotations["org.example.key"]')" value
}

@test "offsets of both clocks" {
	[ -e /proc/self/ns/time ] || skip "wants time namespaces"
	edit_config "$B" '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {
		monotonic: {secs: 1234, nanosecs: 5}, boottime: {secs: 5678, nanosecs: 9}}'
	in_container cat /proc/self/timens_offsets
	equal "$(tr -s ' ' <<<"$output")" "$(printf 'monotonic 1234 5\nboottime 5678 9')"
}

@test "propagation of the root" {
	local kind
	for kind in shared slave private unbindable; do
		edit_config "$B" --arg k "$kind" '.linux.rootfsPropagation = $k'
		in_container awk '$5 == "/" { for (i = 7; $i != "-"; i++) printf "%s ", $i }' /proc/self/mountinfo
		case $kind in
		shared) has shared: ;;
		private) equal "$output" "" ;;
		unbindable) has unbindable ;;
		esac
	done
}

@test "flags of a personality that nobody knows are refused" {
	edit_config "$B" '.linux.personality = {domain: "LINUX", flags: ["NONE"]}'
	fails firn run --bundle "$B" "$ID"
	one_line
	has /linux/personality/flags/0
}

@test "a memory policy, for the program and for who enters" {
	[ -e /proc/self/numa_maps ] || skip "wants a kernel with NUMA"
	edit_config "$B" '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"]}'
	in_container cat /proc/self/numa_maps
	has "bind=static:0"
	new_id
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	ok firn exec "$ID" cat /proc/self/numa_maps
	has "bind=static:0"
}

# --- network devices -------------------------------------------------------------------

make_devices() {
	need_command ip
	DEVICES=("fa$$" "fb$$")
	ip link add "fa$$" type veth peer name "fb$$" || skip "wants veth devices"
	ip addr add 192.0.2.7/24 dev "fa$$"
	ip -6 addr add 2001:db8::7/64 dev "fa$$" nodad || :
	ip link set "fa$$" up
}

@test "a network device becomes the container's, with its addresses, up, by another name" {
	make_devices
	edit_config "$B" --arg d "fa$$" '.linux.netDevices = {($d): {name: "inside0"}}'
	in_container sh -c 'ip -4 addr show dev inside0; ip link show dev inside0'
	has "192.0.2.7/24"
	has ",UP"
}

@test "all network devices or none" {
	make_devices
	# the one that is missing comes last
	edit_config "$B" --arg d "fa$$" '.linux.netDevices = {($d): {name: "inside0"}, zz0: {}}'
	fails firn run --bundle "$B" "$ID"
	one_line
	has /linux/netDevices/zz0
	ok ip -4 addr show dev "fa$$"
	has "192.0.2.7/24"
	has ",UP"
}

@test "a create that fails later gives the network devices back" {
	make_devices
	edit_config "$B" --arg d "fa$$" '.linux.netDevices = {($d): {name: "inside0"}}'
	add_mount "$B" "$T/nowhere" /mnt
	fails firn run --bundle "$B" "$ID"
	has /mounts/
	ok ip -4 addr show dev "fa$$"
	has "192.0.2.7/24"
}

@test "a create that fails at its pid file gives the network devices back" {
	make_devices
	edit_config "$B" --arg d "fa$$" '.linux.netDevices = {($d): {name: "inside0"}}'
	fails firn create --bundle "$B" --pid-file "$T/nowhere/pid" "$ID"
	has "pid file"
	ok ip -4 addr show dev "fa$$"
	has "192.0.2.7/24"
	has ",UP"
}

@test "a run that fails at its program gives the network devices back" {
	make_devices
	edit_config "$B" --arg d "fa$$" '.linux.netDevices = {($d): {name: "inside0"}}'
	install -m 755 /dev/stdin "$B/rootfs/bin/broken" <<<"no program"
	set_args "$B" /bin/broken
	fails firn run --bundle "$B" "$ID"
	has /bin/broken
	ok ip -4 addr show dev "fa$$"
	has "192.0.2.7/24"
	has ",UP"
}

# --- seccomp ---------------------------------------------------------------------------

@test "seccomp: the default action, and its errno" {
	edit_config "$B" '.linux.seccomp = {defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 28,
		syscalls: [{action: "SCMP_ACT_ALLOW", names: ["access", "arch_prctl", "brk", "capset", "chdir",
			"close", "dup2", "execve", "exit", "exit_group", "fcntl", "fork", "clone", "clone3", "vfork", "chdir", "setuid", "setgid", "setresuid", "setresgid", "setgroups", "umask", "capget", "futex", "poll", "getpgrp", "setpgid", "sysinfo", "access", "faccessat", "faccessat2", "dup", "fcntl", "pipe", "pipe2", "statfs", "fstatfs", "lstat", "statx", "write", "sendto", "execveat", "fstat", "getcwd",
			"getegid", "geteuid", "getgid", "getpid", "getppid", "getrandom", "getuid", "ioctl", "lseek",
			"mmap", "mprotect", "munmap", "newfstatat", "open", "openat", "prctl", "prlimit64", "read",
			"readlink", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "set_robust_list",
			"set_tid_address", "stat", "uname", "wait4", "write"]}]}'
	in_container sh -c 'mkdir /tmp/x || echo refused'
	has refused
	has "No space left"
}

@test "seccomp: calls that are newer than the filter are as on an older kernel" {
	# 83 is mkdir(2), 1000 nothing yet
	cp "$BUILD_DIR/tests/payload/callerr" "$B/rootfs/bin/"
	edit_config "$B" '.process.noNewPrivileges = true | .linux.seccomp = {defaultAction: "SCMP_ACT_ERRNO", syscalls: [
		{action: "SCMP_ACT_ALLOW", names: ["arch_prctl", "brk", "execve", "execveat", "exit_group", "fcntl", "fstat",
			"getrandom", "ioctl", "mmap", "mprotect", "munmap", "newfstatat", "prctl", "prlimit64", "read",
			"readlink", "readlinkat", "rseq", "rt_sigprocmask", "set_robust_list", "set_tid_address", "write"]}]}'
	in_container callerr 83 1000
	equal "$output" $'EPERM\nENOSYS'
	edit_config "$B" '.linux.seccomp.defaultErrnoRet = 28'
	in_container callerr 83 1000
	equal "$output" $'ENOSPC\nENOSPC'
}

@test "seccomp: calls that nobody knows are left out, or refused where an annotation says so" {
	edit_config "$B" '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [
		{names: ["chmod", "no_such_call"], action: "SCMP_ACT_ERRNO", errnoRet: 28}]}'
	in_container sh -c 'chmod 600 /tmp || echo refused'
	has refused
	edit_config "$B" '.annotations = {"run.oci.seccomp_fail_unknown_syscall": "1"}'
	fails firn run --bundle "$B" "$ID"
	one_line
	has '/linux/seccomp/syscalls/0: unknown system call "no_such_call"'
	is_gone "$ID"
}

@test "seccomp: arguments are compared" {
	# chmod(2) to modes 0700 to 0777 only is refused: the masked comparison
	edit_config "$B" '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [
		{names: ["chmod"], action: "SCMP_ACT_ERRNO", errnoRet: 28,
			args: [{index: 1, value: 448, valueTwo: 448, op: "SCMP_CMP_MASKED_EQ"}]}]}'
	in_container sh -c 'chmod 600 /tmp && echo first; chmod 755 /tmp || echo second; rm -r /var && echo third'
	has first
	has "No space left"
	has second
	has third
}

@test "seccomp: without another architecture its calls are the end" {
	cp "$BUILD_DIR/tests/payload/int80" "$B/rootfs/bin/"
	edit_config "$B" '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW",
		architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], syscalls: [
		{names: ["swapon"], action: "SCMP_ACT_ERRNO"}]}'
	in_container int80
	equal "$output" "came back"
}

@test "sysctls that are fields of their own are refused" {
	local name
	edit_config "$B" '.domainname = "a" | .linux.sysctl = {"kernel.domainname": "a"}'
	in_container cat /proc/sys/kernel/domainname
	equal "$output" a
	for name in hostname domainname; do
		edit_config "$B" --arg n "$name" '.[$n] = "a" | .linux.sysctl = {("kernel." + $n): "b"}'
		fails firn run --bundle "$B" "$ID"
		one_line
		has "/linux/sysctl"
		has "/$name"
	done
}

@test "seccomp: flags are those that the filter is installed with" {
	need_command strace
	edit_config "$B" '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_LOG"],
		syscalls: [{names: ["swapon"], action: "SCMP_ACT_ERRNO"}]}'
	strace -f -o "$T/trace" -e trace=seccomp "$FIRN" --root "$FIRN_ROOT" run --bundle "$B" "$ID" 3>&-
	# libseccomp tries each flag without a filter, to see what the kernel knows
	grep -qE "SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, \{.* = 0\$" "$T/trace"
}

# listen ERRNO: decides what the container asks, and notes what it was told.
listen() {
	"$BUILD_DIR/tests/payload/listener" "$T/l.sock" "$1" </dev/null >"$T/told" 2>&1 3>&- &
	wait_for 5 test -S "$T/l.sock"
}

@test "seccomp: somebody else decides, at start and for who enters" {
	# a short path, for a socket's name
	edit_config "$B" --arg s "$T/l.sock" '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW",
		listenerPath: $s, listenerMetadata: "tea", syscalls: [
		{names: ["mkdir"], action: "SCMP_ACT_NOTIFY"}]}'
	listen 28
	in_container sh -c 'mkdir /tmp/x; test ! -e /tmp/x'
	has "No space left"
	equal "$(jq -r '.fds[0], .metadata, .state.id, .state.status' "$T/told" | tr '\n' ' ')" "seccompFd tea $ID created "
	[ "$(jq .pid "$T/told")" = "$(jq .state.pid "$T/told")" ]
	rm "$T/l.sock"
	edit_config "$B" '.process.noNewPrivileges = false'
	listen 17
	set_args "$B" sh -c 'mkdir /tmp/x; exec sleep 1000'
	run_detached "$ID" "$B"
	grep -q "File exists" "$T/$ID.log" || wait_for 5 grep -q "File exists" "$T/$ID.log"
	rm "$T/l.sock"
	listen 28
	run firn exec "$ID" mkdir /tmp/x
	has "No space left"
	equal "$(jq -r .state.status "$T/told")" running
}

@test "seccomp: an exec that waits for the listener's word keeps nobody from deleting" {
	edit_config "$B" --arg s "$T/l.sock" '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW",
		listenerPath: $s, syscalls: [
		{names: ["execve", "execveat"], action: "SCMP_ACT_NOTIFY"}]}'
	set_args "$B" sleep 1000
	listen 0
	run_detached "$ID" "$B"
	rm "$T/l.sock"
	listen 0
	local listener=$!
	# it will be asked for its word, and give none
	wait_for 5 grep -q " 00010000 .* $T/l.sock" /proc/net/unix
	kill -STOP "$listener"
	"$FIRN" --root "$FIRN_ROOT" exec "$ID" true </dev/null >"$T/exec" 2>&1 3>&- 4>&- &
	wait_for 10 pgrep -P "$!"
	wait_for 10 grep -q '^Seccomp:.2' "/proc/$(pgrep -P "$!")/status"
	# less than the patience with listeners, after which the exec fails
	ok timeout 7 "$FIRN" --root "$FIRN_ROOT" delete --force "$ID"
	kill -KILL "$listener"
	wait "$!" && fail "the exec succeeded"
	is_gone "$ID"
}

@test "seccomp: nobody listens" {
	edit_config "$B" --arg s "$T/none.sock" '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW",
		listenerPath: $s, syscalls: [{names: ["mkdir"], action: "SCMP_ACT_NOTIFY"}]}'
	fails firn run --bundle "$B" "$ID"
	one_line
	has /linux/seccomp/listenerPath
	is_gone "$ID"
}

# --- what this machine has not ----------------------------------------------------------

@test "classes of service are refused where there is no resctrl" {
	! grep -q ' - resctrl ' /proc/self/mountinfo || skip "wants no resctrl"
	edit_config "$B" '.linux.intelRdt = {schemata: ["L3:0=f"]}'
	fails firn run --bundle "$B" "$ID"
	one_line
	has /linux/intelRdt
	is_gone "$ID"
}

# --- namespaces --------------------------------------------------------------------------

@test "an empty path of a namespace is none" {
	edit_config "$B" '(.linux.namespaces[] | select(.type == "uts")).path = ""'
	in_container readlink /proc/self/ns/uts
	[ "$output" != "$(readlink /proc/self/ns/uts)" ] || fail "the host's namespace"
}

@test "a mount namespace that is joined gets the container's root" {
	local holder
	unshare -m --propagation private sleep 1000 </dev/null >/dev/null 2>&1 3>&- &
	holder=$!
	wait_for 5 test "$(readlink /proc/self/ns/mnt)" != "$(readlink "/proc/$holder/ns/mnt")"
	edit_config "$B" --arg p "/proc/$holder/ns/mnt" '(.linux.namespaces[] | select(.type == "mount")).path = $p'
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	equal "$(readlink "/proc/$(container_pid "$ID")/ns/mnt")" "$(readlink "/proc/$holder/ns/mnt")"
	ok firn exec "$ID" ls /
	has proc
	lacks home
	fails firn checkpoint --image-path "$T/image" "$ID"
	has "mount namespace that was joined by path"
	kill "$holder"
}

# mounted: how many mounts this mount namespace has at the bundle's root and below.
mounted() {
	grep -c " $(realpath "$B")/rootfs" /proc/self/mountinfo
}

@test "without a mount namespace it has the host's, and what was mounted for it goes with it" {
	edit_config "$B" 'del(.linux.namespaces[] | select(.type == "mount")) | del(.linux.maskedPaths, .linux.readonlyPaths)'
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	equal "$(readlink "/proc/$(container_pid "$ID")/ns/mnt")" "$(readlink /proc/self/ns/mnt)" namespace
	[ "$(mounted)" -gt 3 ] || fail "$(mounted) mounts"
	ok firn exec "$ID" sh -c 'pwd; ls -d /*; ls "$0" || :' "$B"
	equal "${lines[0]}" /
	has "/bin"
	has "$B: No such file or directory"
	# by a runtime that has other mounts itself
	fails unshare -m "$FIRN" --root "$FIRN_ROOT" exec "$ID" ls "$B"
	has "$B: No such file or directory"
	fails firn checkpoint --image-path "$T/image" "$ID"
	has "has the host's mount namespace"
	has_status "$ID" running
	ok firn delete --force "$ID"
	equal "$(mounted)" 0 mounts
}

@test "without a mount namespace a failure leaves no mounts, and a kill none for delete" {
	edit_config "$B" 'del(.linux.namespaces[] | select(.type == "mount")) | del(.linux.maskedPaths, .linux.readonlyPaths)'
	edit_config "$B" '.hooks.createContainer = [{path: "/bin/false"}]'
	fails firn run --bundle "$B" "$ID"
	one_line
	equal "$(mounted)" 0 "mounts after a failure"
	edit_config "$B" '.hooks.createContainer = [{path: "/bin/sh", args: ["sh", "-c", "echo $PPID >'"$T"'/init; sleep 1000"]}]'
	"$FIRN" --root "$FIRN_ROOT" run --bundle "$B" "$ID" </dev/null >"$T/log" 2>&1 3>&- &
	wait_for 10 test -s "$T/init"
	[ "$(mounted)" -gt 3 ] || fail "$(mounted) mounts"
	kill -9 $!
	ok firn delete --force "$ID"
	equal "$(mounted)" 0 "mounts after a kill"
	edit_config "$B" '.linux.rootfsPropagation = "shared" | del(.hooks)'
	fails firn run --bundle "$B" "$ID"
	has "/linux/rootfsPropagation: needs a namespace"
	edit_config "$B" 'del(.linux.rootfsPropagation) | .root.path = "/"'
	fails firn run --bundle "$B" "$ID"
	one_line
	has "needs a mount namespace"
}

# In mount namespaces of their own: what is refused here would take the host's root.
@test "the host's mount namespace cannot be joined, by any path to it" {
	local run='"$FIRN" --root "$FIRN_ROOT" run --bundle "$B" "$ID"'
	export FIRN FIRN_ROOT B ID
	edit_config "$B" '(.linux.namespaces[] | select(.type == "mount")).path = "/proc/self/ns/mnt"'
	fails unshare -m --propagation private sh -c "$run"
	one_line
	has /linux/namespaces
	has "host's mount namespace"
	is_gone "$ID"
	edit_config "$B" '(.linux.namespaces[] | select(.type == "mount")).path = "/proc/1/ns/mnt"'
	fails unshare -mpf --propagation private --mount-proc \
		sh -c "unshare -m --propagation private sh -c '$run'; exit \$?"
	one_line
	has "host's mount namespace"
	is_gone "$ID"
}
