#include "spelling.h"

#include <stdint.h>
#include <string.h>

enum { BEGINNING_LETTERS = 3, LETTERS_A_SLIP = 3 };

static size_t smallest(size_t a, size_t b, size_t c) {
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Of words that fit. */
static size_t count_slips(const char *typed, const char *meant) {
    size_t row[SPELLING_LETTERS_MAX + 1];
    size_t width = strlen(meant);
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 0; typed[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            size_t above = row[j + 1];
            row[j + 1] = smallest(above + 1, row[j] + 1, diagonal + (typed[i] == meant[j] ? 0 : 1));
            diagonal = above;
        }
    }
    return row[width];
}

size_t spelling_distance(const char *typed, const char *meant) {
    size_t length = strlen(typed);
    if (length > SPELLING_LETTERS_MAX || strlen(meant) > SPELLING_LETTERS_MAX)
        return SIZE_MAX;
    if (length >= BEGINNING_LETTERS && length < strlen(meant) && strncmp(typed, meant, length) == 0)
        return 1;
    return count_slips(typed, meant);
}

bool spelling_is_near(size_t distance, const char *typed) {
    return distance <= 1 + strlen(typed) / LETTERS_A_SLIP;
}
