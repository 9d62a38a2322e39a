#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Known ways out of containers, tried on Firn. Each test has been seen to fail with its
# protection taken out.

load helpers

setup() {
	setup_bundle true
	INTACT=$FIRN
	mkdir -p "$T/outside"
	echo secret >"$T/outside/secret"
}

teardown() {
	# own_copy's may be damaged
	FIRN=$INTACT
	teardown_firn
}

# all_capabilities: a container's root that may look at processes of the runtime.
all_capabilities() {
	local all
	all=$("$FIRN" features | jq -c .linux.capabilities)
	edit_config "$B" --argjson c "$all" '.process.capabilities = {bounding: $c, permitted: $c, effective: $c}'
}

# own_copy: the runtime's file that an attack would write to.
own_copy() {
	cp "$FIRN" "$T/firn"
	FIRN=$T/firn
	sum=$(sha256sum <"$T/firn")
}

untouched() {
	[ "$(sha256sum <"$T/firn")" = "$sum" ] || fail "the runtime's file was written to"
}

@test "CVE-2019-5736: the file of an init that waits for start cannot be written to" {
	own_copy
	all_capabilities
	set_args "$B" sleep 1000
	firn create --bundle "$B" "$ID" </dev/null >"$T/log" 2>&1 3>&-
	# opened while the init is the runtime, written to when nobody executes it any more
	cat >"$B/rootfs/evil" <<-'END'
		exec 9</proc/1/exe || exit
		echo opened >/opened
		while [ ! -e /go ]; do sleep 0.05; done
		echo evil >/proc/self/fd/9
		echo done >/done
	END
	firn exec -d "$ID" sh /evil </dev/null >>"$T/log" 2>&1 3>&-
	wait_for 5 test -e "$B/rootfs/opened"
	ok firn start "$ID"
	touch "$B/rootfs/go"
	wait_for 5 test -e "$B/rootfs/done"
	untouched
}

@test "CVE-2019-5736: nor by a startContainer hook out of the image" {
	own_copy
	all_capabilities
	cat >"$B/rootfs/bin/hook" <<-'END'
		#!/bin/sh
		exec 9</proc/1/exe
		(while [ ! -e /go ]; do sleep 0.05; done; echo evil >/proc/self/fd/9; echo done >/done) >/dev/null 2>&1 &
	END
	chmod 755 "$B/rootfs/bin/hook"
	edit_config "$B" '.hooks = {startContainer: [{path: "/bin/hook", env: ["PATH=/bin"]}]}'
	set_args "$B" sleep 1000
	# detached: a file that is being executed is not written to anyway
	run_detached "$ID" "$B"
	touch "$B/rootfs/go"
	wait_for 5 test -e "$B/rootfs/done"
	untouched
}

@test "CVE-2019-5736: nor is it the interpreter of /proc/self/exe" {
	own_copy
	add_program "$B/rootfs" "$FIRN"
	printf '#!/proc/self/exe --version\n' >"$B/rootfs/bin/evil"
	chmod 755 "$B/rootfs/bin/evil"
	set_args "$B" /bin/evil
	run firn run --bundle "$B" "$ID"
	lacks "firn version"
}

@test "CVE-2019-19921, 2023-27561, 2023-28642: /proc and /sys that are links" {
	local name
	for name in proc sys; do
		rmdir "$B/rootfs/$name"
		mkdir -p "$B/rootfs/elsewhere"
		ln -s elsewhere "$B/rootfs/$name"
		fails firn run --bundle "$B" "$ID"
		one_line
		has "symbolic link"
		rm "$B/rootfs/$name"
		mkdir "$B/rootfs/$name"
	done
}

@test "CVE-2019-16884: nothing but proc goes into /proc" {
	mkdir "$T/fake"
	add_mount "$B" "$T/fake" /proc/self/attr
	fails firn run --bundle "$B" "$ID"
	one_line
	has "inside of /proc"
}

@test "CVE-2021-30465, 2024-45310: a link in a volume leads nowhere but into the root" {
	mkdir "$T/volume"
	ln -s "$T/outside" "$T/volume/absolute"
	ln -s ../../../../../../../../.."$T/outside" "$T/volume/relative"
	add_mount "$B" "$T/volume" /volume
	local link
	for link in absolute relative; do
		edit_config "$B" --arg l "/volume/$link/made" '.mounts = (.mounts | map(select(.destination | startswith("/volume/") | not))) + [{destination: $l, type: "tmpfs", source: "tmpfs"}]'
		run firn run --bundle "$B" "$ID"
		[ ! -e "$T/outside/made" ] || fail "made outside of the root by a link"
	done
}

