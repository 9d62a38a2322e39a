#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The manual and the completion know every verb and every option that the help shows, and
# the manual no others.

load helpers

# Words of the help: what follows "Verbs:", each line's first word.
verbs() {
	"$FIRN" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

# options [VERB]: long options in the help of the program, or of a verb.
options() {
	"$FIRN" ${1:+"$1"} --help | grep -oE -- '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+'
}

# synopsis PAGE: the verbs whose page it is.
synopsis() {
	sed -n '/^# SYNOPSIS/,/^# DESCRIPTION/s/^\*firn \([a-z]*\).*/\1/p' "$1"
}

# The pages with the verb in their synopsis.
pages_of() {
	local page
	for page in "$REPO"/docs/man/*.scd; do
		! synopsis "$page" | grep -qx "$1" || echo "$page"
	done
}

# Options that a page describes: "*-a*, *--all* _WORD_" in a line of its own.
described() {
	grep -E '^(\*-[^*]*\*( _[^_]*_)?(, )?)+$' "$1" | grep -oE -- '\*--[a-z-]+' | tr -d '*'
}

@test "every verb has a page, and is in firn(8)" {
	local verb
	[ "$(verbs | wc -l)" -ge 15 ]
	for verb in $(verbs); do
		equal "$verb $(pages_of "$verb" | wc -l)" "$verb 1"
		grep -q "\*$verb\*" "$REPO/docs/man/firn.8.scd" || fail "firn(8) lacks $verb"
	done
}

@test "every option of a verb is described on its page" {
	local verb option page
	for verb in $(verbs); do
		page=$(pages_of "$verb")
		for option in $(options "$verb" | grep -vx -- --help); do
			described "$page" | grep -qx -- "$option" || fail "$page lacks $option of $verb"
		done
	done
	for option in $(options); do
		described "$REPO/docs/man/firn.8.scd" | grep -qx -- "$option" || fail "firn(8) lacks $option"
	done
}

@test "no page describes an option that does not exist" {
	local page verb option all
	for page in "$REPO"/docs/man/*.scd; do
		all=$(options)
		for verb in $(synopsis "$page"); do
			all+=$'\n'$(options "$verb")
		done
		for option in $(described "$page"); do
			grep -qx -- "$option" <<<"$all" || fail "$page: $option"
		done
	done
}

@test "pause, checkpoint and restore tell of the four calls that return EINTR" {
	local page call
	for page in pause checkpoint restore; do
		for call in epoll_wait semtimedop sigtimedwait SO_RCVTIMEO EINTR; do
			grep -q "$call" "$REPO/docs/man/firn-$page.8.scd" || fail "firn-$page(8) lacks $call"
		done
	done
}

# complete_words WORD...: what bash offers for the last word.
complete_words() {
	PATH=$(dirname "$FIRN"):$PATH bash --norc -c '
		. "$1" && shift
		COMP_WORDS=(firn "$@") COMP_CWORD=$# COMPREPLY=()
		_firn firn "${!#}" && printf "%s\n" "${COMPREPLY[@]}"' \
		bash "$REPO/contrib/completion/firn.bash" "$@"
}

@test "bash completes verbs and options" {
	[ "$(basename "$FIRN")" = firn ]
	ok complete_words chec
	equal "$output" checkpoint
	ok complete_words --debug res
	equal "$(sort <<<"$output")" "$(printf 'restore\nresume')"
	ok complete_words checkpoint --leave
	equal "$output" --leave-running
	ok complete_words --ro
	equal "$(sort <<<"$output")" "$(printf '%s\n' --root --rootless)"
}

# The other shells are asked with a command line of their own making: skipped where they are not.
@test "zsh completes verbs and options" {
	need_command zsh
	ok zsh -fc '
		autoload -Uz compinit && compinit -D 2>/dev/null
		_describe() { print -l -- ${(P)2}; }
		compadd() { :; }
		source =(sed "s/^_firn \"\$@\"$//" $1)
		words=($2 chec) CURRENT=2 && _firn
		words=($2 checkpoint --leave) CURRENT=3 && _firn' \
		zsh "$REPO/contrib/completion/_firn" "$FIRN"
	grep -q '^checkpoint:' <<<"$output"
	grep -q '^--leave-running:' <<<"$output"
}

@test "fish completes verbs and options" {
	need_command fish
	PATH=$(dirname "$FIRN"):$PATH ok fish --no-config -c '
		source $argv[1]
		complete -C "firn chec"
		complete -C "firn checkpoint --leave"' "$REPO/contrib/completion/firn.fish"
	grep -q '^checkpoint' <<<"$output"
	grep -q -- '^--leave-running' <<<"$output"
}

@test "bash completes ids of containers" {
	need_root
	setup_firn
	make_bundle "$T/b" sleep 1000
	new_id complete
	run_detached "$ID" "$T/b"
	ok complete_words --root "$FIRN_ROOT" checkpoint --leave-running comp
	local offered=$output id=$ID
	ok complete_words --root "$FIRN_ROOT" checkpoint --image-path comp
	local value=$output
	teardown_firn
	equal "$offered" "$id"
	equal "$value" ""
}
