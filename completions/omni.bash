# What follows is the same for all programs; the table above is made from the program's options.
# Needs nothing of the package bash-completion, and works with it.

# The line up to the cursor, in words that only blanks separate: bash itself also cuts at : and =.
_PROGRAM_words() {
    local rest=${COMP_LINE:0:COMP_POINT} piece bare
    words=()
    for piece in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        bare=${rest#"${rest%%[![:blank:]]*}"}
        if [[ ${#words[@]} -eq 0 || $bare != "$rest" ]]; then words+=("") ; fi
        if [[ ${#bare} -lt ${#piece} ]]; then piece=$bare; fi # the cursor is inside a word
        words[-1]+=$piece
        rest=${bare:${#piece}}
    done
    last_piece=$piece
}

# Finds the row of the option NAME; sets takes and values. Without one: false.
_PROGRAM_find() {
    local row names
    for row in "${options[@]}"; do
        IFS='|' read -r _ names takes values <<<"$row"
        if [[ " $names " == *" $1 "* ]]; then return 0; fi
    done
    takes='' values=''
    return 1
}

# What stands before the last word: the command, how many operands there are, whether a value comes next.
_PROGRAM_look_back() {
    local word takes values only_operands=
    command='' operands=0 open_option=''
    for word in "${words[@]:1:${#words[@]}-2}"; do
        if [[ -n $open_option ]]; then
            if [[ $open_option == --directory || $open_option == -d ]]; then directory=$word; fi
            open_option=
        elif [[ -z $only_operands && $word == -- ]]; then only_operands=yes
        elif [[ -z $only_operands && $word == --directory=* ]]; then directory=${word#*=}
        elif [[ -z $only_operands && $word == -d?* ]]; then directory=${word#-d}
        elif [[ -z $only_operands && $word == -?* ]]; then
            if _PROGRAM_find "$word" && [[ $takes == yes ]]; then open_option=$word; fi
        else
            operands=$((operands + 1))
            if [[ $operands -eq 1 ]]; then command=$word; fi
        fi
    done
}

_PROGRAM_offer() { # _PROGRAM_offer CANDIDATE...: those that the word begins like
    local candidate
    for candidate; do
        if [[ $candidate != "$current"* ]]; then continue; fi
        COMPREPLY+=("$candidate")
        if [[ $candidate == *[:=] ]]; then compopt -o nospace; fi
    done
}

# ---- what an alternative PREFIX@KIND finds; `current` begins with the prefix ----

_PROGRAM_paths() { # _PROGRAM_paths PREFIX f|d
    local path found
    mapfile -t found < <(compgen -"$2" -- "${current#"$1"}")
    for path in "${found[@]}"; do COMPREPLY+=("$1$path"); done
    compopt -o filenames
}
_PROGRAM_file() { _PROGRAM_paths "$1" f; }
_PROGRAM_directory() { _PROGRAM_paths "$1" d; }
_PROGRAM_user() {
    local found
    mapfile -t found < <(compgen -u)
    _PROGRAM_offer "${found[@]/#/$1}"
}
_PROGRAM_cpu() {
    local path found
    mapfile -t found < <(compgen -G '/sys/devices/system/cpu/cpu[0-9]*')
    for path in "${found[@]}"; do _PROGRAM_offer "$1${path##*/cpu}"; done
}
_PROGRAM_interface() {
    local path found
    mapfile -t found < <(compgen -G '/sys/class/net/*/address')
    for path in "${found[@]%/address}"; do _PROGRAM_offer "$1${path##*/}"; done
}
_PROGRAM_pci() {
    local path found
    mapfile -t found < <(compgen -G '/sys/bus/pci/devices/*/resource2'; compgen -G '/sys/bus/pci/devices/*/resource2_wc')
    for path in "${found[@]}"; do _PROGRAM_offer "$1${path#/sys/bus/pci/devices/}"; done
}
# Anybody may make files there: only what can be a source's name is offered.
_PROGRAM_source() {
    local path name found
    mapfile -t found < <(compgen -f -- "${directory/#\~\//$HOME/}/omni.")
    for path in "${found[@]}"; do
        name=${path##*/omni.}
        if [[ -e $path && $name =~ ^[A-Za-z0-9_-][A-Za-z0-9._-]*$ ]]; then _PROGRAM_offer "$1$name"; fi
    done
}

_PROGRAM_value() { # _PROGRAM_value ALTERNATIVE...
    local alternative prefix
    for alternative; do
        prefix=${alternative%%@*}
        if [[ $prefix == "$alternative" ]]; then _PROGRAM_offer "$alternative"
        elif [[ $current == "$prefix"* ]]; then "_PROGRAM_${alternative#*@}" "$prefix"
        else _PROGRAM_offer "$prefix"; fi
    done
}

# ---- the last word ----

_PROGRAM_option_names() {
    local row for_commands names takes candidates
    for row in "${options[@]}"; do
        IFS='|' read -r for_commands names takes _ <<<"$row"
        if [[ $for_commands != '*' && -n $command && " $for_commands " != *" $command "* ]]; then continue; fi
        read -ra candidates <<<"$names"
        _PROGRAM_offer "${candidates[@]}"
    done
}

_PROGRAM_operand() {
    local row values candidates
    for row in "${commands[@]}"; do
        values=${row#*|}
        if [[ $operands -eq 0 ]]; then _PROGRAM_offer "${row%%|*}"; fi
        if [[ $operands -eq 1 && $command == "${row%%|*}" && -n $values ]]; then
            read -ra candidates <<<"$values"
            _PROGRAM_value "${candidates[@]}"
        fi
    done
}

_PROGRAM_values_of() { # _PROGRAM_values_of OPTION: what may stand where its value does
    local takes values alternatives
    _PROGRAM_find "$1" || return 0
    read -ra alternatives <<<"$values"
    _PROGRAM_value "${alternatives[@]}"
}

_PROGRAM() {
    local commands options words command operands open_option last_piece whole current candidate takes values
    local directory=${OMNI_DIRECTORY:-/dev/shm} attached='' IFS=$' \t\n'
    COMPREPLY=()
    _PROGRAM_table
    _PROGRAM_words
    _PROGRAM_look_back
    whole=${words[-1]}
    if [[ -z $open_option && $whole == --*=* ]]; then
        attached=${whole%%=*}=
    elif [[ -z $open_option && $whole == -[!-]?* ]] && _PROGRAM_find "${whole:0:2}" && [[ $takes == yes ]]; then
        attached=${whole:0:2}
    fi
    if [[ -n $attached ]]; then
        current=${whole#"$attached"}
        current=${current#[\"\']}
        _PROGRAM_values_of "${attached%=}"
    else
        current=${whole#[\"\']}
        if [[ -n $open_option ]]; then _PROGRAM_values_of "$open_option"
        elif [[ $whole == -* ]]; then _PROGRAM_option_names
        else _PROGRAM_operand; fi
    fi
    # Bash puts the answer in the place of the last piece only.
    if [[ $last_piece == [:=] ]]; then last_piece=; fi
    for candidate in "${!COMPREPLY[@]}"; do
        COMPREPLY[candidate]=$attached${COMPREPLY[candidate]}
        COMPREPLY[candidate]=${COMPREPLY[candidate]#"${whole%"$last_piece"}"}
    done
}

complete -F _PROGRAM COMMAND
