/* The command line, and that the man page knows every option. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "man_page.h"
#include "robot/options.h"

#define WORDS_MAX 8
#define MAN_PAGE  "docs/man/omni-robot.1"

/* Parses "omni-robot" and the given words, up to the first NULL. */
static int parse(struct options *options, const char *const *words, struct omni_problem *problem) {
    char copies[WORDS_MAX][64] = {"omni-robot"};
    char *argv[WORDS_MAX + 1] = {copies[0]};
    int argc = 1;
    for (; words[argc - 1] != NULL; argc++) {
        (void)snprintf(copies[argc], sizeof copies[argc], "%s", words[argc - 1]);
        argv[argc] = copies[argc];
    }
    int error = options_parse(options, argc, argv, problem);
    if (error == 0) {
        /* Texts point into the copies, which end here. */
        options->name = strcmp(options->name, "tank") == 0 ? "tank" : options->name;
        options->directory = NULL;
        options->board = "sim";
    }
    return error;
}

static int remove_directory(void **state) {
    (void)state;
    return unsetenv("OMNI_DIRECTORY");
}

static void defaults(void **state) {
    (void)state;
    char program[] = "omni-robot";
    struct options options;
    struct omni_problem problem;
    assert_int_equal(options_parse(&options, 1, (char *[]){program, NULL}, &problem), 0);
    assert_int_equal(options.tick_hz, 100);
    assert_int_equal(options.ticks, 0);
    assert_int_equal(options.seed, 1);
    assert_string_equal(options.name, "robot");
    assert_string_equal(options.board, "sim");
    assert_string_equal(options.driver_config, "");
    assert_null(options.driver_host);
    assert_false(options.isolate_driver);
    assert_null(options.directory);
    assert_false(options.realtime);
    assert_false(options.help);
    assert_false(options.version);
}

static void values_are_taken(void **state) {
    (void)state;
    const char *const words[] = {
        "--tick-hz",   "1000",       "--ticks=7", "--seed", "18446744073709551615",
        "--name=tank", "--realtime", NULL};
    struct options options;
    struct omni_problem problem;
    assert_int_equal(parse(&options, words, &problem), 0);
    assert_int_equal(options.tick_hz, 1000);
    assert_int_equal(options.ticks, 7);
    assert_true(options.seed == UINT64_MAX);
    assert_string_equal(options.name, "tank");
    assert_true(options.realtime);
}

static void the_command_line_comes_before_the_environment(void **state) {
    (void)state;
    char program[] = "omni-robot";
    char option[] = "--directory=/one";
    struct options options;
    struct omni_problem problem;
    assert_int_equal(setenv("OMNI_DIRECTORY", "/two", 1), 0);
    assert_int_equal(options_parse(&options, 1, (char *[]){program, NULL}, &problem), 0);
    assert_string_equal(options.directory, "/two");
    assert_int_equal(options_parse(&options, 2, (char *[]){program, option, NULL}, &problem), 0);
    assert_string_equal(options.directory, "/one");
}

static void mistakes_are_named(void **state) {
    (void)state;
    static const struct {
        const char *words[3];
        const char *said;
    } mistakes[] = {
        {{"--tick-hz", "0"}, "--tick-hz 0: not a whole number from 1 to 1000"},
        {{"--tick-hz", "1001"}, "--tick-hz 1001: not a whole number"},
        {{"--tick-hz", "10x"}, "--tick-hz 10x: not"},
        {{"--tick-hz", ""}, "--tick-hz : not"},
        {{"--seed", "-1"}, "--seed -1: not"},
        {{"--seed", " 1"}, "--seed  1: not"},
        {{"--seed", "18446744073709551616"}, "--seed 18446744073709551616: not"},
        {{"--tick-hz"}, "--tick-hz needs a value"},
        {{"--name", ""}, "--name needs a value"},
        {{"--frobnicate"}, "--frobnicate: no such option; try: omni-robot"},
        {{"-q"}, "-q: no such option, they begin with --"},
        {{"--driver"}, "--driver: no such option; there are --driver-config, --driver-host; try"},
        {{"--ti", "5"}, "--ti: no such option; there are --tick-hz, --ticks; try"},
        {{"--realtime=yes"}, "--realtime=yes: --realtime takes no value; try"},
        {{"--tick-hx"}, "--tick-hx: no such option; did you mean --tick-hz? try"},
        {{"--tik-hz=50"}, "--tik-hz=50: no such option; did you mean --tick-hz? try"},
        {{"--="}, "--=: no such option; try"},
        {{"robot"}, "robot: not understood"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct options options;
        struct omni_problem problem = {""};
        memset(&options, 0x55, sizeof options);
        const struct options untouched = options;
        assert_int_equal(parse(&options, mistakes[i].words, &problem), -EINVAL);
        if (strstr(problem.text, mistakes[i].said) != problem.text)
            fail_msg("\"%s\" does not begin with \"%s\"", problem.text, mistakes[i].said);
        assert_non_null(strstr(problem.text, "--help"));
        assert_memory_equal(&options, &untouched, sizeof options);
    }
}

/* "tick_hz" → "--tick-hz", or as the man page writes it: "\\-\\-tick\\-hz". */
static void written(char text[64], const char *member, const char *dash) {
    int length = snprintf(text, 64, "%s%s", dash, dash);
    for (; *member != '\0'; member++) {
        const char letter[] = {*member, '\0'};
        length +=
            snprintf(text + length, 64 - (size_t)length, "%s", *member == '_' ? dash : letter);
    }
}

#define MEMBER_NAME(kind, member, argument, preset, low, high, prose) #member,
static const char *const members[] = {OPTIONS(MEMBER_NAME)};

static void contains_all(const char *text, const char *dash) {
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char option[64];
        written(option, members[i], dash);
        if (strstr(text, option) == NULL)
            fail_msg("%s is missing", option);
    }
}

