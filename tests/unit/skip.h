/*
 * skip.h - leaving a test out, by name and with the reason: scripts/test says the line, and counts it
 *
 * After cmocka.h.
 */
#ifndef TESTS_SKIP_H
#define TESTS_SKIP_H

#define SKIP_BECAUSE(reason)                                                                       \
    do {                                                                                           \
        print_message("skipped: %s: %s\n", __func__, reason);                                      \
        skip();                                                                                    \
    } while (0)

#endif
