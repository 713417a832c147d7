#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "options_table.h"
#include "service/spelling.h"

/* ---- the table ---- */

#define OPTIONS_NAME_(kind, member, ...)                                                           \
    static_assert(sizeof("OMNI_" #member) <= OPTIONS_NAME_BYTES, "the option's name is too long");
OPTIONS(OPTIONS_NAME_)

static void derive_names(struct option *option, const char *member) {
    static const char prefix[] = "OMNI_";
    size_t length = strlen(member);
    memcpy(option->variable, prefix, sizeof prefix);
    for (size_t i = 0; i <= length; i++) {
        option->name[i] = member[i] == '_' ? '-' : member[i];
        option->variable[sizeof prefix - 1 + i] = (char)toupper((unsigned char)member[i]);
    }
}

void options_table_make(struct option table[OPTIONS_COUNT]) {
#define OPTIONS_ROW_(kind_id, member, letter_, argument_, default_, low_, high_, commands_,        \
                     prose_)                                                                       \
    {.argument = (argument_),                                                                      \
     .fallback = (default_),                                                                       \
     .prose = (prose_),                                                                            \
     .low = (double)(low_),                                                                        \
     .high = (double)(high_),                                                                      \
     .offset = offsetof(struct options, member),                                                   \
     .kind = OPTIONS_KIND_##kind_id,                                                               \
     .commands = OPTIONS_FOR_##commands_,                                                          \
     .letter = (letter_)},
#define OPTIONS_MEMBER_TEXT_(kind_id, member, ...) #member,
    static const struct option rows[] = {OPTIONS(OPTIONS_ROW_)};
    static const char *const members[] = {OPTIONS(OPTIONS_MEMBER_TEXT_)};
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        table[i] = rows[i];
        derive_names(&table[i], members[i]);
    }
}

const struct option *options_find(const struct options_run *run, const char *name, size_t length) {
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        if (strlen(run->table[i].name) == length && strncmp(run->table[i].name, name, length) == 0)
            return &run->table[i];
    return NULL;
}

static const struct option *find_letter(const struct options_run *run, char letter) {
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        if (run->table[i].letter == letter && letter != 0)
            return &run->table[i];
    return NULL;
}

/* ---- suggestions ---- */

const struct option *options_nearest(const struct options_run *run, const char *name) {
    const struct option *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        size_t distance = spelling_distance(name, run->table[i].name);
        if (run->table[i].prose[0] != '\0' && distance < best_distance) {
            best_distance = distance;
            best = &run->table[i];
        }
    }
    return spelling_is_near(best_distance, name) ? best : NULL;
}

static const char *const command_names[] = {
#define COMMANDS_NAME_(name, word, operand, prose) word,
    COMMANDS(COMMANDS_NAME_)};
static const char *const command_operands[] = {
#define COMMANDS_OPERAND_(name, word, operand, prose) operand,
    COMMANDS(COMMANDS_OPERAND_)};

const char *options_command_name(enum command command) {
    return command_names[command];
}

static const char *nearest_command(const char *name) {
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        size_t distance = spelling_distance(name, command_names[i]);
        if (distance < best_distance) {
            best_distance = distance;
            best = command_names[i];
        }
    }
    return spelling_is_near(best_distance, name) ? best : NULL;
}

/* ---- complaints ---- */

static void make_one_line(char *text) {
    for (; *text != '\0'; text++)
        if (iscntrl((unsigned char)*text))
            *text = '?';
}

int options_complain(struct options_run *run, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(run->problem->text, sizeof run->problem->text, format, arguments);
    va_end(arguments);
    make_one_line(run->problem->text);
    return -EINVAL;
}

int options_out_of_memory(struct options_run *run) {
    (void)options_complain(run, "no memory left for the options");
    return -ENOMEM;
}

/* ---- memory ---- */

struct options_memory {
    struct options_memory *next;
    max_align_t bytes[];
};

void *options_keep_bytes(struct options *options, size_t bytes) {
    struct options_memory *block = malloc(sizeof *block + bytes);
    if (block == NULL)
        return NULL;
    block->next = options->memory;
    options->memory = block;
    return block->bytes;
}

const char *options_keep(struct options *options, const char *text, size_t length) {
    char *kept = options_keep_bytes(options, length + 1);
    if (kept != NULL) {
        memcpy(kept, text, length);
        kept[length] = '\0';
    }
    return kept;
}

void options_free(struct options *options) {
    if (options == NULL)
        return;
    while (options->memory != NULL) {
        struct options_memory *next = options->memory->next;
        free(options->memory);
        options->memory = next;
    }
}

