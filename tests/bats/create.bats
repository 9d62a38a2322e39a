#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# create and start: what is there before and after, and what goes wrong.

load helpers

setup() {
	setup_bundle sleep 1000
}

# create ID [OPTION...]: with streams that do not keep bats waiting.
create() {
	firn create --bundle "$B" "${@:2}" "$1" </dev/null >"$T/$1.log" 2>&1 3>&-
}

# create_fails ID [OPTION...]: the error line lands in $output; nothing may be left.
create_fails() {
	fails firn create --bundle "$B" "${@:2}" "$1"
	one_line
	is_gone "$1" || fail "the container is left behind"
	equal "$(cgroups_of "$1")" "" "left cgroups"
}

@test "create leaves a container that waits for start" {
	create "$ID" --pid-file "$T/pid"
	has_status "$ID" created
	equal "$(cat "$T/pid")" "$(container_pid "$ID")" "pid file"
	run cat "/proc/$(container_pid "$ID")/cmdline"
	[[ $output != *sleep* ]] || fail "the program runs before start"
	ok firn start "$ID"
	has_status "$ID" running
	equal "$(tr '\0' ' ' <"/proc/$(container_pid "$ID")/cmdline")" "sleep 1000 " "command line"
}

@test "create takes options after the id and with one dash" {
	firn create "$ID" -bundle "$B" -no-new-keyring=false </dev/null >"$T/log" 2>&1 3>&-
	has_status "$ID" created
}

@test "an init that waits for start does not poll" {
	create "$ID"
	local pid before
	pid=$(container_pid "$ID")
	before=$(grep ctxt_switches "/proc/$pid/status")
	sleep 0.5
	equal "$(grep ctxt_switches "/proc/$pid/status")" "$before" "context switches"
}

@test "the init holds no descriptor but the standard ones and start's" {
	create "$ID"
	local names
	names=$(find "/proc/$(container_pid "$ID")/fd" -mindepth 1 -printf '%f\n' | sort -n | head -3 | tr '\n' ' ')
	equal "$names" "0 1 2 "
	ok firn start "$ID"
	equal "$(open_fds "$(container_pid "$ID")")" 3 "descriptors"
}

@test "no verb leaks descriptors into the container" {
	set_args "$B" sh -c 'ls /proc/self/fd | wc -l'
	ok firn run --bundle "$B" "$ID" 3>&-
	# ls has its directory open besides
	equal "$output" 4 "descriptors"
}

@test "a created container is deleted without force" {
	create "$ID"
	ok firn delete "$ID"
	is_gone "$ID"
}

@test "create refuses an id that is taken" {
	create "$ID"
	fails firn create --bundle "$B" "$ID"
	one_line
	has "already exists"
	has_status "$ID" created
}

@test "create refuses a bad id" {
	for id in a/b .. 'a b' ''; do
		fails firn create --bundle "$B" "$id"
		one_line
	done
}

@test "start refuses containers in other states" {
	fails firn start "$ID"
	one_line
	has "does not exist"
	create "$ID"
	firn start "$ID"
	fails firn start "$ID"
	one_line
	has "running"
	firn kill "$ID" KILL
	wait_for 5 has_status "$ID" stopped
	fails firn start "$ID"
	one_line
	has "stopped"
}

@test "start says why the program cannot be executed" {
	printf '#!/no/such/interpreter\n' >"$B/rootfs/bin/broken"
	chmod 755 "$B/rootfs/bin/broken"
	set_args "$B" /bin/broken
	create "$ID"
	fails firn start "$ID"
	one_line
	has "/bin/broken"
	has "No such file"
	has "(the interpreter or loader that it names is not there)"
}

@test "start says that the program is none" {
	echo 'exit 0' >"$B/rootfs/bin/broken"
	chmod 755 "$B/rootfs/bin/broken"
	set_args "$B" /bin/broken
	create "$ID"
	fails firn start "$ID"
	one_line
	has "Exec format error (for another architecture, or a script without #!)"
	firn delete --force "$ID"
	chmod 644 "$B/rootfs/bin/broken"
	create "$ID"
	fails firn start "$ID"
	one_line
	has "Permission denied (it, or its interpreter, is not executable"
}

@test "create says that a program is not there" {
	set_args "$B" no-such-program
	create_fails "$ID"
	has "no-such-program"
	set_args "$B" /bin/no-such-program
	create_fails "$ID"
	has "/bin/no-such-program"
}

@test "no bundle, no config.json, no root file system" {
	fails firn create --bundle "$T/none" "$ID"
	one_line
	has "$T/none"
	mkdir "$T/empty"
	fails firn create --bundle "$T/empty" "$ID"
	one_line
	has "config.json"
	edit_config "$B" '.root.path = "gone"'
	create_fails "$ID"
	has "/root/path"
	edit_config "$B" 'del(.root)'
	create_fails "$ID"
	has "root"
}

