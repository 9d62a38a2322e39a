#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Terminals: in the foreground and over a console socket.

load helpers

setup() {
	setup_firn
	need_command script python3
	new_id
	B=$T/bundle
	make_bundle "$B" true
	edit_config "$B" '.process.terminal = true'
	# takes a terminal over a socket, and prints what comes out of it
	cat >"$T/receiver" <<-'END'
		import array, os, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.bind(sys.argv[1])
		s.listen(1)
		print("listening", flush=True)
		c, _ = s.accept()
		data, ancillary, _, _ = c.recvmsg(100, socket.CMSG_SPACE(4))
		fd = array.array("i", ancillary[0][2])[0]
		print("name", data.decode(), flush=True)
		try:
		    while chunk := os.read(fd, 1000):
		        sys.stdout.write(chunk.decode())
		        sys.stdout.flush()
		except OSError:
		    pass
		print("end", flush=True)
	END
}

# in_terminal CMD...: in a terminal of 91 columns and 37 rows.
in_terminal() {
	local line
	line=$(printf '%q ' "$@")
	run script -qec "stty rows 37 cols 91; $line" /dev/null </dev/null
	output=${output//$'\r'/}
}

start_receiver() {
	rm -f "$T/received" # of another, which was listening, too
	python3 "$T/receiver" "$T/console" >"$T/received" 2>&1 3>&- &
	RECEIVER=$!
	wait_for 10 grep -q listening "$T/received"
}

@test "run gives the program a terminal of the caller's size" {
	set_args "$B" sh -c 'tty; stty size; test -t 0 -a -t 1 -a -t 2 && echo all; echo x >/dev/tty; ls -l /dev/console; exit 6'
	in_terminal "$FIRN" --root "$FIRN_ROOT" run --bundle "$B" "$ID"
	equal "$status" 6 status
	has /dev/pts/0
	has "37 91"
	has all
	has /dev/console
	is_gone "$ID"
}

@test "run relays the terminal's input" {
	set_args "$B" sh -c 'read line; echo "got $line"'
	run bash -c "echo frost | script -qec '$FIRN --root $FIRN_ROOT run --bundle $B $ID' /dev/null"
	has "got frost"
}

@test "exec -t" {
	edit_config "$B" '.process.terminal = false'
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	in_terminal "$FIRN" --root "$FIRN_ROOT" exec -t "$ID" sh -c 'tty; stty size; exit 4'
	equal "$status" 4 status
	has /dev/pts/
	has "37 91"
}

@test "create sends the terminal over the console socket" {
	edit_config "$B" '.process.consoleSize = {height: 11, width: 22}'
	set_args "$B" sh -c 'stty size; tty'
	start_receiver
	ok firn create --bundle "$B" --console-socket "$T/console" "$ID"
	ok firn start "$ID"
	wait "$RECEIVER"
	grep -q "name /dev/ptmx" "$T/received"
	grep -q "11 22" "$T/received"
	grep -q "/dev/pts/0" "$T/received"
}

@test "run --detach and exec --detach with a console socket" {
	set_args "$B" sleep 1000
	start_receiver
	ok firn run -d --bundle "$B" --console-socket "$T/console" "$ID"
	has_status "$ID" running
	kill "$RECEIVER"
	rm "$T/console"
	start_receiver
	ok firn exec -d -t --console-socket "$T/console" "$ID" sh -c 'echo executed'
	wait "$RECEIVER"
	grep -q executed "$T/received"
}

@test "the terminal belongs to the program's user" {
	edit_config "$B" '.process.user = {uid: 1000, gid: 1000}'
	set_args "$B" sh -c 'stat -c %u $(tty); echo x >$(tty)'
	in_terminal "$FIRN" --root "$FIRN_ROOT" run --bundle "$B" "$ID"
	has 1000
	equal "$status" 0 status
}

@test "console sockets that cannot be used are refused" {
	fails firn create --bundle "$B" --console-socket "$T/none" "$ID"
	one_line
	has "$T/none"
	is_gone "$ID"
	edit_config "$B" '.process.terminal = false'
	fails firn create --bundle "$B" --console-socket "$T/none" "$ID"
	one_line
	has "/process/terminal"
	edit_config "$B" '.process.terminal = true'
	fails firn run -d --bundle "$B" "$ID"
	one_line
	has "--console-socket"
}

# with_bar ARG...: firn with a terminal as its streams; what it prints there is $output, carriage
# returns within lines included.
with_bar() {
	local word command=
	for word in "$FIRN" --root "$FIRN_ROOT" "$@"; do
		command+=" '$word'"
	done
	run script -qec "$command" /dev/null
	output=$(sed 's/\r$//' <<<"$output")
}

# rows: those of the progress bar in $output.
rows() {
	tr '\r' '\n' <<<"$output" | grep -a 'of [0-9]* MiB'
}

@test "a checkpoint's progress bar in a terminal, and an error on a line of its own" {
	need_command script
	make_bundle "$T/b" sh -c 'dd if=/dev/urandom bs=256M count=1 | sleep 1000'
	run_detached "$ID" "$T/b"
	wait_for 20 pgrep -P "$(container_pid "$ID")" -x sleep
	wait_for 20 sh -c "cat /proc/$(pgrep -P "$(container_pid "$ID")" -x dd)/wchan | grep -q pipe"
	with_bar checkpoint --image-path "$T/image" --leave-running "$ID"
	equal "$status" 0 "exit status"
	equal "$(wc -l <<<"$output")" 1 "lines"
	# the first row has no rate, and no other one of some 10^10
	rows | head -1 | grep -v "MiB/s"
	[[ ! $(rows) =~ [0-9]{7}" MiB/s" ]] || fail "a rate that cannot be"
	[[ $(rows | tail -1) == *" of 25"?" MiB"* ]] || fail "the last row"
	mkdir "$T/small"
	mount -t tmpfs -o size=144m none "$T/small"
	with_bar checkpoint --image-path "$T/small/image" "$ID"
	umount "$T/small"
	equal "$status" 1 "exit status"
	grep -a "^firn: checkpoint $ID: .*No space left" <<<"$output"
	# nobody wants it in a file
	ok firn checkpoint --image-path "$T/image" "$ID"
	equal "$output" ""
}
