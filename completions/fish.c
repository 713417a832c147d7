#include <string.h>

#include "completions.h"

/* Files and folders fish knows itself. */
static void print_values(FILE *file, const struct completion_option *option) {
    if (strcmp(option->values, "@file") == 0)
        (void)fputs(" -r -F", file);
    else if (option->values[0] == '\0')
        (void)fputs(" -x", file);
    else
        (void)fprintf(file, " -x -a '(__PROGRAM_value %s)'", option->values);
}

static void print_condition(FILE *file, const struct completion_program *program,
                            unsigned commands) {
    if (commands == ~0u)
        return;
    (void)fputs(" -n '__PROGRAM_for ", file);
    completions_print_commands(file, program, commands);
    (void)fputc('\'', file);
}

static void print_option(FILE *file, const struct completion_program *program,
                         const struct completion_option *option) {
    (void)fprintf(file, "complete -c %s", program->name);
    print_condition(file, program, option->commands);
    if (option->letter != 0)
        (void)fprintf(file, " -s %c", option->letter);
    (void)fprintf(file, " -l %s", option->name + 2);
    if (option->takes == COMPLETION_TAKES_VALUE)
        print_values(file, option);
    (void)fputs(" -d ", file);
    completions_quote_fish(file, option->prose);
    (void)fputc('\n', file);
}

static void print_command(FILE *file, const struct completion_program *program,
                          const struct completion_command *command) {
    (void)fprintf(file, "complete -c %s -n __PROGRAM_lacks_command -a %s -d ", program->name,
                  command->word);
    completions_quote_fish(file, command->prose);
    (void)fputc('\n', file);
    if (command->values[0] != '\0')
        (void)fprintf(file,
                      "complete -c %s -n '__PROGRAM_lacks_operand %s' -a '(__PROGRAM_value %s)'\n",
                      program->name, command->word, command->values);
}

void completions_write_fish(FILE *file, const struct completion_program *program) {
    (void)fprintf(file, "# Made from the options of %s.\n\n", program->name);
    (void)fputs("set -g __PROGRAM_valued", file);
    completions_print_valued(file, program);
    (void)fprintf(file, "\n\ncomplete -c %s -f\n", program->name);
    for (size_t i = 0; i < program->command_count; i++)
        print_command(file, program, &program->commands[i]);
    for (size_t i = 0; i < program->option_count; i++)
        print_option(file, program, &program->options[i]);
    (void)fputc('\n', file);
}
