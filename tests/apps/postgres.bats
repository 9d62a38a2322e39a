#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# PostgreSQL: a transaction that is open at every checkpoint is committed at last, on the
# same connection, while others commit all the time. It shares memory by files of /dev/shm (shm_open),
# and has its socket and a file in /run.

load apps

# psql on a connection that stays: ask SQL prints the answer, a line.
connect() {
	mkfifo "$T/asked" "$T/answered"
	inside_network stdbuf -oL psql -h 127.0.0.1 -U user -d postgres -qtAX \
		<"$T/asked" >"$T/answered" 2>&1 3>&- &
	CLIENT=$! # for teardown
	exec 7>"$T/asked" 8<"$T/answered"
}

ask() {
	local answer
	printf '%s\n' "$1" >&7
	read -r -t 30 answer <&8 || fail "no answer to: $1"
	echo "$answer"
}

# Each on a connection of its own, until the file stop exists; what was committed is noted.
committer() {
	local n=0
	while [ ! -e "$T/stop" ]; do
		n=$((n + 1))
		inside_network psql -h 127.0.0.1 -U user -d postgres -qtAX \
			-c "insert into t values ($n, 'committed')" && echo "$n" >>"$T/committed"
	done >"$T/committer.log" 2>&1
}

committed() {
	wc -l <"$T/committed"
}

committed_beyond() {
	[ "$(committed)" -gt "$1" ]
}

answers_queries() {
	inside_network psql -h 127.0.0.1 -U user -d postgres -qtAX -c 'select 1'
}

# make_database INITDB: by user 1000, to whom a mount namespace gives a name if the host does not.
make_database() {
	cp /etc/passwd "$T/passwd"
	getent passwd 1000 >/dev/null || echo 'user:x:1000:1000::/:/bin/sh' >>"$T/passwd"
	unshare --mount --propagation private sh -c 'mount --bind "$1" /etc/passwd && cd / && shift && exec "$@"' \
		sh "$T/passwd" setpriv --reuid 1000 --regid 1000 --clear-groups env HOME="$B/rootfs/data" \
		"$1" -U user -A trust --no-sync --no-instructions -D "$B/rootfs/data/db"
}

make_postgres() {
	local bin
	bin=$(dirname "$(printf '%s\n' /usr/lib/postgresql/*/bin/postgres | tail -n 1)")
	make_app_bundle "$bin/postgres" -D /data/db -c listen_addresses=127.0.0.1 \
		-c unix_socket_directories=/run -c external_pid_file=/run/pid \
		-c dynamic_shared_memory_type=posix -c fsync=off
	as_user
	# its shared memory is in /dev/shm, a tmpfs as well
	edit_config "$B" '.mounts += [{destination: "/run", type: "tmpfs", source: "tmpfs",
		options: ["mode=1777"]}]'
	chown 1000:1000 "$B/rootfs/data"
	# it refuses root, and users without a name: here the container's has one
	make_database "$bin/initdb" >"$T/initdb.log" 2>&1 || fail "$(cat "$T/initdb.log")"
}

@test "postgres: an open transaction is committed on the same connection after rounds" {
	local round backend xid started before
	compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || skip "wants PostgreSQL"
	need_command psql
	chmod 711 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR" || :
	make_postgres
	start_app
	wait_for 20 answers_queries
	connect
	ask "create table t (n int, what text); select 'made';" >/dev/null
	backend=$(ask "begin; insert into t values (0, 'open'); select pg_backend_pid();")
	xid=$(ask "select pg_current_xact_id();")
	started=$(ask "select pg_postmaster_start_time();")
	: >"$T/committed"
	committer 3>&- &
	wait_for 20 committed_beyond 3
	for ((round = 0; round < FIRN_ROUNDS; round++)); do
		before=$(committed)
		one_round --allow ext-unix
		wait_for 30 committed_beyond $((before + 3))
		equal "$(ask "select pg_backend_pid();")" "$backend" "backend's pid"
		equal "$(ask "select pg_current_xact_id();")" "$xid" transaction
		equal "$(ask "select pg_postmaster_start_time();")" "$started" "server's start time"
	done
	ok firn exec "$ID" cat /run/pid
	equal "$output" 1
	touch "$T/stop"
	wait_for 20 committer_ended
	equal "$(ask "commit; select count(*) from t where what = 'open';")" 1 "the transaction's row"
	# every row that was acknowledged is there, and once
	equal "$(ask "select count(distinct n) >= $(committed) from t where what = 'committed';")" t
	equal "$(ask "select count(*) = count(distinct n) from t;")" t "no row is there twice"
}

committer_ended() {
	[ -z "$(jobs -r | grep committer)" ]
}
