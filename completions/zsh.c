#include "completions.h"

/* In a specification of _arguments a colon, a bracket and a backslash mean something. */
static void print_text(FILE *file, const char *text) {
    for (; *text != '\0'; text++) {
        const char *escape =
            *text == ':' || *text == '[' || *text == ']' || *text == '\\' ? "\\" : "";
        if (*text == '\'')
            (void)fputs("'\\''", file);
        else
            (void)fprintf(file, "%s%c", escape, *text);
    }
}

/* What else is not offered any more: everything beside --help, an option's other name. */
static void print_exclusion(FILE *file, const struct completion_option *option) {
    if (option->alone)
        (void)fputs("(- *)", file);
    else if (option->repeatable)
        (void)fputc('*', file);
    else if (option->letter != 0)
        (void)fprintf(file, "(-%c %s)", option->letter, option->name);
}

static void print_values(FILE *file, const struct completion_option *option) {
    if (option->takes == COMPLETION_TAKES_NOTHING)
        return;
    (void)fputs(option->takes == COMPLETION_TAKES_ATTACHED ? "::" : ":", file);
    print_text(file, option->takes == COMPLETION_TAKES_ATTACHED ? "NAME" : option->argument);
    (void)fputs(option->values[0] != '\0' ? ": _PROGRAM_value " : ": ", file);
    print_text(file, option->values);
}

static void print_option(FILE *file, const struct completion_program *program,
                         const struct completion_option *option, const char *name,
                         const char *ending) {
    (void)fputs("    '", file);
    completions_print_commands(file, program, option->commands);
    (void)fputs("' '", file);
    print_exclusion(file, option);
    (void)fprintf(file, "%s%s[", name, ending);
    print_text(file, option->prose);
    (void)fputc(']', file);
    print_values(file, option);
    (void)fputs("'\n", file);
}

static void print_names(FILE *file, const struct completion_program *program,
                        const struct completion_option *option) {
    static const char *const after_name[] = {"", "=-", "="};
    static const char *const after_letter[] = {"", "", "+"};
    const char letter[] = {'-', option->letter, '\0'};
    print_option(file, program, option, option->name, after_name[option->takes]);
    if (option->letter != 0)
        print_option(file, program, option, letter, after_letter[option->takes]);
}

static void print_command(FILE *file, const struct completion_command *command) {
    (void)fprintf(file, "    '%s' ", command->values);
    completions_quote(file, command->word);
    (void)fputs(" '", file);
    print_text(file, command->prose);
    (void)fputs("'\n", file);
}

void completions_write_zsh(FILE *file, const struct completion_program *program) {
    (void)fprintf(file, "#compdef %s\n# Made from the options of %s.\n\n", program->name,
                  program->name);
    (void)fputs("_PROGRAM_table() {\n    all_commands=(\n", file);
    for (size_t i = 0; i < program->command_count; i++)
        print_command(file, &program->commands[i]);
    (void)fputs("    )\n    valued=(", file);
    completions_print_valued(file, program);
    (void)fputs(" )\n    all_options=(\n", file);
    for (size_t i = 0; i < program->option_count; i++)
        print_names(file, program, &program->options[i]);
    (void)fputs("    )\n}\n\n", file);
}
