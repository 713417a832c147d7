/*
 * driver_place.h - for tests of drivers: a folder for the recorder (tests/drivers/recorder.c), and where
 * this build's drivers and programs are
 */
#ifndef TESTS_DRIVER_PLACE_H
#define TESTS_DRIVER_PLACE_H

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char folder[64];
    char build[PATH_MAX];
};

/* $OMNI_BUILD, or seen from this test's own place in the build folder. */
static inline void place_open(struct place *place) {
    const char *build = getenv("OMNI_BUILD");
    char own[PATH_MAX] = "";
    char beside[PATH_MAX + 16];
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/omni-driver-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    assert_true(readlink("/proc/self/exe", own, sizeof own - 1) > 0);
    *strrchr(own, '/') = '\0';
    (void)snprintf(beside, sizeof beside, "%s/../../..", own);
    assert_non_null(realpath(build != NULL ? build : beside, place->build));
}

/* A file of the folder, or with `in_build` of the build folder. One at a time. */
static inline const char *place_path(const struct place *place, bool in_build, const char *name) {
    static char path[PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", in_build ? place->build : place->folder, name);
    return path;
}

/* Makes the recorder do something, and lets it. */
static inline void place_shall(const struct place *place, const char *what) {
    int file = open(place_path(place, false, what), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    (void)close(file);
}

static inline void place_shall_not(const struct place *place, const char *what) {
    assert_int_equal(unlink(place_path(place, false, what)), 0);
}

/* What the recorder wrote down, without the process ids, lines ended by ';'. */
static inline void place_log(const struct place *place, char *text, size_t size) {
    char line[128];
    size_t at = 0;
    FILE *log = fopen(place_path(place, false, "log"), "re");
    text[0] = '\0';
    if (log == NULL)
        return;
    while (fgets(line, sizeof line, log) != NULL && at + sizeof line < size) {
        const char *call = strchr(line, ' ') + 1;
        at += (size_t)snprintf(text + at, size - at, "%.*s;", (int)strcspn(call, "\n"), call);
    }
    (void)fclose(log);
}

static inline void place_close(const struct place *place) {
    (void)unlink(place_path(place, false, "log"));
    assert_int_equal(rmdir(place->folder), 0);
}

#endif
