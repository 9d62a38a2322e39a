#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Descriptors: verbs close what they open, and nothing of the runtime's or of its caller's gets
# into containers, hooks or helpers (CVE-2024-21626).

load helpers
load payloads
load ck
load fdwatch

setup() {
	need_root
	setup_firn
	echo secret >"$T/secret"
}

# sleeper: a bundle B of a container that sleeps.
sleeper() {
	B=$T/bundle
	make_bundle "$B" sleep 1000
	add_payload "$B" showfds
	new_id
}

# spare CMD...: with descriptors that a caller has forgotten to close. Not with those that bats
# has for itself.
spare() {
	"$@" 5<"$T/secret" 7<"$T" 8<>"$T/secret" 40<"$T/secret" 300<"$T/secret" 3>&-
}

quietly() {
	"$@" </dev/null >>"$T/log" 2>&1
}

# --- the runtime itself ------------------------------------------------------------------

@test "every verb closes what it opened" {
	local verbs events
	sleeper
	watch_fds || skip "LeakSanitizer does not work under the observer"
	quietly firn create --bundle "$B" --pid-file "$T/pid" "$ID"
	"$FIRN" --root "$FIRN_ROOT" events --states "$ID" >"$T/events" 3>&- &
	events=$!
	wait_for 10 non_empty "$T/events"
	ok firn --log "$T/debug" start "$ID"
	ok firn state "$ID"
	ok firn list
	ok firn ps "$ID"
	ok firn ps "$ID" -o pid,args
	ok firn exec "$ID" true
	quietly firn exec -d "$ID" sleep 1000
	ok firn pause "$ID"
	ok firn resume "$ID"
	ok firn update --pids-limit 1000 "$ID"
	ok firn kill "$ID" URG
	fails firn checkpoint --check "$ID"
	IMAGE=$T/image
	ok firn checkpoint --allow exec --leave-running --image-path "$IMAGE" "$ID"
	ok firn image show "$IMAGE"
	ok firn delete --force "$ID"
	wait "$events"
	restore_detached "$ID" "$B" "$IMAGE"
	ok firn checkpoint --image-path "$IMAGE" "$ID"
	restore_detached "$ID" "$B" "$IMAGE"
	ok firn delete --force "$ID"
	set_args "$B" true
	ok firn run --bundle "$B" "$ID"
	run_detached "$ID" "$B"
	ok firn delete --force "$ID"
	mkdir "$T/empty"
	ok firn spec --bundle "$T/empty"
	ok firn features
	fds_clean
	verbs=$("$FIRN" --help | sed -n 's/^  \([a-z]\+\)   *[a-z].*/\1/p' | sort)
	equal "$(verbs_seen | grep -v '^--')" "$verbs" "verbs that were tried"
}

@test "a restore in the foreground closes what it opened" {
	local front
	ck_start ck_worker
	ck_checkpoint
	watch_fds || skip "LeakSanitizer does not work under the observer"
	"$FIRN" --root "$FIRN_ROOT" restore --image-path "$IMAGE" --bundle "$B" "$ID" \
		</dev/null >>"$T/$ID.log" 2>&1 3>&- &
	front=$!
	wait_for 10 has_status "$ID" running
	ok firn kill "$ID" KILL
	wait "$front" || :
	fds_clean
}