@test "CVE-2025-31133: what masks a path is the null device, whatever the image calls so" {
	# a /dev from outside, which the runtime does not fill
	mkdir "$T/dev"
	ln -s /etc/passwd "$T/dev/null"
	add_mount "$B" "$T/dev" /dev
	edit_config "$B" '.mounts |= map(select((.destination | startswith("/dev") | not) or .type == "bind"))
		| .linux.maskedPaths = ["/etc/shadow"]'
	echo hash >"$B/rootfs/etc/shadow"
	in_container sh -c 'cat /etc/shadow; stat -c %t,%T /etc/shadow'
	equal "$output" "1,3"
}

@test "CVE-2025-52565: no terminal over a file of /proc" {
	edit_config "$B" '.process.terminal = true | .mounts |= map(select(.destination != "/dev"))'
	mkdir -p "$B/rootfs/dev/pts" "$B/rootfs/dev/shm" "$B/rootfs/dev/mqueue"
	ln -s /dev/pts/ptmx "$B/rootfs/dev/ptmx"
	ln -s /proc/uptime "$B/rootfs/dev/console"
	fails timeout 10 "$FIRN" --root "$FIRN_ROOT" run --bundle "$B" "$ID"
	one_line
	has "/dev/console"
}

@test "CVE-2025-52881: sysctls are written to the kernel, not to what stands for it" {
	edit_config "$B" '.mounts |= map(select(.destination != "/proc")) | .linux.maskedPaths = []
		| .linux.readonlyPaths = [] | .linux.sysctl = {"kernel.msgmax": "4321"}'
	mkdir -p "$B/rootfs/proc/sys/kernel"
	echo fake >"$B/rootfs/proc/sys/kernel/msgmax"
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	equal "$(cat "$B/rootfs/proc/sys/kernel/msgmax")" fake
	equal "$(nsenter -t "$(container_pid "$ID")" -i cat /proc/sys/kernel/msgmax)" 4321
}

@test "CVE-2022-29162, 2022-27650: no inheritable capabilities unless asked for" {
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	ok firn exec --cap CAP_NET_RAW --cap CAP_SYS_CHROOT "$ID" grep -E '^Cap(Inh|Amb)' /proc/self/status
	equal "$output" "$(printf 'CapInh:\t%016x\nCapAmb:\t%016x' 0 0)"
}

@test "CVE-2024-21626: no descriptor as working directory" {
	local n
	exec 20<"$T/outside"
	for n in {3..12} 20; do
		edit_config "$B" --arg d "/proc/self/fd/$n" '.process.cwd = $d'
		set_args "$B" cat secret ../../../../../../../etc/hostname
		run firn run --bundle "$B" "$ID"
		[ "$status" -ne 0 ] || fail "descriptor $n"
		lacks secret$'\n'
	done
	edit_config "$B" '.process.cwd = "/"'
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	for n in {3..12} 20; do
		fails firn exec --cwd "/proc/self/fd/$n" "$ID" pwd
	done
	exec 20<&-
}

@test "descriptors of the runtime are not in reach of who enters before start" {
	all_capabilities
	firn create --bundle "$B" "$ID" </dev/null >"$T/log" 2>&1 3>&-
	output=$(firn exec "$ID" sh -c 'for f in /proc/1/fd/*; do readlink $f; done' 2>>"$T/log")
	has socket:
	# standard streams, start's socket, the trampoline
	! grep -vE "^(socket:.*|/dev/null|/memfd:firn.*|$T/log)\$" <<<"$output" || fail "open in the init"
}

@test "groups of the caller do not come along" {
	need_command setpriv
	run setpriv --groups 4242 "$FIRN" --root "$FIRN_ROOT" run --bundle "$B" "$ID"
	set_args "$B" id -G
	run setpriv --groups 4242 "$FIRN" --root "$FIRN_ROOT" run --bundle "$B" "$ID"
	equal "$status" 0 status
	lacks 4242
}