@test "errors in config.json name the field" {
	while IFS='|' read -r filter wanted; do
		mkdir -p "$T/other"
		make_config "$T/other" true
		edit_config "$T/other" "$filter"
		fails firn create --bundle "$T/other" "$ID"
		one_line
		has "$wanted"
		is_gone "$ID"
		rm "$T/other/config.json"
	done <<-'END'
		.process.args = "true"|/process/args
		.process.args = []|/process/args
		.process.cwd = "tmp"|/process/cwd
		.process.user.uid = -1|/process/user/uid
		.process.rlimits[0].type = "RLIMIT_NONE"|/process/rlimits/0
		.mounts[0].destination = 5|/mounts/0/destination
		.linux.namespaces[0].type = "none"|/linux/namespaces/0
		.linux.namespaces += [{type: "pid"}]|/linux/namespaces
		.linux.sysctl = {"kernel.panic": "1"}|/linux/sysctl
		.ociVersion = "9.0.0"|/ociVersion
	END
}

@test "malformed JSON is reported with line and column" {
	echo '{ "ociVersion": "1.0.2", ' >"$B/config.json"
	create_fails "$ID"
	has "config.json"
	has "line"
}

@test "a mount that fails names its place in config.json" {
	add_mount "$B" "$T/nowhere" /mnt
	create_fails "$ID"
	has "/mounts/"
	has "$T/nowhere"
}

@test "a terminal without anybody to take it is refused" {
	edit_config "$B" '.process.terminal = true'
	create_fails "$ID"
	has "--console-socket"
}

@test "unknown verbs and options are one line and status 1" {
	run firn frobnicate
	equal "$status" 1 status
	one_line
	has "frobnicate"
	run firn create --frobnicate "$ID"
	equal "$status" 1 status
	one_line
	has "--frobnicate"
	run firn --frobnicate list
	equal "$status" 1 status
	one_line
	run firn create --bundle
	one_line
	has "flag needs an argument"
	run firn create
	one_line
	has "argument is missing"
	run firn create --bundle "$B" "$ID" more
	one_line
	has "more"
}

@test "no verb takes an option that it does not have" {
	local verb wanted
	for verb in $("$FIRN" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
		run firn "$verb" --frobnicate "$ID"
		# 1 may be what exec's command says
		wanted=1
		[ "$verb" != exec ] || wanted=255
		equal "$status" "$wanted" "status of $verb"
		one_line
		has "$verb"
		has "--frobnicate"
		equal "$(ls -A "$FIRN_ROOT")" "" "the state directory after $verb"
	done
}

@test "every verb has a help" {
	ok "$FIRN" --help
	local verb
	for verb in $("$FIRN" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
		ok "$FIRN" "$verb" --help
		has "Usage: firn $verb"
		ok "$FIRN" "$verb" -h
	done
}

@test "errors go to the log in its format, one line" {
	fails firn --log "$T/log.json" --log-format json create --bundle "$T/none" "$ID"
	equal "$(wc -l <"$T/log.json")" 1 lines
	equal "$(jq -r .level "$T/log.json")" error level
	[[ $(jq -r .msg "$T/log.json") == *"$T/none"* ]]
	[[ $(jq -r .time "$T/log.json") == 20*T*Z ]]
}

@test "what becomes of the bundle's config.json after create changes nothing" {
	edit_config "$B" --arg f "$T/hook" '.annotations = {a: "old"} | .process.env += ["WHO=old"]
		| .process.args = ["sh", "-c", "echo $WHO >/tmp/who; exec sleep 1000"]
		| .hooks = {poststop: [{path: "/bin/touch", args: ["touch", $f]}]}'
	new_id
	firn create --bundle "$B" "$ID" </dev/null >"$T/log" 2>&1 3>&-
	cp "$B/config.json" "$T/old.json"
	for change in new gone; do
		rm "$B/config.json"
		[ $change = gone ] || echo '{"ociVersion": "1.0.2", "process": {"cwd": "/",
			"args": ["false"]}}' >"$B/config.json"
		[ $change = gone ] || ok firn start "$ID"
		wait_for 5 grep -q old "$B/rootfs/tmp/who"
		equal "$(state_field "$ID" .annotations.a)" old
		ok firn exec "$ID" sh -c 'echo $WHO'
		equal "$output" old
		ok firn checkpoint --leave-running --image-path "$T/image-$change" "$ID"
		cmp "$T/image-$change/config.json" "$T/old.json"
	done
	ok firn delete --force "$ID"
	[ -e "$T/hook" ] || fail "no poststop hook"
}
