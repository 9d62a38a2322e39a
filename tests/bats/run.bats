#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# run: what the program finds, and what becomes of its end.

load helpers

setup() {
	setup_bundle true
	let_users_through
}

@test "run passes the exit status on and leaves nothing" {
	set_args "$B" sh -c 'exit 7'
	run firn run --bundle "$B" "$ID"
	equal "$status" 7 status
	is_gone "$ID"
	equal "$(cgroups_of "$ID")" "" "left cgroups"
}

@test "a caller that ignores the ends of its children" {
	set_args "$B" sh -c 'exit 7'
	run timeout 20 env --ignore-signal=CHLD "$FIRN" --root "$FIRN_ROOT" run --bundle "$B" "$ID"
	equal "$status" 7 status
}

@test "a program killed by a signal: 128 and its number" {
	set_args "$B" sleep 1000
	firn run --bundle "$B" "$ID" </dev/null >/dev/null 2>&1 3>&- &
	local runner=$!
	wait_for 5 has_status "$ID" running
	firn kill "$ID" KILL
	local status=0
	wait "$runner" || status=$?
	equal "$status" 137 status
}

@test "run passes signals on" {
	set_args "$B" sh -c 'trap "echo usr1; exit 5" USR1; echo ready; while :; do sleep 0.05; done'
	"$FIRN" --root "$FIRN_ROOT" run --bundle "$B" "$ID" </dev/null >"$T/out" 2>&1 3>&- &
	local runner=$!
	wait_for 5 grep -q ready "$T/out"
	kill -USR1 "$runner"
	local status=0
	wait "$runner" || status=$?
	equal "$status" 5 status
	grep -q usr1 "$T/out"
}

@test "run --keep leaves a stopped container" {
	ok firn run --keep --bundle "$B" "$ID"
	has_status "$ID" stopped
	ok firn delete "$ID"
}

@test "run --detach returns while it runs" {
	set_args "$B" sleep 1000
	run_detached "$ID" "$B" --pid-file "$T/pid"
	has_status "$ID" running
	equal "$(cat "$T/pid")" "$(container_pid "$ID")" "pid file"
}

@test "run reports what keeps the program from running, and leaves nothing" {
	set_args "$B" no-such-program
	fails firn run --bundle "$B" "$ID"
	one_line
	is_gone "$ID"
	equal "$(cgroups_of "$ID")" "" "left cgroups"
}

@test "hostname, domain name, working directory, environment, home" {
	edit_config "$B" '.hostname = "frost" | .domainname = "example" | .process.cwd = "/tmp"
		| .process.env += ["A=b c"]'
	in_container sh -c 'hostname; cat /proc/sys/kernel/domainname; pwd; echo "$A"; echo $HOME'
	equal "$output" "$(printf 'frost\nexample\n/tmp\nb c\n/root')"
}

@test "a FIFO in the place of the container's passwd file holds nobody up" {
	rm -f "$B/rootfs/etc/passwd"
	mkfifo "$B/rootfs/etc/passwd"
	set_args "$B" sh -c 'echo $HOME'
	run timeout -k 1 10 "$FIRN" --root "$FIRN_ROOT" run --bundle "$B" "$ID" </dev/null
	equal "$status" 0 status
	equal "$output" /
}

@test "user, groups, umask" {
	edit_config "$B" '.process.user = {uid: 1000, gid: 1000, additionalGids: [2000, 3000], umask: 63}'
	in_container sh -c 'id -u; id -g; id -G; umask; grep ^CapEff /proc/self/status; echo $HOME'
	equal "$output" "$(printf '1000\n1000\n1000 2000 3000\n0077\nCapEff:\t0000000000000000\n/')"
}

# run_with_groups VERB...: by who has additional groups of his own; the last line in $output.
run_with_groups() {
	run setpriv --groups 4000,4001 "$FIRN" --root "$FIRN_ROOT" "$@"
	[ "$status" -eq 0 ] || fail "exit status $status"
}

@test "the caller's groups, where an annotation asks for them" {
	set_args "$B" id -G
	run_with_groups run --bundle "$B" "$ID"
	equal "$output" 0 "groups without it"
	edit_config "$B" '.annotations = {"run.oci.keep_original_groups": "0"}'
	run_with_groups run --bundle "$B" "$ID"
	equal "$output" 0 "groups with 0"
	edit_config "$B" '.annotations["run.oci.keep_original_groups"] = "1" | .process.user.additionalGids = [5]'
	run_with_groups run --bundle "$B" "$ID"
	equal "$output" "0 4000 4001" groups
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	run_with_groups exec "$ID" id -G
	equal "$output" "0 4000 4001" "groups of exec"
}

