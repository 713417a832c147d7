#include "board.h"

#include <stddef.h>
#include <string.h>

#define ADDRESS(name) &board_##name,
static const struct board_kind *const boards[] = {BOARDS(ADDRESS)};

const struct board_kind *board_find(const char *name) {
    for (size_t i = 0; i < sizeof boards / sizeof boards[0]; i++) {
        if (strcmp(boards[i]->name, name) == 0)
            return boards[i];
    }
    return NULL;
}
