#include <string.h>

#include "completions.h"
#include "observer/options_table.h"

static struct completion_option options[OPTIONS_COUNT];

#define COMMAND_(name, word_, operand, prose_) {.word = (word_), .prose = (prose_)},
#define OPERAND_(name, word, operand, prose)   operand,
static struct completion_command commands[] = {COMMANDS(COMMAND_)};
static const char *const operands[] = {COMMANDS(OPERAND_)};

#define ROW_(kind_id, member, letter_, argument_, default_, low_, high_, commands_, prose_)        \
    {.argument = (argument_),                                                                      \
     .prose = (prose_),                                                                            \
     .kind = OPTIONS_KIND_##kind_id,                                                               \
     .commands = OPTIONS_FOR_##commands_,                                                          \
     .letter = (letter_)},
#define MEMBER_(kind, member, ...) #member,
static const struct option rows[] = {OPTIONS(ROW_)};
static const char *const members[] = {OPTIONS(MEMBER_)};

static bool takes_a_list(enum options_kind kind) {
    return kind == OPTIONS_KIND_texts || kind == OPTIONS_KIND_addresses ||
           kind == OPTIONS_KIND_regions || kind == OPTIONS_KIND_users;
}

static enum completion_takes takes(const struct option *row) {
    if (row->argument[0] == '\0')
        return COMPLETION_TAKES_NOTHING;
    return row->argument[0] == '[' ? COMPLETION_TAKES_ATTACHED : COMPLETION_TAKES_VALUE;
}

static void fill(struct completion_option *option, const struct option *row, const char *member) {
    completions_name(option->name, member);
    option->argument = row->argument;
    option->prose = row->prose;
    option->letter = row->letter;
    option->takes = takes(row);
    option->repeatable = takes_a_list(row->kind);
    option->alone = row->kind == OPTIONS_KIND_show;
    option->commands = row->commands == OPTIONS_FOR_every ? ~0u : row->commands;
    completions_values(option->values, row->argument, option->name);
}

struct completion_program completions_of_observer(void) {
    size_t count = 0;
    for (size_t i = 0; i < COMMANDS_COUNT; i++)
        completions_values(commands[i].values, operands[i], commands[i].word);
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        if (rows[i].prose[0] != '\0')
            fill(&options[count++], &rows[i], members[i]);
    return (struct completion_program){.name = "omni-observer",
                                       .commands = commands,
                                       .command_count = COMMANDS_COUNT,
                                       .options = options,
                                       .option_count = count};
}
