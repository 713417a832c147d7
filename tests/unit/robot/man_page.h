/* man_page.h - what a manual page says of a number, in the paragraph that a line of it heads */
#ifndef TEST_MAN_PAGE_H
#define TEST_MAN_PAGE_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Whole: "1 to 100" is not in "1 to 1000". */
static inline bool man_page_has(const char *from, const char *to, const char *words) {
    size_t length = strlen(words);
    for (const char *at = from; (at = strstr(at, words)) != NULL && at < to; at++)
        if (strchr("0123456789", at[length]) == NULL && strchr(" \n", at[-1]) != NULL)
            return true;
    return false;
}

/* Fails unless the paragraph tells bounds and default. Bounds of UINT64_MAX and defaults of 0 go without
 * saying. */
static inline void man_page_tells(const char *page, const char *heading, uint64_t low,
                                  uint64_t high, uint64_t preset) {
    char words[64];
    const char *from = strstr(page, heading);
    if (from == NULL)
        fail_msg("no paragraph has the heading %s", heading);
    const char *to = strstr(from, "\n.TP");
    if (to == NULL)
        to = from + strlen(from);
    (void)snprintf(words, sizeof words, "%" PRIu64 " to %" PRIu64, low, high);
    if (high < UINT64_MAX && !man_page_has(from, to, words))
        fail_msg("the paragraph about%s does not say %s", heading, words);
    (void)snprintf(words, sizeof words, "Default: %" PRIu64, preset);
    if (preset != 0 && !man_page_has(from, to, words))
        fail_msg("the paragraph about%s does not say %s", heading, words);
}

#endif
