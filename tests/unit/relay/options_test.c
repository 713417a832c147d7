/* The command line, and that the man page knows every option. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/options.h"

#define WORDS_MAX 8
#define MAN_PAGE  "docs/man/omni-relay.1"

static char words_kept[WORDS_MAX][64];

static char *keep(int index, const char *word) {
    (void)snprintf(words_kept[index], sizeof words_kept[index], "%s", word);
    return words_kept[index];
}

static int parse(struct options *options, const char *const *words, struct omni_problem *problem) {
    char *argv[WORDS_MAX + 1] = {keep(0, "omni-relay")};
    int argc = 1;
    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = keep(argc, words[argc - 1]);
    return options_parse(options, argc, argv, problem);
}

static int clear_environment(void **state) {
    (void)state;
    (void)unsetenv("UDRV_JSON_PATH");
    return unsetenv("OMNI_DIRECTORY");
}

static void values_are_taken(void **state) {
    (void)state;
    struct options options;
    struct omni_problem problem;
    assert_int_equal(parse(&options,
                           (const char *const[]){"--interface", "rpmsg4000", "--config=a.json",
                                                 "--name", "left", "--directory", "/d", NULL},
                           &problem),
                     0);
    assert_string_equal(options.interface, "rpmsg4000");
    assert_string_equal(options.config, "a.json");
    assert_string_equal(options.name, "left");
    assert_string_equal(options.directory, "/d");
    assert_null(options.legacy);
    assert_false(options.dry_run);
}

static void the_predecessors_way_works(void **state) {
    (void)state;
    struct options options;
    struct omni_problem problem;
    assert_int_equal(setenv("UDRV_JSON_PATH", "udrv.json", 1), 0);
    assert_int_equal(parse(&options, (const char *const[]){"rpmsg4000", NULL}, &problem), 0);
    assert_string_equal(options.interface, "rpmsg4000");
    assert_string_equal(options.legacy, "udrv.json");
    assert_string_equal(options.name, "relay");
    assert_int_equal(
        parse(&options, (const char *const[]){"rpmsg4000", "--config", "a.json", NULL}, &problem),
        0);
    assert_null(options.legacy);
}

static void the_environment_names_the_directory(void **state) {
    (void)state;
    struct options options;
    struct omni_problem problem;
    assert_int_equal(setenv("OMNI_DIRECTORY", "/two", 1), 0);
    assert_int_equal(
        parse(&options, (const char *const[]){"--config", "c", "--dry-run", NULL}, &problem), 0);
    assert_string_equal(options.directory, "/two");
    assert_true(options.dry_run);
    assert_null(options.interface);
}

static void mistakes_are_named(void **state) {
    (void)state;
    static const struct {
        const char *words[WORDS_MAX - 1];
        const char *said;
    } mistakes[] = {
        {{NULL}, "what leads to what? name a file: omni-relay --interface rpmsg4000 --config"},
        {{"rpmsg4000"},
         "what leads to what? name a file: omni-relay --interface rpmsg4000 --config relay.json "
         "(man "
         "omni-relay has an example), or the predecessor's: sudo UDRV_JSON_PATH=udrv.json "
         "omni-relay rpmsg4000"},
        {{"--config", "a"}, "which network interface? --interface INTERFACE; ip -br link"},
        {{"--config"}, "--config needs a value"},
        {{"--config", "", "e"}, "--config needs a value that is not empty"},
        {{"--config", "a", "e", "f"}, "f: one interface only; a file is named with --config"},
        {{"--config", "a", "--interface", "e", "f"}, "f: --interface e was named already"},
        {{"--konfig", "a"}, "--konfig: no such option, or not with a value; there are --interface"},
        {{"--dry-run=yes"}, "--dry-run=yes: no such option, or not with a value"},
        {{"-i"}, "-i: no such option"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct options options;
        struct omni_problem problem = {""};
        memset(&options, 0x55, sizeof options);
        const struct options untouched = options;
        assert_int_equal(parse(&options, mistakes[i].words, &problem), -EINVAL);
        if (strstr(problem.text, mistakes[i].said) != problem.text)
            fail_msg("\"%s\" does not begin with \"%s\"", problem.text, mistakes[i].said);
        assert_memory_equal(&options, &untouched, sizeof options);
    }
}

/* "dry_run" → "--dry-run", or as the man page writes it: "\\-\\-dry\\-run". */
static void written(char text[64], const char *member, const char *dash) {
    int length = snprintf(text, 64, "%s%s", dash, dash);
    for (; *member != '\0'; member++) {
        const char letter[] = {*member, '\0'};
        length +=
            snprintf(text + length, 64 - (size_t)length, "%s", *member == '_' ? dash : letter);
    }
}

#define MEMBER_NAME(kind, member, argument, preset, prose) #member,
static const char *const members[] = {OPTIONS(MEMBER_NAME)};

static void contains_all(const char *text, const char *dash) {
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char option[64];
        written(option, members[i], dash);
        if (strstr(text, option) == NULL)
            fail_msg("%s is not there", option);
    }
}

static void help_and_the_man_page_know_all(void **state) {
    (void)state;
    static char text[32768];
    FILE *file = tmpfile();
    assert_non_null(file);
    options_print_help(file);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    contains_all(text, "-");
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_in_range(strcspn(line, "\n"), 0, 79);
    file = fopen(MAN_PAGE, "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    contains_all(text, "\\-");
    assert_non_null(strstr(text, "UDRV_JSON_PATH"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(values_are_taken, clear_environment),
        cmocka_unit_test_setup(the_predecessors_way_works, clear_environment),
        cmocka_unit_test_setup(the_environment_names_the_directory, clear_environment),
        cmocka_unit_test_setup(mistakes_are_named, clear_environment),
        cmocka_unit_test(help_and_the_man_page_know_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
