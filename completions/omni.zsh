# What follows is the same for all programs; the table above is made from the program's options.

# ---- what an alternative PREFIX@KIND finds; the prefix is no longer part of the word ----

_PROGRAM_file() { _files }
_PROGRAM_directory() { _files -/ }
_PROGRAM_user() { _users }
_PROGRAM_cpu() {
    local -a found=(/sys/devices/system/cpu/cpu<->(N:t))
    compadd -- ${found#cpu}
}
_PROGRAM_interface() {
    local -a found=(/sys/class/net/*/address(N:h:t))
    compadd -- $found
}
_PROGRAM_pci() {
    local -a found=(/sys/bus/pci/devices/*/resource2(_wc|)(N))
    compadd -- ${found#/sys/bus/pci/devices/}
}
# Anybody may make files there: only what can be a source's name is offered.
_PROGRAM_source() {
    local place=${(Q)${opt_args[--directory]:-$opt_args[-d]}}
    place=${${place:-${OMNI_DIRECTORY:-/dev/shm}}/#\~\//$HOME/}
    local -a found=($place/omni.*(N:t))
    found=(${found#omni.})
    compadd -- ${(M)found:#[A-Za-z0-9_-][A-Za-z0-9._-]#}
}

_PROGRAM_value() { # _PROGRAM_value ALTERNATIVE...
    setopt localoptions extendedglob
    local alternative prefix
    for alternative; do
        prefix=${alternative%%@*}
        if [[ $prefix == $alternative && $alternative == *: ]]; then compadd -S '' -- $alternative
        elif [[ $prefix == $alternative ]]; then compadd -- $alternative
        elif [[ -z $prefix ]]; then _PROGRAM_${alternative#*@}
        elif compset -P ${(b)prefix}; then
            _PROGRAM_${alternative#*@}
            return
        else compadd -S '' -- $prefix
        fi
    done
}

# Sets command: the first word that is neither an option nor an option's value.
_PROGRAM_find_command() {
    local -i place
    command=
    (( $#all_commands )) || return
    for (( place = 2; place < CURRENT; place++ )); do
        if (( ${valued[(Ie)$words[place]]} )); then (( place++ ))
        elif [[ $words[place] != -* ]]; then command=$words[place]; return
        fi
    done
}

_PROGRAM() {
    local command for_commands specification word values prose
    local -a all_commands valued all_options chosen operands described
    local -A opt_args
    _PROGRAM_table
    _PROGRAM_find_command
    for for_commands specification in "${(@)all_options}"; do
        [[ $for_commands != '*' && -n $command && " $for_commands " != *" $command "* ]] || chosen+=("$specification")
    done
    for values word prose in "${(@)all_commands}"; do
        described+=("$word\\:\"${prose//\"/}\"")
        [[ $word != $command || -z $values ]] || operands=("2:source: _PROGRAM_value ${values//:/\\:}")
    done
    # What begins with a dash would be taken for a part of a command's name.
    [[ $#described -eq 0 || ( -z $command && $PREFIX == -* ) ]] || operands=("1:command:((${(j: :)described}))" $operands)
    _arguments -s -S $chosen $operands
}

_PROGRAM "$@"