@test "an ordinary user's container cannot drop groups, by which others are kept out" {
	need_command setpriv
	let_users_through
	install -m 755 "$FIRN" "$T/firn"
	chown -R 1234:1234 "$B" "$FIRN_ROOT"
	rm "$B/config.json"
	"$T/firn" spec --rootless --bundle "$B"
	edit_config "$B" '.process.terminal = false | .process.args = ["cat", "/proc/self/setgroups"]
		| .linux.uidMappings[0].hostID = 1234 | .linux.gidMappings[0].hostID = 1234'
	chown 1234:1234 "$B/config.json"
	run setpriv --reuid 1234 --regid 1234 --clear-groups --inh-caps=-all --bounding-set=-all \
		"$T/firn" --root "$FIRN_ROOT" run --bundle "$B" "$ID"
	equal "$output" deny
}

@test "no input can be put into the caller's terminal" {
	need_command script
	set_args "$B" sh -c '(: </dev/tty) 2>/dev/null && echo reached; echo ended'
	run script -qec "$FIRN --root $FIRN_ROOT run --bundle $B $ID" /dev/null </dev/null
	has ended
	lacks reached
}

@test "nobody enters a paused container unknowingly" {
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	ok firn pause "$ID"
	# one that did would hold our streams
	timeout -s KILL 5 "$FIRN" --root "$FIRN_ROOT" exec "$ID" true </dev/null >"$T/out" 2>&1 3>&- &&
		fail "entered"
	grep -q paused "$T/out"
}

# without_streams ARG...: firn, by a caller that has closed all three.
without_streams() {
	"$FIRN" --root "$FIRN_ROOT" "$@" <&- >&- 2>&- 3>&-
}

# files_of_init: what it has open, but for a shell's own script.
files_of_init() {
	find "/proc/$(container_pid "$ID")/fd" -type l -printf '%f %l\n'
}

@test "a caller without standard streams gives none, and nothing of the runtime's in their place" {
	need_native # which opens files of its own where there are none
	set_args "$B" sh -c 'sleep 1000; :'
	without_streams create --bundle "$B" "$ID"
	equal "$(files_of_init | grep '^[012] ' | grep -v ' /dev/null$')" ""
	without_streams start "$ID"
	wait_for 10 pgrep -P "$(container_pid "$ID")" sleep
	equal "$(files_of_init)" ""
	without_streams checkpoint --image-path "$T/image" "$ID"
	without_streams restore --detach --bundle "$B" --image-path "$T/image" "$ID"
	equal "$(files_of_init)" ""
	ok firn delete --force "$ID"
	run_detached "$ID" "$B"
	wait_for 10 pgrep -P "$(container_pid "$ID")" sleep
	ok firn checkpoint --image-path "$T/image" "$ID"
	without_streams restore --detach --bundle "$B" --image-path "$T/image" "$ID"
	equal "$(files_of_init)" ""
}

@test "without pivot_root the host's proc is not there to be shown by another mount of it" {
	edit_config "$B" '.process.capabilities[] += ["CAP_SYS_ADMIN", "CAP_SETFCAP"]'
	set_args "$B" unshare -mrpf mount -t proc none /proc
	fails firn run --bundle "$B" "$ID"
	has "ermission denied"
	fails firn run --no-pivot --bundle "$B" "$ID"
	has "ermission denied"
	# the host's own is where it was
	[ -e /proc/self/status ]
}

# not_waited_for ARG...: firn refuses at once, in one line.
not_waited_for() {
	fails timeout $((10 * FIRN_SLOW)) "$FIRN" --root "$FIRN_ROOT" "$@"
	[ "$status" -ne 124 ] || fail "waited"
	one_line
}

@test "a FIFO that nobody writes to, in place of a file, is not waited for" {
	mkfifo "$T/fifo"
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	not_waited_for exec --process "$T/fifo" "$ID"
	not_waited_for update --resources "$T/fifo" "$ID"
	# but one that somebody has made for it is read
	ok firn exec --process <(sleep 0.2 && jq '.process.args = ["echo", "hello"]|.process' "$B/config.json") "$ID"
	equal "$output" hello
	mkdir "$T/work"
	mkfifo "$T/work/stats-dump"
	ok timeout $((60 * FIRN_SLOW)) "$FIRN" --root "$FIRN_ROOT" checkpoint --image-path "$T/image" \
		--work-path "$T/work" "$ID"
	edit_config "$B" --arg p "$T/fifo" '(.linux.namespaces[] | select(.type == "network")).path = $p'
	not_waited_for run --bundle "$B" "$ID"
	has "not a net namespace"
	mv "$T/fifo" "$B/config.json"
	for verb in create run "restore --image-path $T/image"; do
		# shellcheck disable=SC2086 # its words
		not_waited_for $verb --bundle "$B" "$ID"
		has "not a regular file"
	done
}