/* ---- the command line ---- */

struct command_line {
    char *const *next; /* the argument to read next; NULL at the end */
    unsigned operands; /* read so far: the command, then its source */
    bool only_operands;
};

/* Needs no value on the command line. */
static bool is_flag(const struct option *option) {
    return option->kind == OPTIONS_KIND_flag || option->kind == OPTIONS_KIND_show ||
           option->kind == OPTIONS_KIND_named || option->kind == OPTIONS_KIND_label;
}

/* Sets an option of the command line; takes the next argument as its value where none was
 * attached. */
static int take_option(struct options_run *run, struct command_line *line,
                       const struct option *option, const char *value) {
    char origin[OPTIONS_NAME_BYTES + 2];
    (void)snprintf(origin, sizeof origin, "--%s", option->name);
    if (value == NULL && is_flag(option))
        value = "yes";
    if (value == NULL) {
        value = *line->next;
        if (value == NULL) {
            return options_complain(run, "%s needs a value: %s %s", origin, origin,
                                    option->argument);
        }
        line->next++;
    }
    return options_set(run, &(struct options_setting){.option = option,
                                                      .origin = origin,
                                                      .value = value,
                                                      .rank = OPTIONS_RANK_COMMAND_LINE});
}

static int complain_unknown(struct options_run *run, const char *name) {
    const struct option *nearest = options_nearest(run, name);
    if (nearest != NULL) {
        return options_complain(run,
                                "unknown option --%.80s; did you mean --%s? "
                                "(omni-observer --help names all)",
                                name, nearest->name);
    }
    return options_complain(run, "unknown option --%.80s; omni-observer --help names all", name);
}

static int take_long(struct options_run *run, struct command_line *line, const char *text) {
    size_t length = strcspn(text, "=");
    const struct option *option = options_find(run, text, length);
    if (option == NULL) {
        char name[OPTIONS_NAME_BYTES * 2];
        (void)snprintf(name, sizeof name, "%.*s", (int)length, text);
        return complain_unknown(run, name);
    }
    return take_option(run, line, option, text[length] == '=' ? text + length + 1 : NULL);
}

static int take_letters(struct options_run *run, struct command_line *line, const char *text) {
    for (; *text != '\0'; text++) {
        const struct option *option = find_letter(run, *text);
        if (option == NULL) {
            return options_complain(run, "unknown option -%c; omni-observer --help names all",
                                    *text);
        }
        if (!is_flag(option))
            return take_option(run, line, option, text[1] != '\0' ? text + 1 : NULL);
        int error = take_option(run, line, option, NULL);
        if (error < 0)
            return error;
    }
    return 0;
}

static int take_command(struct options_run *run, const char *text) {
    for (unsigned i = 0; i < COMMANDS_COUNT; i++) {
        if (strcmp(text, command_names[i]) == 0) {
            run->options.command = (enum command)i;
            return 0;
        }
    }
    const char *nearest = nearest_command(text);
    if (nearest != NULL)
        return options_complain(run, "unknown command \"%.80s\"; did you mean %s?", text, nearest);
    return options_complain(
        run, "unknown command \"%.80s\"; omni-observer --help names the commands", text);
}

static int take_operand(struct options_run *run, struct command_line *line, const char *text) {
    line->operands++;
    if (line->operands == 1)
        return take_command(run, text);
    if (line->operands == 2 && command_operands[run->options.command][0] != '\0') {
        run->options.source = text;
        return 0;
    }
    return options_complain(run, "unexpected argument \"%.80s\" after %s", text,
                            command_names[run->options.command]);
}

static int take_argument(struct options_run *run, struct command_line *line, const char *text) {
    if (line->only_operands || text[0] != '-' || text[1] == '\0')
        return take_operand(run, line, text);
    if (strcmp(text, "--") == 0) {
        line->only_operands = true;
        return 0;
    }
    return text[1] == '-' ? take_long(run, line, text + 2) : take_letters(run, line, text + 1);
}

static int read_command_line(struct options_run *run, char *const *arguments) {
    struct command_line line = {.next = arguments};
    while (*line.next != NULL) {
        const char *text = *line.next++;
        int error = take_argument(run, &line, text);
        if (error < 0)
            return error;
    }
    return 0;
}

/* Who adds a region to a source has two in mind, of which such a command reads one. */
static int complain_misplaced(struct options_run *run, const struct option *option) {
    const char *command = command_names[run->options.command];
    if (option->kind == OPTIONS_KIND_regions && command_operands[run->options.command][0] != '\0') {
        return options_complain(run,
                                "--%s is not for %s, which reads one source: give the region's "
                                "address instead of a name: omni-observer %s file:PATH",
                                option->name, command, command);
    }
    return options_complain(run, "--%s is not for %s; omni-observer --help says what it is for",
                            option->name, command);
}