static void a_misspelt_option_is_answered_with_the_nearest(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char option[64];
        char wrong[80];
        char said[160];
        written(option, members[i], "-");
        (void)snprintf(wrong, sizeof wrong, "--%c%s", option[2], option + 2);
        struct options options;
        struct omni_problem problem;
        assert_int_equal(parse(&options, (const char *const[]){wrong, NULL}, &problem), -EINVAL);
        (void)snprintf(said, sizeof said, "; did you mean %s? try: omni-robot --help", option);
        if (strstr(problem.text, said) == NULL)
            fail_msg("\"%s\" lacks \"%s\"", problem.text, said);
    }
}

static void read_all(FILE *file, char *text, size_t size) {
    rewind(file);
    size_t length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    assert_in_range(length, 1, size - 2);
    assert_int_equal(fclose(file), 0);
}

static void help_shows_every_option(void **state) {
    (void)state;
    char text[8192];
    FILE *file = tmpfile();
    assert_non_null(file);
    options_print_help(file);
    read_all(file, text, sizeof text);
    contains_all(text, "-");
    assert_non_null(strstr(text, "(default 10)"));
    assert_non_null(strstr(text, "(default robot)"));
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_in_range(strcspn(line, "\n"), 0, 79);
}

static bool is_option(const char *words) {
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char option[64];
        written(option, members[i], "\\-");
        size_t length = strlen(option);
        if (strncmp(words, option, length) == 0 && strchr(" \n", words[length]) != NULL)
            return true;
    }
    return false;
}

/* Each paragraph about an option has one as its heading. */
static void heads_only_options(const char *text) {
    static const char heading[] = "\n.TP\n.B";
    unsigned count = 0;
    for (const char *at = strstr(text, heading); at != NULL; at = strstr(at + 1, heading)) {
        const char *words = at + strlen(heading);
        words += strcspn(words, " ") + 1;
        if (strncmp(words, "\\-", 2) != 0)
            continue;
        if (!is_option(words))
            fail_msg("the man page has a paragraph about what is no option: %.30s", words);
        count++;
    }
    assert_int_equal(count, sizeof members / sizeof members[0]);
}

static void tells_number(const char *text, const char *member, uint64_t low, uint64_t high,
                         uint64_t preset) {
    char heading[80] = "\n.BI ";
    written(heading + strlen(heading), member, "\\-");
    man_page_tells(text, heading, low, high, preset);
}

/* Bounds and defaults of the options that are numbers. */
static void tells_numbers(const char *text) {
#define TELL_text(...)
#define TELL_flag(...)
#define TELL_number(member, low, high, preset) tells_number(text, #member, low, high, preset);
#define TELL(kind, member, argument, preset, low, high, prose)                                     \
    TELL_##kind(member, low, high, preset)
    OPTIONS(TELL)
}

static void the_man_page_tells_of_every_option(void **state) {
    (void)state;
    char text[32768];
    FILE *file = fopen(MAN_PAGE, "r");
    if (file == NULL)
        fail_msg("%s cannot be read: run this from the project's top folder", MAN_PAGE);
    read_all(file, text, sizeof text);
    contains_all(text, "\\-");
    heads_only_options(text);
    tells_numbers(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(defaults, remove_directory),
        cmocka_unit_test_setup(values_are_taken, remove_directory),
        cmocka_unit_test_teardown(the_command_line_comes_before_the_environment, remove_directory),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_misspelt_option_is_answered_with_the_nearest),
        cmocka_unit_test(help_shows_every_option),
        cmocka_unit_test(the_man_page_tells_of_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
