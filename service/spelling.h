/*
 * spelling.h - which word somebody may have meant
 *
 * Purpose
 *   Who has misspelt an option, a command or a key is told the one that is nearest to it:
 *     for each: distance = spelling_distance(typed, word); keep the least
 *     if (spelling_is_near(least, typed)) ... "did you mean ...?"
 */
#ifndef SERVICE_SPELLING_H
#define SERVICE_SPELLING_H

#include <stdbool.h>
#include <stddef.h>

#define SPELLING_LETTERS_MAX 64u /* of a word; longer ones are like none */

/* How many letters must be put in, left out or changed to make one of the other. The beginning of a
 * longer word, of three letters at least, counts as one slip. SIZE_MAX where a word is too long. */
size_t spelling_distance(const char *typed, const char *meant);

/* Whether that is near enough to ask. */
bool spelling_is_near(size_t distance, const char *typed);

#endif
