# SPDX-License-Identifier: GPL-2.0-only
# Counts one TAP file of tests/run-tests: prints "passed failed skipped"; or, with
# show=failed or show=skipped and name=FILE's, a line for each such test, and below one
# that failed what it said, at most 15 lines of it. The kernel's selftests say it before their
# "not ok", behind a line with RUN; all others after it. What was planned but not run, and a bad
# exit status that no test explains, count as failures.
# A file may hold several plans: one for each group of tests in a program.

function note(kind, what) {
	if (show == kind)
		printf "%s %s: %s\n", kind, name, what
	said = show == kind && kind == "failed" ? 15 : 0
	if (said && before != "")
		printf "%s", before
}

/^# +RUN /{
	running = 1
	said = 0
	before = ""
	next
}

running && /^# / {
	before = before "    " substr($0, 3) "\n"
}

said > 0 && /^# / && !/^# exit / {
	print "    " substr($0, 3)
	said--
}

/^1\.\.[0-9]+/ {
	split($0, plan, /\.\./)
	planned += plan[2]
	plans++
}

# Why a unit test is skipped: cmocka's skip() takes no reason, so tests print one before it.
/^(skipped: )?wants / {
	reason = $0
	sub(/^skipped: /, "", reason)
}

# cmocka calls a skipped test "not ok N # SKIP name", bats "ok N name # skip reason"
/^(not )?ok [0-9]+/ {
	ran++
	running = 0
	if (tolower($0) ~ /# skip/) {
		skipped++
		what = $0
		sub(/^(not )?ok [0-9]+ (- )?(# SKIP )?/, "", what)
		note("skipped", what (reason == "" ? "" : " # " reason))
	} else if ($1 == "ok") {
		passed++
		said = 0
	} else {
		failed++
		what = $0
		sub(/^not ok [0-9]+ (- )?/, "", what)
		note("failed", what)
	}
	reason = before = ""
}

/^# exit [0-9]+$/ {
	ended = 1
	code = $3
}

END {
	if (ran < planned) {
		failed += planned - ran
		note("failed", (planned - ran) " planned tests did not run")
	} else if (ran > planned) {
		failed++
		note("failed", "more tests than planned")
	}
	if (!plans) {
		failed++
		note("failed", "no plan")
	}
	if (!ended) {
		failed++
		note("failed", "did not end")
	} else if (code != 0 && failed == 0) {
		failed++
		note("failed", code == 124 ? "timeout" : "exit status " code)
	}
	if (!show)
		print passed + 0, failed + 0, skipped + 0
}
