#include <stdint.h>
#include <string.h>

#include "completions.h"
#include "robot/board.h"
#include "robot/options.h"

#define OPTION_(kind, member, argument_, preset, low, high, prose_)                                \
    {.argument = (argument_), .prose = (prose_), .commands = ~0u},
#define MEMBER_(kind, member, ...) #member,
static struct completion_option options[] = {OPTIONS(OPTION_)};
static const char *const members[] = {OPTIONS(MEMBER_)};

enum { COUNT = sizeof options / sizeof options[0] };

/* "sim gpio driver:@file": what follows a board's colon is a path. */
static void board_values(char values[COMPLETION_VALUES_BYTES]) {
#define BOARD_(name, argument) {#name, argument},
    static const struct {
        const char *name;
        const char *argument;
    } boards[] = {BOARDS(BOARD_)};
    size_t used = 0;
    for (size_t i = 0; i < sizeof boards / sizeof boards[0]; i++)
        used += (size_t)snprintf(values + used, COMPLETION_VALUES_BYTES - used, "%s%s%s",
                                 i > 0 ? " " : "", boards[i].name,
                                 boards[i].argument[0] == ':' ? ":@file" : "");
}

static void fill(struct completion_option *option, const char *member) {
    completions_describe(option, member);
    if (strcmp(option->argument, "BOARD") == 0)
        board_values(option->values);
    else
        completions_values(option->values, option->argument, option->name);
}

struct completion_program completions_of_robot(void) {
    for (size_t i = 0; i < COUNT; i++)
        fill(&options[i], members[i]);
    return (struct completion_program){
        .name = "omni-robot", .options = options, .option_count = COUNT};
}
