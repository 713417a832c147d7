# What follows is the same for all programs; the table below is made from the program's options.

# The operands before the cursor, one a line: what is neither an option nor an option's value.
function __PROGRAM_operands
    set -l open
    for word in (commandline -opc)[2..]
        if set -q open[1]
            set -e open
        else if contains -- $word $__PROGRAM_valued
            set open yes
        else if not string match -q -- '-*' $word
            echo $word
        end
    end
end

# Whether an option is for the command, or there is no command yet.
function __PROGRAM_for
    set -l operands (__PROGRAM_operands)
    not set -q operands[1]; or contains -- $operands[1] $argv
end

function __PROGRAM_lacks_command
    test (count (__PROGRAM_operands)) -eq 0
end

function __PROGRAM_lacks_operand
    set -l operands (__PROGRAM_operands)
    test (count $operands) -eq 1; and test $operands[1] = $argv[1]
end

# ---- what an alternative PREFIX@KIND finds; $argv[1] is what is typed behind the prefix ----

function __PROGRAM_file
    for path in "$argv[1]"*
        test -d $path; and echo $path/; or echo $path
    end
end

function __PROGRAM_directory
    __fish_complete_directories $argv[1]
end

function __PROGRAM_user
    __fish_complete_users
end

function __PROGRAM_cpu
    for path in /sys/devices/system/cpu/cpu*
        string match -rg '/cpu([0-9]+)$' $path
    end
end

function __PROGRAM_interface
    for path in /sys/class/net/*/address
        string match -rg '/([^/]+)/address$' $path
    end
end

function __PROGRAM_pci
    for path in /sys/bus/pci/devices/*/resource2 /sys/bus/pci/devices/*/resource2_wc
        string replace /sys/bus/pci/devices/ '' $path
    end
end

# Anybody may make files there: only what can be a source's name is offered.
function __PROGRAM_source
    set -l directory /dev/shm
    set -q OMNI_DIRECTORY[1]; and set directory $OMNI_DIRECTORY
    set -l words (commandline -opc)
    for place in (seq 2 (count $words))
        switch $words[$place]
            case --directory -d
                set -q words[(math $place + 1)]; and set directory $words[(math $place + 1)]
            case '--directory=*'
                set directory (string replace -- --directory= '' $words[$place])
        end
    end
    for path in (string replace -r '^~/' $HOME/ -- $directory)/omni.*
        string match -rg -- '/omni\.([A-Za-z0-9_-][A-Za-z0-9._-]*)$' $path
    end
end

function __PROGRAM_value # __PROGRAM_value ALTERNATIVE...
    # A quote may be open yet, an option's letter stand before its value.
    set -l typed (string replace -r -- '^(--[a-z-]+=|-[A-Za-z](?=.))?["\']?' '' (commandline -ct))
    set typed (string unescape -- $typed; or echo $typed)
    for alternative in $argv
        set -l parts (string split -m 1 @ -- $alternative)
        if not set -q parts[2]
            echo $alternative
        else if test -z "$parts[1]"
            __PROGRAM_$parts[2] $typed
        else if string match -q -- "$parts[1]*" $typed
            printf "$parts[1]%s\n" (__PROGRAM_$parts[2] (string sub -s (math 1 + (string length $parts[1])) -- $typed))
        else
            echo $parts[1]
        end
    end
end

