# SPDX-License-Identifier: GPL-2.0-only
# fish completion for firn(8). Verbs and options are those that the help shows.

# The verb on the command line so far, if there is one.
function __firn_verb
    set -l words (commandline -opc)
    set -l skip 0
    for word in $words[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case --root --log --log-format --rootless --cgroup-manager
                set skip 1
            case '-*'
            case '*'
                echo $word
                return 0
        end
    end
    return 1
end

# --root and its value, to find the containers that the command would see.
function __firn_root
    set -l words (commandline -opc)
    for i in (seq (count $words))
        switch $words[$i]
            case '--root=*'
                echo $words[$i]
            case --root
                test $i -lt (count $words); and printf '%s\n' --root $words[(math $i + 1)]
        end
    end
end

function __firn_verbs
    firn --help 2>/dev/null | sed -nE '/^Verbs:/,/^$/s/^  ([a-z]+) +(.*)/\1\t\2/p'
end

function __firn_options
    firn (__firn_verb) --help 2>/dev/null |
        sed -nE 's/^ {2,}(-[a-z], )?(--[a-z0-9-]+)( [A-Z][^ ]*)? +(.*)/\2\t\4/p'
end

function __firn_ids
    firn (__firn_root) list --quiet 2>/dev/null
end

function __firn_wants_value
    set -l words (commandline -opc)
    firn (__firn_verb) --help 2>/dev/null | grep -qE -- " $words[-1] [A-Z]"
end

complete -c firn -n 'not __firn_verb >/dev/null' -f -a '(__firn_verbs)'
complete -c firn -n 'string match -q -- "-*" (commandline -ct)' -f -a '(__firn_options)'
complete -c firn -n '__firn_verb >/dev/null; and not __firn_wants_value' -f -a '(__firn_ids)'
complete -c firn -n 'test (__firn_verb) = image' -f -a show
