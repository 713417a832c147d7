/*
 * completions.h - what a shell is told of a program: its commands, its options, their values
 *
 * Purpose
 *   The tables of options in robot/options.h, relay/options.h and observer/options.h are the only lists
 *   there are. robot.c, relay.c and observer.c turn each into a struct completion_program; bash.c,
 *   zsh.c and fish.c write
 *   one as that shell's own table. Behind the table the Makefile puts what is the same for all
 *   programs: completions/omni.SHELL, in which PROGRAM stands for the program's name.
 *
 * Calling sequence
 *     completions_write(&robot_completion, "zsh", stdout)
 *
 * Adding an option
 *   Nothing is done here, unless the word for its value (FILE, SECONDS, ...) is a new one: then that
 *   gets a line in values.c, and until it does, the build says so.
 *
 * It runs on the machine that builds, whatever CPU the programs are for.
 */
#ifndef COMPLETIONS_COMPLETIONS_H
#define COMPLETIONS_COMPLETIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define COMPLETION_VALUES_BYTES 160u

struct completion_command {
    const char *word;
    const char *prose;
    char values[COMPLETION_VALUES_BYTES]; /* of its operand, as in an option; "": it has none */
};

enum completion_takes {
    COMPLETION_TAKES_NOTHING,
    COMPLETION_TAKES_ATTACHED, /* --name=VALUE, or nothing */
    COMPLETION_TAKES_VALUE     /* --name=VALUE or --name VALUE */
};

struct completion_option {
    char name[40];        /* "--max-clients" */
    const char *argument; /* the word for its value, as --help has it */
    const char *prose;    /* what --help says */
    enum completion_takes takes;
    char letter;       /* 0: none */
    bool repeatable;   /* each one more adds to a list */
    bool alone;        /* nothing else makes sense beside it: --help */
    unsigned commands; /* bits 1 << index of a command; ~0u: every one, there may be none */

    /* What there is to offer: alternatives between blanks. A plain one is offered as it is; of
     * PREFIX@KIND
     * what KIND finds, behind the prefix. Kinds: see the functions in omni.bash. "": nothing. */
    char values[COMPLETION_VALUES_BYTES];
};

struct completion_program {
    const char *name; /* "omni-robot" */
    const struct completion_command *commands;
    size_t command_count; /* 0: it has no commands */
    const struct completion_option *options;
    size_t option_count;
};

/* Each program's. Ends this one with a sentence on stderr where a table has a value that values.c does
 * not know. */
struct completion_program completions_of_robot(void);
struct completion_program completions_of_relay(void);
struct completion_program completions_of_observer(void);

/* How the values of an argument are completed: FILE → "@file", "auto|never" → "auto never". Ends this
 * program where it does not know the word; `owner` is named then. */
void completions_values(char values[COMPLETION_VALUES_BYTES], const char *argument,
                        const char *owner);

/* A member's name as users write it: "tick_hz" → "--tick-hz". */
void completions_name(char name[40], const char *member);

/* Of an option that has one value or none (a NULL argument, which becomes ""): its name, whether it
 * takes a
 * value, whether it stands alone. */
void completions_describe(struct completion_option *option, const char *member);

/* Writes a text in single quotes, as bash and zsh read them; as fish does. */
void completions_quote(FILE *file, const char *text);
void completions_quote_fish(FILE *file, const char *text);

/* The words of the commands that an option is for, with blanks between; "*" where for every one. */
void completions_print_commands(FILE *file, const struct completion_program *program,
                                unsigned commands);

/* The options whose value may be the next word, long and short, with a blank before each. */
void completions_print_valued(FILE *file, const struct completion_program *program);

/* Each writes the program's table for that shell. */
void completions_write_bash(FILE *file, const struct completion_program *program);
void completions_write_zsh(FILE *file, const struct completion_program *program);
void completions_write_fish(FILE *file, const struct completion_program *program);

#endif
