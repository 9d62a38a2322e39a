#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# exec: another process in a running container.

load helpers
load payloads

setup() {
	setup_bundle sleep 1000
	let_users_through
}

@test "exec joins all namespaces and the cgroup" {
	edit_config "$B" '.linux.namespaces += [{type: "time"}]'
	run_detached "$ID" "$B"
	local pid type
	pid=$(container_pid "$ID")
	ok firn exec "$ID" sh -c 'for n in pid net ipc uts mnt cgroup time; do readlink /proc/self/ns/$n; done; hostname'
	for type in pid net ipc uts mnt cgroup time; do
		has "$(readlink "/proc/$pid/ns/$type")"
	done
	firn exec -d --pid-file "$T/pid" "$ID" sleep 1000 </dev/null >/dev/null 2>&1 3>&-
	equal "$(cat "/proc/$(cat "$T/pid")/cgroup")" "$(cat "/proc/$pid/cgroup")" cgroup
}

@test "exec passes the exit status on" {
	run_detached "$ID" "$B"
	run firn exec "$ID" sh -c 'exit 9'
	equal "$status" 9 status
	run firn exec "$ID" sh -c 'kill -TERM $$'
	equal "$status" 143 status
	has_status "$ID" running
}

@test "options of the command stay the command's" {
	run_detached "$ID" "$B"
	ok firn exec "$ID" echo -t --user
	equal "$output" "-t --user"
}

@test "exec options: user, groups, environment, directory, capabilities" {
	run_detached "$ID" "$B"
	ok firn exec --user 1000:1000 -g 2000 -e A=b --env C=d --cwd /tmp "$ID" \
		sh -c 'id -u; id -G; echo $A $C; pwd'
	equal "$output" "$(printf '1000\n1000 2000\nb d\n/tmp')"
	ok firn exec -e PATH=/usr/bin:/bin -e HOME=/tmp "$ID" env
	equal "$(grep -cE '^(PATH|HOME)=' <<<"$output")" 2
	has "PATH=/usr/bin:/bin"
	has "HOME=/tmp"
	ok firn exec --cap CAP_SYS_CHROOT "$ID" grep ^CapEff /proc/self/status
	equal "$output" "$(printf 'CapEff:\t%016x' 0x20040420)"
	ok firn exec --cap CAP_NONE --cap CAP_SYS_CHROOT "$ID" grep ^CapEff /proc/self/status
	has '"CAP_NONE" is unknown and left out'
	has "$(printf 'CapEff:\t%016x' 0x20040420)"
	fails firn exec --user x "$ID" true
	one_line
}

@test "exec --process takes a document" {
	run_detached "$ID" "$B"
	jq '.process | .args = ["sh", "-c", "echo $A; pwd"] | .env += ["A=b"] | .cwd = "/tmp"' \
		"$B/config.json" >"$T/process.json"
	ok firn exec --process "$T/process.json" "$ID"
	equal "$output" "$(printf 'b\n/tmp')"
	echo '{"cwd": "/", "args": 5}' >"$T/process.json"
	fails firn exec --process "$T/process.json" "$ID"
	one_line
	has "/args"
	ok firn exec --process <(jq '.process | .args = ["echo", "piped"]' "$B/config.json") "$ID"
	equal "$output" piped
}

@test "exec runs from a sealed file, whatever capabilities config.json has" {
	need_native
	run_detached "$ID" "$B"
	"$FIRN" --root "$FIRN_ROOT" exec "$ID" sleep 1000 </dev/null >/dev/null 2>&1 3>&- &
	wait_for 5 runs_sealed "$!"
	# without executing a copy: it is that of a few instructions
	[ "$(stat -L -c %s "/proc/$!/exe")" -lt 4096 ] || fail "started a second time"
	# nothing of the runtime's own is left to be seen
	! grep -F "$(realpath "$FIRN")" "/proc/$!/maps" || fail "mapped"
}

@test "exec executes a sealed copy of the runtime where it cannot leave its file" {
	add_program "$B/rootfs" "$FIRN"
	printf '#!/proc/self/exe --version\n' >"$B/rootfs/bin/evil"
	chmod 755 "$B/rootfs/bin/evil"
	run_detached "$ID" "$B"
	export FIRN_FAULT=self-image-leave:EPERM
	"$FIRN" --root "$FIRN_ROOT" exec "$ID" sleep 1000 </dev/null >/dev/null 2>&1 3>&- &
	wait_for 5 runs_sealed "$!"
	[ "$(stat -L -c %s "/proc/$!/exe")" -gt 100000 ] || fail "no copy"
	run firn exec "$ID" /bin/evil
	lacks "firn version"
	unset FIRN_FAULT
}

@test "exec in a user namespace" {
	chown -R 100000:100000 "$B/rootfs"
	edit_config "$B" '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = [{containerID: 0, hostID: 100000, size: 65536}]'
	run_detached "$ID" "$B"
	ok firn exec "$ID" sh -c 'id -u; readlink /proc/self/ns/user'
	equal "${lines[0]}" 0
	equal "${lines[1]}" "$(readlink "/proc/$(container_pid "$ID")/ns/user")"
}

