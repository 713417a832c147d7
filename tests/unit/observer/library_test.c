/* Libraries that are loaded by name: a real one, that nothing else in this program needs. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sndfile.h>

#include "observer/library.h"

#ifndef CLIPS_LIBRARY
#define CLIPS_LIBRARY "libsndfile.so.1"
#endif

#define FUNCTIONS(X) X(sf_error_number) X(sf_version_string)

struct sndfile {
    FUNCTIONS(LIBRARY_POINTER)
};

static const char *const names[] = {FUNCTIONS(LIBRARY_NAME) NULL};

static bool is_loaded(void) {
    void *library = dlopen(CLIPS_LIBRARY, RTLD_NOW | RTLD_NOLOAD);
    library_close(library);
    return library != NULL;
}

static void its_functions_can_be_called(void **state) {
    struct sndfile sndfile;
    (void)state;
    void *library = library_open(CLIPS_LIBRARY, names, &sndfile);
    assert_non_null(library);
    assert_memory_equal(sndfile.sf_version_string(), "libsndfile", 10);
    void *expected = dlsym(library, "sf_error_number");
    assert_memory_equal(&sndfile.sf_error_number, &expected, sizeof expected);
    library_close(library);
}

static void the_last_user_unloads_it(void **state) {
    struct sndfile sndfile;
    (void)state;
    assert_false(is_loaded());
    void *first = library_open(CLIPS_LIBRARY, names, &sndfile);
    void *second = library_open(CLIPS_LIBRARY, names, &sndfile);
    library_close(first);
    assert_true(is_loaded());
    assert_memory_equal(sndfile.sf_version_string(), "libsndfile", 10);
    library_close(second);
    assert_false(is_loaded());
    library_close(NULL);
}

static void assert_refused(const char *file, const char *const *wanted) {
    struct sndfile sndfile;
    struct sndfile before;
    memset(&sndfile, 0x5A, sizeof sndfile);
    before = sndfile;
    assert_null(library_open(file, wanted, &sndfile));
    assert_memory_equal(&sndfile, &before, sizeof before);
    assert_false(is_loaded());
}

static void what_is_missing_changes_nothing(void **state) {
    static const char *const newer[] = {"sf_version_string", "sf_of_the_next_century", NULL};
    (void)state;
    assert_refused("libof-the-next-century.so.1", names);
    assert_refused(CLIPS_LIBRARY, newer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_functions_can_be_called),
        cmocka_unit_test(the_last_user_unloads_it),
        cmocka_unit_test(what_is_missing_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
