#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Hooks: when, where and with what they run, and what their failure does.

load helpers

setup() {
	setup_bundle sh -c 'echo program >>/log/order'
	mkdir "$T/log"
	add_mount "$B" "$T/log" /log
	# one that notes its name and the state it was given
	cat >"$T/hook" <<-END
		#!/bin/busybox sh
		for dir in $T/log /log; do
			[ -d \$dir ] || continue
			echo \$1 >>\$dir/order
			busybox cat >\$dir/\$1.json
			break
		done
	END
	chmod 755 "$T/hook"
	cp "$T/hook" "$B/rootfs/bin/hook"
}

# add_hook KIND PATH [JSON]
add_hook() {
	local more=${3:-}
	edit_config "$B" --arg k "$1" --arg p "$2" --argjson m "${more:-null}" \
		'.hooks[$k] += [{path: $p, args: ["hook", $k], env: ["PATH=/bin:/usr/bin"]} + ($m // {})]'
}

@test "all hooks run in their order, with the state" {
	local kind
	for kind in prestart createRuntime createContainer poststart poststop; do
		add_hook "$kind" "$T/hook"
	done
	add_hook startContainer /bin/hook
	ok firn run --bundle "$B" "$ID"
	equal "$(head -4 "$T/log/order" | tr '\n' ' ')" "prestart createRuntime createContainer startContainer "
	equal "$(tail -1 "$T/log/order")" poststop
	grep -q program "$T/log/order"
	for kind in prestart createRuntime createContainer; do
		equal "$(jq -r .id "$T/log/$kind.json")" "$ID" id
		equal "$(jq -r .bundle "$T/log/$kind.json")" "$B" bundle
		[ "$(jq -r .pid "$T/log/$kind.json")" -gt 1 ]
	done
	for kind in createRuntime createContainer; do
		equal "$(jq -r .status "$T/log/$kind.json")" creating status
	done
	equal "$(jq -r .status "$T/log/prestart.json")" created
	equal "$(jq -r .status "$T/log/startContainer.json")" created
	equal "$(jq -r .status "$T/log/poststart.json")" running
	equal "$(jq -r .status "$T/log/poststop.json")" stopped
}

@test "a failing createRuntime hook fails create and leaves nothing" {
	local kind
	for kind in prestart createRuntime createContainer; do
		edit_config "$B" 'del(.hooks)'
		add_hook "$kind" /bin/false
		fails firn create --bundle "$B" "$ID"
		one_line
		has "/hooks/$kind/0"
		has "status 1"
		is_gone "$ID"
		equal "$(cgroups_of "$ID")" "" "left cgroups"
	done
}

@test "a failing startContainer hook fails start" {
	printf '#!/bin/sh\nexit 1\n' >"$B/rootfs/bin/failing"
	chmod 755 "$B/rootfs/bin/failing"
	add_hook startContainer /bin/failing
	fails firn run --bundle "$B" "$ID"
	one_line
	has "/hooks/startContainer/0"
	is_gone "$ID"
	[ ! -e "$T/log/order" ] || fail "the program ran"
}

@test "failing poststop hooks are logged, no more" {
	add_hook poststop /bin/false
	run firn --log "$T/log.txt" run --bundle "$B" "$ID"
	equal "$status" 0 status
	grep -q poststop "$T/log.txt"
	is_gone "$ID"
}

@test "a failing poststart hook ends the container, and poststop hooks follow" {
	set_args "$B" sleep 1000
	add_hook poststart /bin/false
	add_hook poststart "$T/hook"
	add_hook poststop "$T/hook"
	fails run_detached "$ID" "$B"
	has "/hooks/poststart/0 of config.json"
	is_gone "$ID"
	firn create --bundle "$B" "$ID" </dev/null >"$T/$ID.log" 2>&1 3>&-
	fails firn start "$ID"
	one_line
	has "/hooks/poststart/0 of config.json"
	is_gone "$ID"
	equal "$(cgroups_of "$ID")" "" "left cgroups"
	equal "$(tr '\n' ' ' <"$T/log/order")" "poststop poststop "
}

