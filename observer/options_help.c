#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "options_table.h"
#include "service/prose.h"

enum { HELP_INDENT = 30 };

/* The groups in which options are shown: those for all commands, then those of each. */
struct help_group {
    const char *title;
    unsigned commands;
};

static const struct help_group groups[] = {
    {"every command", OPTIONS_FOR_every},
#define COMMANDS_GROUP_(name, word, operand, prose) {word, OPTIONS_FOR_##name},
    {"serve and doctor", OPTIONS_FOR_serving},
    COMMANDS(COMMANDS_GROUP_){"serve, list and doctor", OPTIONS_FOR_finding},
    {"list and doctor", OPTIONS_FOR_telling},
    {"watch and dump", OPTIONS_FOR_looking},
    {"serve, sound-test and doctor", OPTIONS_FOR_sounding},
};

/* ---- --help ---- */

/* "[=NAME]" may be left out, and then nothing stands between. */
static const char *argument_space(const struct option *option) {
    return option->argument[0] != '\0' && option->argument[0] != '[' ? " " : "";
}

static void print_option(FILE *file, const struct option *option) {
    char left[80];
    char prose[512];
    int width =
        snprintf(left, sizeof left, "  %c%c%c --%s%s%s", option->letter != 0 ? '-' : ' ',
                 option->letter != 0 ? option->letter : ' ', option->letter != 0 ? ',' : ' ',
                 option->name, argument_space(option), option->argument);
    bool tells_default = option->fallback[0] != '\0' && strcmp(option->fallback, "no") != 0;
    (void)snprintf(prose, sizeof prose, "%s%s%s%s", option->prose,
                   tells_default ? " (default " : "", tells_default ? option->fallback : "",
                   tells_default ? ")" : "");
    (void)fputs(left, file);
    if (width >= HELP_INDENT) {
        (void)fputc('\n', file);
        width = 0;
    }
    (void)fprintf(file, "%*s", HELP_INDENT - width, "");
    prose_print(file, HELP_INDENT, prose);
}

static void print_command(FILE *file, const char *name, const char *operand, const char *prose) {
    int width = fprintf(file, "  %s %s", name, operand);
    (void)fprintf(file, "%*s%s\n", width < 18 ? 18 - width : 1, "", prose);
}

void options_print_help(FILE *file) {
    struct option table[OPTIONS_COUNT];
    options_table_make(table);
    (void)fputs("Usage: omni-observer [OPTION]... [COMMAND]\n"
                "Shows what the robots of this machine publish; never touches them.\n\n"
                "Commands:\n",
                file);
#define COMMANDS_PRINT_(name, word, operand, prose) print_command(file, word, operand, prose);
    COMMANDS(COMMANDS_PRINT_)
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        bool titled = false;
        for (size_t j = 0; j < OPTIONS_COUNT; j++) {
            if (table[j].commands == groups[i].commands && table[j].prose[0] != '\0') {
                if (!titled)
                    (void)fprintf(file, "\nOptions for %s:\n", groups[i].title);
                titled = true;
                print_option(file, &table[j]);
            }
        }
    }
    (void)fputs("\nEvery option is also an environment variable (OMNI_MAX_CLIENTS for\n"
                "--max-clients) and a key of the config file. The command line wins over the\n"
                "environment, the environment over the file. More: man omni-observer\n",
                file);
}

/* ---- --help-man ---- */

static void print_roff(FILE *file, const char *text) {
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '-':
            (void)fputs("\\-", file);
            break;
        case '\\':
            (void)fputs("\\e", file);
            break;
        case '~':
            (void)fputs("\\(ti", file);
            break;
        default:
            (void)fputc(*text, file);
        }
    }
}

static void print_man_heading(FILE *file, const struct option *option) {
    (void)fputs(".TP\n", file);
    if (option->letter != 0)
        (void)fprintf(file, "\\fB\\-%c\\fR, ", option->letter);
    (void)fputs("\\fB\\-\\-", file);
    print_roff(file, option->name);
    (void)fputs("\\fR", file);
    if (option->argument[0] != '\0') {
        (void)fprintf(file, "%s\\fI", argument_space(option));
        print_roff(file, option->argument);
        (void)fputs("\\fR", file);
    }
    (void)fputc('\n', file);
}

static void print_man_option(FILE *file, const struct option *option) {
    print_man_heading(file, option);
    char first[2] = {(char)toupper((unsigned char)option->prose[0]), '\0'};
    print_roff(file, first);
    print_roff(file, option->prose + 1);
    (void)fputc('.', file);
    if (option->fallback[0] != '\0' && strcmp(option->fallback, "no") != 0) {
        (void)fputs(" Default: ", file);
        print_roff(file, option->fallback);
        (void)fputc('.', file);
    }
    if (option->high > option->low)
        (void)fprintf(file, " From %.16g to %.16g%s.", option->low, option->high,
                      option->kind == OPTIONS_KIND_size ? " bytes" : "");
    if (option->kind != OPTIONS_KIND_show)
        (void)fprintf(file, " Variable: \\fB%s\\fR.", option->variable);
    (void)fputc('\n', file);
}

static void print_man_title(FILE *file, const char *title) {
    (void)fputs(".SS Options for ", file);
    print_roff(file, title);
    (void)fputc('\n', file);
}

void options_print_man(FILE *file) {
    struct option table[OPTIONS_COUNT];
    options_table_make(table);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        bool titled = false;
        for (size_t j = 0; j < OPTIONS_COUNT; j++) {
            if (table[j].commands == groups[i].commands && table[j].prose[0] != '\0') {
                if (!titled)
                    print_man_title(file, groups[i].title);
                titled = true;
                print_man_option(file, &table[j]);
            }
        }
    }
}
