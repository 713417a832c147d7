#include "say.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What was said is "DEVICE:INODE". A program started by a service may have redirected it. */
static bool is_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    char named[64];
    struct stat status;
    if (stream == NULL || fstat(STDERR_FILENO, &status) < 0)
        return false;
    (void)snprintf(named, sizeof named, "%ju:%ju", (uintmax_t)status.st_dev,
                   (uintmax_t)status.st_ino);
    return strcmp(stream, named) == 0;
}

/* Names that others chose may hold escape sequences: C0, DEL and (in UTF-8) C1. Only '\n' is meant. */
static void make_harmless(char *text) {
    enum { DELETE = 0x7F, C1_LEAD = 0xC2, C1_FIRST = 0x80, C1_LAST = 0x9F };
    unsigned before = 0;
    for (char *at = text; *at != '\0'; at++) {
        unsigned byte = (unsigned char)*at;
        bool is_c1 = before == C1_LEAD && byte >= C1_FIRST && byte <= C1_LAST;
        if ((byte < ' ' && byte != '\n') || byte == DELETE || is_c1)
            *at = '?';
        if (is_c1)
            at[-1] = '?';
        before = byte;
    }
}

struct lines {
    size_t length;
    char text[SAY_BYTES + SAY_BYTES / 4];
};

/* Whole lines only: one that has no room any more is left out. */
static void add_line(struct lines *lines, const char *head, const char *line, size_t count) {
    size_t room = sizeof lines->text - lines->length;
    int needed = snprintf(lines->text + lines->length, room, "%s%.*s\n", head, (int)count, line);
    if (needed > 0 && (size_t)needed < room)
        lines->length += (size_t)needed;
}

/* A pipe that is full, a terminal that was stopped: who drives a robot must not wait for a reader. */
static bool has_room(void) {
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&room, 1, 0) > 0;
}

void say(enum say_grade grade, const char *format, ...) {
    struct lines lines = {0};
    char text[SAY_BYTES];
    char head[8] = "";
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    make_harmless(text);
    if (is_journal())
        (void)snprintf(head, sizeof head, "<%d>", (int)grade);
    for (const char *line = text; line != NULL;) {
        const char *end = strchr(line, '\n');
        add_line(&lines, head, line, end != NULL ? (size_t)(end - line) : strlen(line));
        line = end != NULL && end[1] != '\0' ? end + 1 : NULL;
    }
    if (has_room())
        (void)fwrite(lines.text, 1, lines.length, stderr);
}
