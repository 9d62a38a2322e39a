# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# bash completion for firn(8). Verbs and options are those that the help shows.

# _firn_options [VERB]: an option per line, as the help has them.
_firn_options() {
	"$firn" ${1:+"$1"} --help 2>/dev/null | sed -n 's/^ \{2,\}\(-[a-z], \)\{0,1\}\(--[a-z-]*\).*/\2/p'
}

_firn() {
	local firn=$1 current=${COMP_WORDS[COMP_CWORD]} verb='' root=() words i

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--root=*) root=("${COMP_WORDS[i]}") ;;
		--root)
			root=(--root "${COMP_WORDS[++i]}")
			[ "${root[1]}" != = ] || root[1]=${COMP_WORDS[++i]}
			;;
		--log | --log-format | --rootless | --cgroup-manager) ((i++)) ;;
		-*) ;;
		*)
			verb=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	if [[ $current == -* ]]; then
		words=$(_firn_options "$verb")
	elif [ -z "$verb" ]; then
		words=$("$firn" --help 2>/dev/null | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p')
	elif [ "$verb" = image ]; then
		words=show
	elif "$firn" "$verb" --help 2>/dev/null | grep -qE -- " ${COMP_WORDS[COMP_CWORD - 1]} [A-Z]"; then
		# an option's value: mostly a file or directory, which bash completes itself
		return 0
	else
		words=$("$firn" "${root[@]}" list --quiet 2>/dev/null)
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -o bashdefault -o default -F _firn firn
