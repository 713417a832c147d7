#include "completions.h"
#include "relay/options.h"

#define OPTION_(kind, member, argument_, preset, prose_)                                           \
    {.argument = (argument_), .prose = (prose_), .commands = ~0u},
#define MEMBER_(kind, member, ...) #member,
static struct completion_option options[] = {OPTIONS(OPTION_)};
static const char *const members[] = {OPTIONS(MEMBER_)};

enum { COUNT = sizeof options / sizeof options[0] };

static void fill(struct completion_option *option, const char *member) {
    completions_describe(option, member);
    completions_values(option->values, option->argument, option->name);
}

struct completion_program completions_of_relay(void) {
    for (size_t i = 0; i < COUNT; i++)
        fill(&options[i], members[i]);
    return (struct completion_program){
        .name = "omni-relay", .options = options, .option_count = COUNT};
}
