#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "completions.h"

/* X(argument in the table of options, what there is to offer) */
#define ARGUMENTS(X)                                                                               \
    X("ADDRESS", "file:@file devmem: pci:@pci")                                                    \
    X("ADDRESS:PORT", "127.0.0.1:8080 0.0.0.0:8080")                                               \
    X("CPU", "auto any @cpu")                                                                      \
    X("DEVICE", "/dev/watchdog @file")                                                             \
    X("DIR", "@directory")                                                                         \
    X("FILE", "@file")                                                                             \
    X("HZ", "")                                                                                    \
    X("INTERFACE", "@interface")                                                                   \
    X("MIN-MAX", "")                                                                               \
    X("N", "")                                                                                     \
    X("NAME", "")                                                                                  \
    X("PERCENT", "")                                                                               \
    X("SECONDS", "")                                                                               \
    X("SIZE", "")                                                                                  \
    X("SOCKET", "@file")                                                                           \
    X("SOURCE", "@source file:@file devmem: pci:@pci shm:@source")                                 \
    X("TEXT", "")                                                                                  \
    X("USER", "@user")                                                                             \
    X("[=NAME]", "")

struct argument {
    const char *word;
    const char *values;
};

#define ARGUMENT(word, values) {word, values},
static const struct argument arguments[] = {ARGUMENTS(ARGUMENT)};

static const char *look_up(const char *word) {
    for (size_t i = 0; i < sizeof arguments / sizeof arguments[0]; i++)
        if (strcmp(arguments[i].word, word) == 0)
            return arguments[i].values;
    return NULL;
}

/* "json|csv" → "json csv". Words in capitals stand for something else. */
static bool are_choices(const char *argument) {
    return strchr(argument, '|') != NULL && islower((unsigned char)argument[0]);
}

void completions_values(char values[COMPLETION_VALUES_BYTES], const char *argument,
                        const char *owner) {
    const char *known = argument[0] == '\0' || are_choices(argument) ? argument : look_up(argument);
    if (known == NULL || strlen(known) >= COMPLETION_VALUES_BYTES) {
        (void)fprintf(stderr,
                      "%s %s: completions/values.c does not say what can be completed for %s; "
                      "add it to the list there\n",
                      owner, argument, argument);
        exit(1);
    }
    (void)snprintf(values, COMPLETION_VALUES_BYTES, "%s", known);
    for (char *c = values; *c != '\0'; c++)
        if (*c == '|')
            *c = ' ';
}
