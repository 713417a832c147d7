#include "completions.h"

/* A row: commands|names|value|what there is to offer. omni.bash reads them. */
static void print_option(FILE *file, const struct completion_program *program,
                         const struct completion_option *option) {
    static const char *const takes[] = {"no", "attached", "yes"};
    (void)fputs("    '", file);
    completions_print_commands(file, program, option->commands);
    (void)fprintf(file, "|%s", option->name);
    if (option->letter != 0)
        (void)fprintf(file, " -%c", option->letter);
    (void)fprintf(file, "|%s|%s'\n", takes[option->takes], option->values);
}

void completions_write_bash(FILE *file, const struct completion_program *program) {
    (void)fprintf(file, "# Made from the options of %s.\n\n", program->name);
    (void)fputs("_PROGRAM_table() {\n    commands=(\n", file);
    for (size_t i = 0; i < program->command_count; i++)
        (void)fprintf(file, "    '%s|%s'\n", program->commands[i].word,
                      program->commands[i].values);
    (void)fputs("    )\n    options=(\n", file);
    for (size_t i = 0; i < program->option_count; i++)
        print_option(file, program, &program->options[i]);
    (void)fputs("    )\n}\n\n", file);
}
