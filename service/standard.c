#include "standard.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int standard_keep(void) {
    for (int file = STDIN_FILENO; file <= STDERR_FILENO; file++) {
        if (fcntl(file, F_GETFD) >= 0)
            continue;
        /* The least number that is free is this one. Children inherit it, as they do the others. */
        if (open("/dev/null", O_RDWR) < 0)
            return -errno;
    }
    return 0;
}
