#include "decimal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

bool decimal_read(const char *text, uint64_t most, uint64_t *value) {
    char *end;
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    unsigned long long read = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || read > most)
        return false;
    *value = read;
    return true;
}