@test "verbs that fail close what they opened" {
	# sixty verbs take minutes under emulation, and depend on no kernel
	[ -z "${FIRN_VM:-}" ] || need_full
	sleeper
	watch_fds || skip "LeakSanitizer does not work under the observer"
	fails firn run --bundle "$T/nowhere" "$ID"
	fails firn create --bundle "$B" --console-socket "$T/none" "$ID"
	fails firn create --bundle "$B" --preserve-fds 9 "$ID"
	for filter in '.process.args = ["nowhere"]' '.process.cwd = "/bin/sh"' '.root.path = "gone"' \
		'.mounts += [{destination: "/x", type: "nofs", source: "none"}]' \
		'.hooks.createRuntime = [{path: "/nowhere"}]' \
		'.hooks.createContainer = [{path: "/nowhere"}]' \
		'.hooks.startContainer = [{path: "/nowhere"}]' \
		'.linux.sysctl = {"kernel.nothing": "1"}' \
		'.linux.namespaces += [{type: "user"}]' '.ociVersion = 1'; do
		cp "$B/config.json" "$T/good.json"
		edit_config "$B" "$filter"
		fails firn run --bundle "$B" "$ID"
		cp "$T/good.json" "$B/config.json"
	done
	edit_config "$B" '.process.terminal = true'
	fails firn run -d --bundle "$B" "$ID"
	edit_config "$B" '.process.terminal = false'
	for verb in state start kill pause resume ps delete checkpoint "events --states" "exec -t"; do
		# shellcheck disable=SC2086 # a verb and its option
		fails firn $verb "$ID"
	done
	run_detached "$ID" "$B"
	fails firn run --bundle "$B" "$ID"
	fails firn start "$ID"
	fails firn delete "$ID"
	fails firn resume "$ID"
	fails firn kill "$ID" NOTHING
	fails firn exec "$ID" nowhere
	fails firn exec --cwd /nowhere "$ID" true
	fails firn exec -t --console-socket "$T/none" "$ID" true
	fails firn ps "$ID" --no-such-option
	fails firn image show "$T"
	fails firn restore --bundle "$B" --image-path "$T" "$ID"-2
	fails firn checkpoint --image-path "$T/secret" "$ID"
	IMAGE=$T/image
	ok firn checkpoint --image-path "$IMAGE" "$ID"
	edit_config "$B" '.process.args = ["sleep", "1"] | .root.path = "gone"'
	fails firn restore --bundle "$B" --image-path "$IMAGE" "$ID"
	flip_byte "$IMAGE/container.rec" 100
	fails firn restore --bundle "$B" --image-path "$IMAGE" "$ID"
	fails firn image show "$IMAGE"
	fails firn --log "$T/none/log" state "$ID"
	fails firn --log "$T/debug" state "$ID"
	fails firn nonsense
	fds_clean
}

# --- what it makes -----------------------------------------------------------------------

# only_its_own PID: of a created container: standard streams and the socket that start connects
# to; and the program that executes the container's, if it could not leave the runtime's file.
only_its_own() {
	local targets
	targets=$(find "/proc/$1/fd" -mindepth 1 -printf '%f %l\n' | awk '$1 > 2 { print $2 }' |
		sed 's/\[.*//' | sort)
	[ "$targets" = socket: ] || [ "$targets" = "/memfd:firn"$'\n'socket: ]
}

@test "a container has its standard streams and nothing else" {
	local pid
	sleeper
	spare quietly "$FIRN" --root "$FIRN_ROOT" --log "$T/debug" --debug create --bundle "$B" "$ID"
	pid=$(container_pid "$ID")
	wait_for 5 only_its_own "$pid" || fail "$(ls -l "/proc/$pid/fd")"
	spare ok firn start "$ID"
	equal "$(fds_of "$pid")" "0 1 2" "descriptors of the init"
	spare ok firn exec "$ID" showfds exec
	[[ $output =~ ^"exec: 0 "[^,]*", 1 "[^,]*", 2 "[^,]*,$ ]] || fail "more than three"
	spare quietly firn exec -d --pid-file "$T/pid" "$ID" sleep 1000
	equal "$(fds_of "$(cat "$T/pid")")" "0 1 2" "descriptors of what entered"
	firn delete --force "$ID"
	spare run_detached "$ID" "$B"
	equal "$(fds_of "$(container_pid "$ID")")" "0 1 2" "descriptors after run"
}

@test "a container of joined namespaces, too" {
	local pid first
	sleeper
	spare run_detached "$ID" "$B"
	first=$(container_pid "$ID")
	edit_config "$B" --arg p "/proc/$first/ns/" '.linux.namespaces |= map(
		if .type == "pid" or .type == "ipc" or .type == "network" then
			.path = $p + ({network: "net"}[.type] // .type)
		else . end)'
	new_id
	spare quietly "$FIRN" --root "$FIRN_ROOT" create --bundle "$B" "$ID"
	pid=$(container_pid "$ID")
	wait_for 5 only_its_own "$pid" || fail "$(ls -l "/proc/$pid/fd")"
	ok firn start "$ID"
	equal "$(fds_of "$pid")" "0 1 2" "descriptors of the init"
}