@test "the caller's groups in a user namespace" {
	let_users_through
	chown -R 100000:100000 "$B/rootfs"
	edit_config "$B" '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = .linux.uidMappings
		| .annotations = {"run.oci.keep_original_groups": "1"}'
	set_args "$B" id -G
	run_with_groups run --bundle "$B" "$ID"
	equal "$output" "0 65534 65534" groups
}

@test "capabilities, all five sets" {
	edit_config "$B" '.process.capabilities = {
		bounding: ["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW"],
		permitted: ["CAP_KILL", "CAP_CHOWN"], effective: ["CAP_KILL"],
		inheritable: ["CAP_KILL"], ambient: ["CAP_KILL"]}
		| .process.user = {uid: 1000, gid: 1000}'
	in_container grep ^Cap /proc/self/status
	# a user who is not root keeps over exec what is ambient
	equal "$output" "$(printf 'Cap%s:\t%016x\n' Inh 0x20 Prm 0x20 Eff 0x20 Bnd 0x2021 Amb 0x20)"
}

@test "no_new_privs, rlimits, OOM score" {
	edit_config "$B" '.process.noNewPrivileges = true | .process.oomScoreAdj = 500
		| .process.rlimits = [{type: "RLIMIT_NOFILE", soft: 100, hard: 200}]'
	in_container sh -c 'grep NoNewPrivs /proc/self/status; cat /proc/self/oom_score_adj; ulimit -n; ulimit -Hn'
	equal "$output" "$(printf 'NoNewPrivs:\t1\n500\n100\n200')"
}

@test "a hard limit that cannot be raised is one clear line" {
	local caps
	caps=$(sed -n 's/^CapEff:\t//p' /proc/self/status)
	[ $((0x$caps >> 24 & 1)) -eq 0 ] || skip "wants CAP_SYS_RESOURCE to be lacking"
	edit_config "$B" '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 1000000000, hard: 1000000000}]'
	fails firn run --bundle "$B" "$ID"
	one_line
	has "/process/rlimits/0"
	is_gone "$ID"
}

@test "sysctls of the container's namespaces" {
	edit_config "$B" '.linux.sysctl = {"net.ipv4.ip_unprivileged_port_start": "17", "kernel.msgmax": "4321"}'
	in_container sh -c 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax'
	equal "$output" "$(printf '17\n4321')"
}

@test "seccomp: denied calls return the errno, others go on" {
	edit_config "$B" '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW",
		architectures: ["SCMP_ARCH_X86_64"], syscalls: [
		{names: ["mkdir", "mkdirat", "no_such_call"], action: "SCMP_ACT_ERRNO", errnoRet: 28}]}'
	in_container sh -c 'mkdir /tmp/x; grep ^Seccomp: /proc/self/status'
	has "No space left"
	has "$(printf 'Seccomp:\t2')"
	edit_config "$B" '.process.noNewPrivileges = false'
	in_container sh -c 'mkdir /tmp/x; grep ^Seccomp: /proc/self/status'
	has "No space left"
}

@test "namespaces: new ones, and one joined by path" {
	local type
	in_container sh -c 'for n in pid net ipc uts mnt; do readlink /proc/self/ns/$n; done'
	for type in pid net ipc uts mnt; do
		lacks "$(readlink "/proc/self/ns/$type")"
	done
	equal "${#lines[@]}" 5
	edit_config "$B" '(.linux.namespaces[] | select(.type == "network")).path = "/proc/self/ns/net"'
	in_container readlink /proc/self/ns/net
	equal "$output" "$(readlink /proc/self/ns/net)"
}

@test "the pid namespace of another container is joined" {
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	local first=$ID pid
	pid=$(container_pid "$ID")
	new_id
	mkdir "$T/second"
	make_config "$T/second"
	edit_config "$T/second" --arg r "$B/rootfs" --arg p "/proc/$pid/ns/pid" \
		'.root.path = $r | (.linux.namespaces[] | select(.type == "pid")).path = $p'
	set_args "$T/second" sh -c 'readlink /proc/self/ns/pid; tr "\0" " " </proc/1/cmdline'
	ok firn run --bundle "$T/second" "$ID"
	equal "${lines[0]}" "$(readlink "/proc/$pid/ns/pid")"
	equal "${lines[1]}" "sleep 1000 "
	has_status "$first" running
}

