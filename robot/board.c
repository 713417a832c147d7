#include "board.h"

#include <stddef.h>
#include <string.h>

#define ADDRESS(name, argument) &board_##name,
static const struct board_kind *const boards[] = {BOARDS(ADDRESS)};

const struct board_kind *board_find(const char *text, const char **argument) {
    size_t length = strcspn(text, ":");
    bool has_argument = text[length] == ':';
    for (size_t i = 0; i < sizeof boards / sizeof boards[0]; i++) {
        const struct board_kind *kind = boards[i];
        if (strlen(kind->name) == length && strncmp(kind->name, text, length) == 0 &&
            (kind->takes_argument || !has_argument)) {
            *argument = has_argument ? text + length + 1 : NULL;
            return kind;
        }
    }
    return NULL;
}