/* What the command line must say in itself: nothing that is for another command, and a source. */
static int check_command_line(struct options_run *run) {
    enum command command = run->options.command;
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        if (run->rank[i] == OPTIONS_RANK_COMMAND_LINE &&
            (run->table[i].commands & (1u << command)) == 0)
            return complain_misplaced(run, &run->table[i]);
    }
    if (command_operands[command][0] != '\0' && run->options.source == NULL) {
        return options_complain(run,
                                "%s needs a %s: omni-observer %s NAME (omni-observer list names "
                                "them)",
                                command_names[command], command_operands[command],
                                command_names[command]);
    }
    return 0;
}

/* ---- the environment ---- */

static const char *find_variable(char *const *environment, const char *name) {
    size_t length = strlen(name);
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

static int set_each(struct options_run *run, struct options_setting *setting) {
    const char *item = setting->value;
    int error = 0;
    while (error == 0) {
        size_t length = strcspn(item, ",");
        setting->value = options_keep(&run->options, item, length);
        error = setting->value == NULL ? options_out_of_memory(run) : options_set(run, setting);
        if (item[length] == '\0')
            break;
        item += length + 1;
    }
    return error;
}

static int read_variable(struct options_run *run, const struct option *option,
                         char *const *environment) {
    struct options_setting setting = {.option = option,
                                      .origin = option->variable,
                                      .value = find_variable(environment, option->variable),
                                      .rank = OPTIONS_RANK_ENVIRONMENT};
    if (setting.value == NULL || setting.value[0] == '\0' || option->kind == OPTIONS_KIND_show)
        return 0;
    return options_is_list(option) ? set_each(run, &setting) : options_set(run, &setting);
}

static int read_environment(struct options_run *run, char *const *environment) {
    int error = 0;
    for (size_t i = 0; i < OPTIONS_COUNT && error == 0; i++)
        error = read_variable(run, &run->table[i], environment);
    return error;
}

/* ---- defaults ---- */

static int set_defaults(struct options_run *run) {
    int error = 0;
    for (size_t i = 0; i < OPTIONS_COUNT && error == 0; i++) {
        const struct option *option = &run->table[i];
        if (option->fallback[0] != '\0') {
            error = options_set(run, &(struct options_setting){.option = option,
                                                               .origin = option->name,
                                                               .value = option->fallback,
                                                               .rank = OPTIONS_RANK_DEFAULT});
        }
    }
    return error;
}

static int set_token_file(struct options_run *run, char *const *environment) {
    if (run->options.token_file != NULL)
        return 0;
    const char *state = find_variable(environment, "XDG_STATE_HOME");
    const char *home = find_variable(environment, "HOME");
    char path[4096];
    int length = 0;
    if (state != NULL && state[0] == '/')
        length = snprintf(path, sizeof path, "%s/omniscient/token", state);
    else if (home != NULL && home[0] == '/')
        length = snprintf(path, sizeof path, "%s/.local/state/omniscient/token", home);
    else
        length = snprintf(path, sizeof path, "/var/lib/omniscient/token");
    if (length < 0 || (size_t)length >= sizeof path)
        return options_complain(run, "the home directory's path is too long; use --token-file");
    run->options.token_file = options_keep(&run->options, path, (size_t)length);
    return run->options.token_file == NULL ? options_out_of_memory(run) : 0;
}

/* ---- all places ---- */

static int read_other_places(struct options_run *run, char *const *environment) {
    int error = check_command_line(run);
    if (error == 0)
        error = read_environment(run, environment);
    if (error == 0 && run->options.config != NULL)
        error = options_read_config(run, run->options.config);
    if (error == 0)
        error = set_defaults(run);
    if (error == 0)
        error = set_token_file(run, environment);
    return error;
}

int options_parse(struct options *options, int argc, char *const *argv, char *const *environment,
                  struct omni_problem *problem) {
    struct options_run run = {.problem = problem};
    options_table_make(run.table);
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        if (options_is_list(&run.table[i]))
            options_empty_list(&run.table[i], (char *)&run.options + run.table[i].offset);
    int error = argc > 0 ? read_command_line(&run, argv + 1) : 0;
    if (error == 0 && !run.options.help && !run.options.version && !run.options.help_man)
        error = read_other_places(&run, environment);
    if (error < 0) {
        options_free(&run.options);
        return error;
    }
    *options = run.options;
    return 0;
}
