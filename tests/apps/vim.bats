#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# bash and vim on pseudo-terminals, driven through tmux.

load apps

tmux_inside() {
	firn exec "$ID" tmux -S /tmp/tmux "$@"
}

screen() {
	tmux_inside capture-pane -p
}

shows() {
	screen | grep -qF -- "$1"
}

type_keys() {
	tmux_inside send-keys "$@"
}

written() {
	[ -s "$B/rootfs/data/text" ]
}

none_entered() {
	[ "$(pids_in "$ID" | wc -l)" -eq "$1" ]
}

@test "vim: a file that is being edited, its undo history and the shell's jobs survive rounds" {
	local round pids shell
	need_command tmux vim
	make_app_bundle tmux -S /tmp/tmux -f /dev/null -D
	start_app
	wait_for 10 tmux_inside new-session -d -x 80 -y 24 "bash --norc --noprofile -i"
	wait_for 10 shows 'bash-'
	type_keys 'mine=$RANDOM-$$; echo "is $mine"' Enter
	wait_for 10 shows 'is '
	shell=$(screen | sed -n 's/^is //p' | head -n 1)
	type_keys 'vim -u NONE -N -n text' Enter
	wait_for 10 shows '~'
	type_keys 'ifirst line' Escape
	wait_for 10 shows 'first line'
	pids=$(pids_inside)
	for ((round = 0; round < FIRN_ROUNDS; round++)); do
		wait_for 10 none_entered "$(wc -l <<<"$pids")"
		one_round
		equal "$(pids_inside)" "$pids" pids
		type_keys "oround $round" Escape
		wait_for 10 shows "round $round"
	done
	# what was typed before the first checkpoint is undone, one by one
	for ((round = 0; round < FIRN_ROUNDS; round++)); do
		type_keys u
	done
	wait_for 10 shows 'first line'
	! shows 'round 0' || fail "$(screen)"
	type_keys ':wq' Enter
	wait_for 10 written
	equal "$(cat "$B/rootfs/data/text")" 'first line' "the file"
	type_keys 'echo "still $mine"' Enter
	wait_for 10 shows "still $shell"
}