@test "restored processes have what they had" {
	local pid before
	ck_start ck_worker
	before=$(for pid in $(tasks_of "$(container_pid "$ID")"); do fds_of "$pid"; done)
	spare ck_checkpoint --leave-running
	for pid in $(tasks_of "$(container_pid "$ID")"); do fds_of "$pid"; done >"$T/still"
	equal "$(cat "$T/still")" "$before" "descriptors after the checkpoint"
	firn delete --force "$ID"
	spare ck_restore
	for pid in $(tasks_of "$(container_pid "$ID")"); do fds_of "$pid"; done >"$T/restored"
	equal "$(cat "$T/restored")" "$before" "descriptors after the restore"
}

@test "preserved descriptors, and no others" {
	local pid
	sleeper
	run_preserved() {
		"$FIRN" --root "$FIRN_ROOT" "$@" </dev/null >>"$T/log" 2>&1 3<"$T/secret" \
			4<"$T/secret" 5<"$T/secret" 9<"$T/secret"
	}
	run_preserved create --bundle "$B" --preserve-fds 2 "$ID"
	pid=$(container_pid "$ID")
	ok firn start "$ID"
	equal "$(fds_of "$pid")" "0 1 2 3 4" "descriptors of the init"
	equal "$(readlink "/proc/$pid/fd/4")" "$T/secret"
	run_preserved exec --preserve-fds 1 -d --pid-file "$T/pid" "$ID" sleep 1000
	equal "$(fds_of "$(cat "$T/pid")")" "0 1 2 3" "descriptors of what entered"
}

@test "hooks have their standard streams and nothing else" {
	local kind path
	sleeper
	cp "$(payload showfds)" "$T/hook"
	for kind in prestart createRuntime createContainer startContainer poststart poststop; do
		path=$T/hook
		[ "$kind" != startContainer ] || path=/bin/showfds
		edit_config "$B" --arg k "$kind" --arg p "$path" \
			'.hooks[$k] = [{path: $p, args: ["showfds", $k]}]'
	done
	spare quietly firn create --bundle "$B" "$ID"
	spare quietly firn start "$ID"
	spare quietly firn delete --force "$ID"
	for kind in prestart createRuntime createContainer startContainer poststart poststop; do
		grep -qE "^$kind: 0 /memfd:state \(deleted\), 1 [^,]*, 2 [^,]*,$" "$T/log" ||
			fail "$kind: $(cat "$T/log")"
	done
}

@test "a terminal's master stays with who asked for it" {
	local pid
	need_command python3
	sleeper
	edit_config "$B" '.process.terminal = true'
	python3 - "$T/console" "$T/master" >"$T/received" 2>&1 3>&- <<-'END' &
		import array, os, socket, sys, time
		s = socket.socket(socket.AF_UNIX)
		s.bind(sys.argv[1])
		s.listen(2)
		masters = []
		while len(masters) < 2:
		    c, _ = s.accept()
		    _, ancillary, _, _ = c.recvmsg(100, socket.CMSG_SPACE(4))
		    masters.append(array.array("i", ancillary[0][2])[0])
		while not os.path.exists(sys.argv[2]):
		    time.sleep(0.05)
	END
	wait_for 10 exists "$T/console"
	spare run_detached "$ID" "$B" --console-socket "$T/console"
	spare quietly firn exec -d -t --console-socket "$T/console" --pid-file "$T/pid" "$ID" sleep 1000
	for pid in "$(container_pid "$ID")" "$(cat "$T/pid")"; do
		equal "$(fds_of "$pid")" "0 1 2" "descriptors with a terminal"
		[[ $(readlink "/proc/$pid/fd/0") == /dev/pts/* ]] || fail "no terminal"
	done
	touch "$T/master"
	wait
}

@test "the ps that ps runs has nothing of the caller's" {
	sleeper
	run_detached "$ID" "$B"
	mkdir "$T/bin"
	printf '#!/bin/sh\n%q ps >>%q\nexec /bin/ps "$@"\n' "$(payload showfds)" "$T/ps" >"$T/bin/ps"
	chmod 755 "$T/bin/ps"
	spare ok env PATH="$T/bin:$PATH" "$FIRN" --root "$FIRN_ROOT" ps "$ID" -o pid
	# 10: dash reads its script there
	sed -i 's/ 10 [^,]*\/bin\/ps,//' "$T/ps"
	grep -qE '^ps: 0 [^,]*, 1 [^,]*, 2 [^,]*,$' "$T/ps" || fail "$(cat "$T/ps")"
}