@test "a user namespace with its maps" {
	chown -R 100000:100000 "$B/rootfs"
	edit_config "$B" '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = [{containerID: 0, hostID: 100000, size: 65536}]'
	in_container sh -c 'id -u; cat /proc/self/uid_map | tr -s " "; echo x >/dev/null && echo ok; stat -c %u /bin; touch /tmp/made && stat -c %u /tmp/made'
	equal "$output" "$(printf '0\n 0 100000 65536\nok\n0\n0')"
	equal "$(stat -c %u "$B/rootfs/tmp/made")" 100000 "owner on the host"
}

@test "a time namespace with offsets" {
	edit_config "$B" '.linux.namespaces += [{type: "time"}]
		| .linux.timeOffsets = {boottime: {secs: 1000000, nanosecs: 0}}'
	in_container cut -d. -f1 /proc/uptime
	[ "$output" -ge 1000000 ] || fail "uptime"
}

@test "a cgroup namespace shows its own cgroup as root, none the whole path" {
	edit_config "$B" '.linux.namespaces |= map(select(.type != "cgroup"))'
	in_container cat /proc/self/cgroup
	has "$ID"
	edit_config "$B" '.linux.namespaces += [{type: "cgroup"}]'
	in_container cat /proc/self/cgroup
	lacks "$ID"
}

@test "preserved descriptors" {
	echo text >"$T/file"
	set_args "$B" sh -c 'cat <&3; ls /proc/self/fd | grep -c "^4$"'
	run firn run --preserve-fds 1 --bundle "$B" "$ID" 3<"$T/file" 4<"$T/file"
	equal "${lines[0]}" text
	fails firn run --preserve-fds 20 --bundle "$B" "$ID" 3>&-
	has "--preserve-fds"
	# what the runtime has opened itself is not there, whatever its number
	fails firn --log "$T/log" run --preserve-fds 1 --bundle "$B" "$ID" 3>&-
	has "descriptor 3 is not open"
}

# listening PID [VARIABLE=VALUE...]: what the container sees of a socket of LISTEN_FDS for PID.
listening() {
	local pid=$1
	shift
	# shellcheck disable=SC2016 # expanded there
	run env "$@" sh -c 'LISTEN_PID='"$pid"' exec "$0" --root "$1" run --bundle "$2" "$3" 3<"$4" 4<"$4"' \
		"$FIRN" "$FIRN_ROOT" "$B" "$ID" "$T/file"
	[ "$status" -eq 0 ] || fail "exit status $status"
}

@test "sockets by LISTEN_FDS, for whom LISTEN_PID names" {
	echo text >"$T/file"
	set_args "$B" sh -c 'cat <&3; env | grep ^LISTEN_ | sort; ls /proc/self/fd | grep -c "^4$"'
	listening '$$' LISTEN_FDS=1 LISTEN_FDNAMES=web
	equal "${lines[*]:0:4}" "text LISTEN_FDNAMES=web LISTEN_FDS=1 LISTEN_PID=1"
	# those of a service above are not the container's
	set_args "$B" sh -c 'env | grep -c ^LISTEN_; ls /proc/self/fd | grep -c "^[34]$"'
	listening 1 LISTEN_FDS=2
	equal "${lines[0]}" 0 "variables of another's"
	# what is not there is not asked for by anybody
	LISTEN_FDS=2 ok firn run --bundle "$B" "$ID" 3>&-
	equal "${lines[0]}" 0 "variables without sockets"
}

@test "another configuration than the bundle's" {
	mkdir "$T/elsewhere"
	jq '.process.args = ["echo", "another"]' "$B/config.json" >"$T/elsewhere/c.json"
	cd "$T/elsewhere"
	ok firn run --bundle "$B" --config c.json "$ID"
	equal "$output" another
	ok firn run --bundle "$B" -f "$T/elsewhere/c.json" "$ID"
	equal "$output" another
	fails firn run --bundle "$B" --config missing.json "$ID"
	one_line
	has '"missing.json"'
}

@test "personality" {
	edit_config "$B" '.linux.personality = {domain: "LINUX32"}'
	in_container uname -m
	equal "$output" i686
}

@test "a session keyring of its own, or the caller's" {
	grep -q . /proc/keys || skip "wants kernel keyrings"
	edit_config "$B" '.linux.maskedPaths = []'
	in_container grep -c _ses /proc/keys
	[ "$output" -ge 1 ]
}

@test "the runtime's own binary cannot be reached from the container" {
	# an interpreter of /proc/self/exe would be the runtime: CVE-2019-5736
	add_program "$B/rootfs" "$FIRN"
	printf '#!/proc/self/exe --version\n' >"$B/rootfs/bin/evil"
	chmod 755 "$B/rootfs/bin/evil"
	set_args "$B" /bin/evil
	run firn run --bundle "$B" "$ID"
	lacks "firn version"
}