@test "exec refuses a paused container, and waits in it if told to" {
	run_detached "$ID" "$B"
	firn pause "$ID"
	fails firn exec "$ID" true
	one_line
	has "paused"
	firn exec --ignore-paused "$ID" sh -c 'echo ran' </dev/null >"$T/out" 2>&1 3>&- &
	local waiting=$!
	sleep 0.3
	[ ! -s "$T/out" ] || fail "it ran in a paused container"
	ok firn resume "$ID"
	wait "$waiting"
	equal "$(cat "$T/out")" ran
}

@test "exec refuses what is not there and what has stopped" {
	fails firn exec "$ID" true
	one_line
	has "does not exist"
	run_detached "$ID" "$B"
	firn kill "$ID" KILL
	wait_for 5 has_status "$ID" stopped
	fails firn exec "$ID" true
	one_line
	has "stopped"
}

@test "exec says why a program cannot be executed" {
	run_detached "$ID" "$B"
	fails firn exec "$ID" no-such-program
	one_line
	has "no-such-program"
	fails firn exec "$ID"
	one_line
}

@test "exec's process cannot be reached through /proc before it runs its program" {
	add_program "$B/rootfs" "$FIRN"
	printf '#!/proc/self/exe --version\n' >"$B/rootfs/bin/evil"
	chmod 755 "$B/rootfs/bin/evil"
	run_detached "$ID" "$B"
	run firn exec "$ID" /bin/evil
	lacks "firn version"
}

@test "exec leaks no descriptors" {
	run_detached "$ID" "$B"
	ok firn exec "$ID" sh -c 'ls /proc/self/fd | wc -l' 3>&-
	equal "$output" 4
}

@test "exec in a cgroup below the container's" {
	run_detached "$ID" "$B"
	local dir
	for dir in $(cgroups_of "$ID"); do
		[[ $dir == */below ]] || mkdir -p "$dir/below"
	done
	ok firn exec --cgroup /below "$ID" true
	firn exec -d --pid-file "$T/pid" --cgroup below "$ID" sleep 1000 </dev/null >/dev/null 2>&1 3>&-
	grep -q "$ID/below" "/proc/$(cat "$T/pid")/cgroup"
	fails firn exec --cgroup nowhere "$ID" true
	one_line
	has --cgroup
	fails firn exec --cgroup ../.. "$ID" true
	one_line
	has "not a sub cgroup"
}

@test "exec in a container whose init keeps processes out of its own cgroup" {
	need_cgroup v2
	edit_config "$B" '.mounts |= map(if .type == "cgroup" then .options -= ["ro"] else . end)'
	set_args "$B" sh -c 'cd /sys/fs/cgroup && mkdir init && echo 0 >init/cgroup.procs &&
		echo +pids >cgroup.subtree_control && touch /tmp/ready; exec sleep 1000'
	run_detached "$ID" "$B"
	wait_for 10 test -e "$B/rootfs/tmp/ready"
	ok firn exec "$ID" cat /proc/self/cgroup
	equal "$output" 0::/init
	fails firn exec --cgroup / "$ID" true
	one_line
}

@test "a pidfd goes to who listens" {
	local listener
	listener=$(payload fdsocket)
	"$listener" "$T/s" </dev/null >"$T/told" 2>&1 3>&- &
	wait_for 5 test -S "$T/s"
	run_detached "$ID" "$B" --pidfd-socket "$T/s"
	wait $!
	grep -qx pidfd "$T/told"
	grep -q "^Pid:.$(container_pid "$ID")$" "$T/told"
	rm "$T/s"
	"$listener" "$T/s" </dev/null >"$T/told" 2>&1 3>&- &
	wait_for 5 test -S "$T/s"
	firn exec -d --pid-file "$T/pid" --pidfd-socket "$T/s" "$ID" sleep 1000 </dev/null >/dev/null 2>&1 3>&-
	wait $!
	grep -q "^Pid:.$(cat "$T/pid")$" "$T/told"
}

@test "what keeps exec from running anything is told from the process's own status" {
	run_detached "$ID" "$B"
	run firn exec "$ID" nosuchprogram
	equal "$status" 255 status
	run firn exec nobody true
	equal "$status" 255 status
	run firn exec "$ID" false
	equal "$status" 1 status
}

@test "what exec's terminal prints is captured as it was printed" {
	run_detached "$ID" "$B"
	ok firn exec -t "$ID" echo first
	equal "$output" first
}

@test "exec: either root or the user may enter the working directory" {
	mkdir -m 700 "$B/rootfs/private"
	chown 1000:1000 "$B/rootfs/private"
	run_detached "$ID" "$B"
	ok firn exec --cwd /private "$ID" pwd
	ok firn exec --cwd /private --user 1000:1000 "$ID" pwd
	chmod 700 "$B/rootfs/root"
	ok firn exec --cwd /root --user 1000:1000 "$ID" pwd
	equal "$output" /root
}
