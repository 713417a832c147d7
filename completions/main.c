/*
 * main.c - writes a program's table of options for a shell
 *     completions PROGRAM SHELL
 */
#include <string.h>

#include "completions.h"

static struct completion_program (*const programs[])(void) = {
    completions_of_robot, completions_of_relay, completions_of_observer};

static const struct {
    const char *name;
    void (*write)(FILE *file, const struct completion_program *program);
} shells[] = {{"bash", completions_write_bash},
              {"zsh", completions_write_zsh},
              {"fish", completions_write_fish}};

void completions_name(char name[40], const char *member) {
    (void)snprintf(name, 40, "--%s", member);
    for (char *c = name; *c != '\0'; c++)
        if (*c == '_')
            *c = '-';
}

void completions_describe(struct completion_option *option, const char *member) {
    completions_name(option->name, member);
    option->takes = option->argument != NULL ? COMPLETION_TAKES_VALUE : COMPLETION_TAKES_NOTHING;
    option->alone = strcmp(member, "help") == 0 || strcmp(member, "version") == 0;
    if (option->argument == NULL)
        option->argument = "";
}

void completions_quote(FILE *file, const char *text) {
    (void)fputc('\'', file);
    for (; *text != '\0'; text++)
        (void)(*text == '\'' ? fputs("'\\''", file) : fputc(*text, file));
    (void)fputc('\'', file);
}

void completions_quote_fish(FILE *file, const char *text) {
    (void)fputc('\'', file);
    for (; *text != '\0'; text++)
        (void)fprintf(file, "%s%c", *text == '\'' || *text == '\\' ? "\\" : "", *text);
    (void)fputc('\'', file);
}

void completions_print_valued(FILE *file, const struct completion_program *program) {
    for (size_t i = 0; i < program->option_count; i++) {
        const struct completion_option *option = &program->options[i];
        if (option->takes == COMPLETION_TAKES_VALUE)
            (void)fprintf(file, " %s", option->name);
        if (option->takes == COMPLETION_TAKES_VALUE && option->letter != 0)
            (void)fprintf(file, " -%c", option->letter);
    }
}

void completions_print_commands(FILE *file, const struct completion_program *program,
                                unsigned commands) {
    const char *blank = "";
    if (commands == ~0u)
        (void)fputc('*', file);
    for (size_t i = 0; i < program->command_count && commands != ~0u; i++) {
        if ((commands & (1u << i)) != 0) {
            (void)fprintf(file, "%s%s", blank, program->commands[i].word);
            blank = " ";
        }
    }
}

static int write_table(const char *name, const char *shell) {
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        struct completion_program program = programs[i]();
        for (size_t j = 0; j < sizeof shells / sizeof shells[0]; j++) {
            if (strcmp(program.name, name) == 0 && strcmp(shells[j].name, shell) == 0) {
                shells[j].write(stdout, &program);
                return fflush(stdout) == 0 ? 0 : 1;
            }
        }
    }
    (void)fprintf(stderr, "completions: %s for %s: there is no such table\n", name, shell);
    return 2;
}

int main(int argc, char **argv) {
    if (argc == 3)
        return write_table(argv[1], argv[2]);
    (void)fputs("usage: completions PROGRAM bash|zsh|fish\n", stderr);
    return 2;
}