@test "hooks without an environment have the runtime's; those inside the program's" {
	printf '#!/bin/sh\necho "$WHOSE" >>%s/whose\n' "$T/log" >"$T/whose"
	printf '#!/bin/sh\necho "$WHOSE" >>/log/whose\n' >"$B/rootfs/bin/whose"
	chmod 755 "$T/whose" "$B/rootfs/bin/whose"
	edit_config "$B" --arg h "$T/whose" '.process.env += ["WHOSE=image"] | .hooks = {
		createRuntime: [{path: $h}, {path: $h, env: ["A=b"]}], startContainer: [{path: "/bin/whose"}]}'
	ok env WHOSE=runtime "$FIRN" --root "$FIRN_ROOT" run --bundle "$B" "$ID"
	equal "$(tr '\n' ' ' <"$T/log/whose")" "runtime  image "
}

@test "a hook that takes longer than its timeout is killed" {
	printf '#!/bin/sh\nexec sleep 1000\n' >"$T/slow"
	chmod 755 "$T/slow"
	add_hook createRuntime "$T/slow" '{"timeout": 1}'
	fails firn create --bundle "$B" "$ID"
	one_line
	has "longer than 1 s"
}

@test "a hook that is not there" {
	add_hook createRuntime /no/such/hook
	fails firn create --bundle "$B" "$ID"
	one_line
	has "/no/such/hook"
}

# firn_hook WORDS...: a script that calls firn with these verbs, one after the other.
firn_hook() {
	printf '#!/bin/bash\nset -e\nexec >>%s 2>&1\n' "$T/log/verbs" >"$T/verbs"
	printf "$FIRN --root $FIRN_ROOT %s $ID\n" "$@" >>"$T/verbs"
	chmod 755 "$T/verbs"
}

@test "hooks see the state of their container" {
	firn_hook state
	add_hook createRuntime "$T/verbs"
	firn create --bundle "$B" "$ID" </dev/null >"$T/$ID.log" 2>&1 3>&-
	equal "$(jq -r .status "$T/log/verbs")" creating
}

@test "a poststart hook may work on its container, and remove it" {
	set_args "$B" sleep 1000
	firn_hook state pause resume "delete --force"
	add_hook poststart "$T/verbs"
	run_detached "$ID" "$B"
	is_gone "$ID" || fail "$(cat "$T/log/verbs")"
	equal "$(jq -r .status "$T/log/verbs")" running
}

@test "a hook that would wait for the verb that waits for it is told so" {
	firn_hook "delete --force"
	add_hook createRuntime "$T/verbs"
	fails timeout 20 "$FIRN" --root "$FIRN_ROOT" create --bundle "$B" "$ID"
	one_line
	has "/hooks/createRuntime/0"
	grep -q "which waits for this" "$T/log/verbs"
	is_gone "$ID"
}

@test "createContainer hooks start in the root file system" {
	printf '#!/bin/sh\npwd >%s/where\n' "$T/log" >"$T/where"
	chmod 755 "$T/where"
	add_hook createContainer "$T/where"
	ok firn run --bundle "$B" "$ID"
	equal "$(cat "$T/log/where")" "$B/rootfs"
}

@test "startContainer hooks are what the process is: user, capabilities, filter" {
	cat >"$B/rootfs/bin/hook" <<-END
		#!/bin/busybox sh
		busybox grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status >/log/hook
		busybox mkdir /tmp/made 2>/dev/null || echo refused >>/log/hook
	END
	chmod 777 "$T/log"
	edit_config "$B" '.process.user = {uid: 1000, gid: 1000} | .process.capabilities.bounding = ["CAP_KILL"]
		| .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir"], action: "SCMP_ACT_ERRNO"}]}'
	add_hook startContainer /bin/hook
	set_args "$B" sh -c "grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; echo refused"
	ok firn run --bundle "$B" "$ID"
	has 1000
	equal "$output" "$(cat "$T/log/hook")"
}
