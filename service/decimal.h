/*
 * decimal.h - whole numbers of the environment, read strictly
 */
#ifndef SERVICE_DECIMAL_H
#define SERVICE_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

/* Reads digits and nothing else: no sign, no blank, no end before the text's. Returns false where
 * that is not so or the number is above `most`, *value untouched. */
bool decimal_read(const char *text, uint64_t most, uint64_t *value);

#endif
