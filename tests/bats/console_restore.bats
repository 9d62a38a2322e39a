#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Containers with a terminal of their own: it is given out anew by a restore.

load helpers
load payloads

setup() {
	need_root
	need_command script python3
	setup_firn
	new_id
	B=$T/b
	make_bundle "$B" ck_console
	add_payload "$B" ck_console
	edit_config "$B" '.process.terminal = true | .process.consoleSize = {height: 11, width: 22}'
	# takes a terminal, prints what comes out of it, and types each text after what it follows
	cat >"$T/receiver" <<-'END'
		import array, os, select, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.bind(sys.argv[1])
		s.listen(1)
		print("listening", flush=True)
		c, _ = s.accept()
		data, ancillary, _, _ = c.recvmsg(100, socket.CMSG_SPACE(4))
		fd = array.array("i", ancillary[0][2])[0]
		print("connected", flush=True)
		text = b""
		steps = sys.argv[2:]
		while True:
		    if steps and steps[0].encode() in text:
		        os.write(fd, steps[1].encode() + b"\n")
		        steps = steps[2:]
		    try:
		        chunk = os.read(fd, 1000)
		    except OSError:
		        break
		    text += chunk
		    sys.stdout.write(chunk.decode())
		    sys.stdout.flush()
		print("end", flush=True)
	END
}

# start_receiver {AFTER TEXT}...: types each TEXT when it has seen AFTER.
start_receiver() {
	# what an earlier one said is not this one's
	rm -f "$T/console" "$T/received"
	python3 "$T/receiver" "$T/console" "$@" >"$T/received" 2>&1 3>&- &
	RECEIVER=$!
	wait_for 10 grep -q listening "$T/received"
}

start_container() {
	start_receiver "set up" typed
	ok firn run -d --bundle "$B" --console-socket "$T/console" "$ID"
	wait_for 20 exists "$B/rootfs/tmp/ready"
}

save() {
	rm -rf "$T/image"
	ok firn checkpoint --image-path "$T/image" "$ID"
	# the terminal is gone with the container
	wait "$RECEIVER"
	grep -q '^end' "$T/received"
}

bring_back() {
	start_receiver "heard typed" again
	ok firn restore -d --bundle "$B" --image-path "$T/image" --console-socket "$T/console" "$ID"
}

verify() {
	touch "$B/rootfs/tmp/go"
	wait_for 20 exists "$B/rootfs/tmp/result"
	output=$(cat "$B/rootfs/tmp/result")
	[ "$output" = ok ] || fail "the payload found differences: $(cat "$T/received")"
}

@test "a container with a terminal passes without a checkpoint" {
	start_receiver "set up" typed "heard typed" again
	ok firn run -d --bundle "$B" --console-socket "$T/console" "$ID"
	wait_for 20 exists "$B/rootfs/tmp/ready"
	verify
}

@test "a restored container has a new terminal, with what was typed into the old one" {
	start_container
	save
	bring_back
	verify
	wait "$RECEIVER"
	grep -q "heard typed" "$T/received"
}

@test "a terminal survives two checkpoints in a row" {
	start_container
	save
	bring_back
	save
	bring_back
	verify
}

@test "a terminal is as it was in a container that goes on" {
	start_receiver "set up" typed "heard typed" again
	ok firn run -d --bundle "$B" --console-socket "$T/console" "$ID"
	wait_for 20 exists "$B/rootfs/tmp/ready"
	ok firn checkpoint --leave-running --image-path "$T/image" "$ID"
	verify
}

@test "restore in the foreground relays the terminal" {
	start_container
	save
	touch "$B/rootfs/tmp/go"
	# another window than the recorded one: the container is told
	run bash -c "echo again | script -qec 'stty rows 11 cols 22; $FIRN --root $FIRN_ROOT restore \
		--bundle $B --image-path $T/image $ID' /dev/null"
	equal "$status" 0 status
	has "heard typed"
	equal "$(cat "$B/rootfs/tmp/result")" ok
	is_gone "$ID"
}

@test "restore in the foreground has the exit status and passes signals on" {
	set_args "$B" sh -c 'trap "exit 9" TERM; touch /tmp/ready; while :; do sleep 0.1; done'
	edit_config "$B" '.process.terminal = false'
	run_detached "$ID" "$B"
	wait_for 20 exists "$B/rootfs/tmp/ready"
	ok firn checkpoint --image-path "$T/image" "$ID"
	"$FIRN" --root "$FIRN_ROOT" restore --bundle "$B" --image-path "$T/image" "$ID" \
		</dev/null >"$T/log" 2>&1 3>&- &
	local waiting=$! status=0
	wait_for 20 has_status "$ID" running
	kill "$waiting"
	wait "$waiting" || status=$?
	equal "$status" 9 status
	is_gone "$ID"
}

@test "a terminal that nobody takes, or that the bundle does not have, is refused" {
	start_container
	save
	fails firn restore -d --bundle "$B" --image-path "$T/image" "$ID"
	one_line
	has "--console-socket"
	is_gone "$ID"
	edit_config "$B" '.process.terminal = false'
	fails firn restore -d --bundle "$B" --image-path "$T/image" "$ID"
	one_line
	has "/process/terminal"
	is_gone "$ID"
	edit_config "$B" '.process.terminal = true'
	bring_back
	verify
}

@test "a terminal that exec has made is not the container's own" {
	edit_config "$B" '.process.terminal = false'
	set_args "$B" sleep 1000
	run_detached "$ID" "$B"
	start_receiver x y
	ok firn exec -d -t --console-socket "$T/console" "$ID" \
		sh -c 'trap "" HUP; sleep 1000 & touch /tmp/ready'
	wait_for 20 exists "$B/rootfs/tmp/ready"
	wait_for 20 is_orphan
	fails firn checkpoint --check "$ID"
	has "terminal /dev/pts/0, whose other end is outside of the container"
	kill "$RECEIVER"
}

# Only the init and what exec has left behind: that is the init's child now.
is_orphan() {
	[ "$(tasks_of "$(container_pid "$ID")" | wc -l)" -eq 2 ]
}
