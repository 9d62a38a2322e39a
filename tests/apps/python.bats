#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Python with threads that write to one sqlite database in WAL mode.

load apps

@test "python: threads and a sqlite database in WAL mode survive rounds" {
	local round before token
	make_app_bundle /usr/bin/python3 /data/writers.py
	[ -x /usr/bin/python3 ] || skip "wants /usr/bin/python3"
	cat >"$B/rootfs/data/writers.py" <<-'END'
		import hashlib, os, secrets, sqlite3, threading, time

		THREADS = 4
		token = secrets.token_hex(16)  # made when the program starts
		kept = [f"{token}-{i}" for i in range(50000)]
		digest = lambda: hashlib.sha256("".join(kept).encode()).hexdigest()
		first = digest()
		acked = [0] * THREADS
		errors = []

		def connect():
		    db = sqlite3.connect("/data/db.sqlite", timeout=60, isolation_level=None)
		    db.execute("pragma journal_mode=wal")
		    return db

		def writer(n):
		    try:
		        db = connect()
		        while not os.path.exists("/data/stop"):
		            db.execute("insert into t values (?, ?)", (n, acked[n] + 1))
		            acked[n] += 1
		            time.sleep(0.001)
		    except Exception as e:
		        errors.append(repr(e))

		connect().execute("create table t (thread int, n int)")
		threads = [threading.Thread(target=writer, args=(n,)) for n in range(THREADS)]
		for t in threads:
		    t.start()
		while not os.path.exists("/data/stop"):
		    with open("/data/progress.new", "w") as f:
		        f.write(f"{min(acked)} {token} {os.getpid()} {digest() == first}\n")
		    os.rename("/data/progress.new", "/data/progress")
		    time.sleep(0.02)
		for t in threads:
		    t.join()
		db = connect()
		rows = dict(db.execute("select thread, count(distinct n) from t group by thread"))
		check = db.execute("pragma integrity_check").fetchone()[0]
		right = all(rows[n] == acked[n] for n in range(THREADS))
		print("RESULT", check, right, len(errors), *errors, flush=True)
	END
	start_app
	progress_beyond() {
		[ "$(cut -d' ' -f1 "$B/rootfs/data/progress")" -gt "$1" ]
	}
	wait_for 20 progress_beyond 10
	token=$(cut -d' ' -f2- "$B/rootfs/data/progress")
	for ((round = 0; round < FIRN_ROUNDS; round++)); do
		one_round
		before=$(cut -d' ' -f1 "$B/rootfs/data/progress")
		wait_for 20 progress_beyond $((before + 20))
		equal "$(cut -d' ' -f2- "$B/rootfs/data/progress")" "$token" "token, pid, memory"
	done
	touch "$B/rootfs/data/stop"
	wait_for 20 grep -q RESULT "$T/$ID.log"
	equal "$(grep RESULT "$T/$ID.log")" "RESULT ok True 0" "result"
}
