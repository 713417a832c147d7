/* Lines on standard error, in a file that plays the journal. */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/say.h"

enum stream { STREAM_NONE, STREAM_THIS, STREAM_OTHER };

static void name_stream(int file, enum stream stream) {
    struct stat status;
    char text[64];
    assert_int_equal(fstat(file, &status), 0);
    (void)snprintf(text, sizeof text, "%ju:%ju", (uintmax_t)status.st_dev,
                   (uintmax_t)status.st_ino + (stream == STREAM_OTHER));
    if (stream == STREAM_NONE)
        (void)unsetenv("JOURNAL_STREAM");
    else
        (void)setenv("JOURNAL_STREAM", text, 1);
}

/* What is written when `text` is said, with standard error being a file. */
static const char *said(enum stream stream, enum say_grade grade, const char *text) {
    static char written[2 * SAY_BYTES];
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    assert_non_null(file);
    (void)dup2(fileno(file), STDERR_FILENO);
    name_stream(fileno(file), stream);
    say(grade, "%s", text);
    (void)dup2(before, STDERR_FILENO);
    (void)close(before);
    (void)unsetenv("JOURNAL_STREAM");
    rewind(file);
    written[fread(written, 1, sizeof written - 1, file)] = '\0';
    (void)fclose(file);
    return written;
}

static void a_person_reads_a_sentence(void **state) {
    (void)state;
    assert_string_equal(said(STREAM_NONE, SAY_ERROR, "It is broken"), "It is broken\n");
    assert_string_equal(said(STREAM_OTHER, SAY_ERROR, "It is broken"), "It is broken\n");
}

static void the_journal_reads_a_grade(void **state) {
    (void)state;
    assert_string_equal(said(STREAM_THIS, SAY_ERROR, "It is broken"), "<3>It is broken\n");
    assert_string_equal(said(STREAM_THIS, SAY_WARNING, "Look"), "<4>Look\n");
    assert_string_equal(said(STREAM_THIS, SAY_INFO, "All is well"), "<6>All is well\n");
}

static void each_line_has_its_grade(void **state) {
    (void)state;
    assert_string_equal(said(STREAM_THIS, SAY_WARNING, "one\ntwo\n"), "<4>one\n<4>two\n");
    assert_string_equal(said(STREAM_NONE, SAY_WARNING, "one\ntwo\n"), "one\ntwo\n");
    assert_string_equal(said(STREAM_NONE, SAY_WARNING, ""), "\n");
}

static void what_is_too_long_is_cut_and_ended(void **state) {
    (void)state;
    static char text[3 * SAY_BYTES];
    memset(text, 'x', sizeof text - 1);
    const char *written = said(STREAM_THIS, SAY_ERROR, text);
    assert_int_equal(strlen(written), 3 + SAY_BYTES - 1 + 1);
    assert_int_equal(written[strlen(written) - 1], '\n');
    memset(text, '\n', sizeof text - 1);
    written = said(STREAM_THIS, SAY_ERROR, text);
    assert_int_equal(written[strlen(written) - 1], '\n');
}

/* Terminals obey them, and the journal hides lines that have one. */
static void control_characters_are_not_obeyed(void **state) {
    (void)state;
    assert_string_equal(said(STREAM_NONE, SAY_ERROR, "\x1b]0;x\a \r\t\b\x7f."), "?]0;x? ????.\n");
    assert_string_equal(said(STREAM_THIS, SAY_INFO,
                             "a\xc2\x9b"
                             "2Jb"),
                        "<6>a??2Jb\n");
    assert_string_equal(said(STREAM_NONE, SAY_INFO, "5 \xc2\xb5s\xe2\x80\xa6"),
                        "5 \xc2\xb5s\xe2\x80\xa6\n");
}

/* A reader that hangs: with the last page of the pipe in use, there is no room for a line. */
static void nobody_waits_for_a_reader(void **state) {
    (void)state;
    int ends[2];
    char page[4096] = "";
    int before = dup(STDERR_FILENO);
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    while (write(ends[1], page, sizeof page) > 0) {
    }
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
    (void)dup2(ends[1], STDERR_FILENO);
    (void)alarm(60);
    say(SAY_ERROR, "Nobody hears this");
    assert_int_equal(read(ends[0], page, sizeof page), sizeof page);
    say(SAY_ERROR, "But this");
    (void)alarm(0);
    (void)dup2(before, STDERR_FILENO);
    (void)close(before);
    (void)close(ends[1]);
    ssize_t length = 0;
    for (ssize_t got; (got = read(ends[0], page, sizeof page)) > 0;)
        length = got;
    assert_in_range(length, 1, sizeof page - 1);
    page[length] = '\0';
    assert_string_equal(page, "But this\n");
    (void)close(ends[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_person_reads_a_sentence),
        cmocka_unit_test(the_journal_reads_a_grade),
        cmocka_unit_test(each_line_has_its_grade),
        cmocka_unit_test(what_is_too_long_is_cut_and_ended),
        cmocka_unit_test(control_characters_are_not_obeyed),
        cmocka_unit_test(nobody_waits_for_a_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
