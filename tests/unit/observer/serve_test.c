/* When visitors must show the token. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "observer/serve.h"

static struct options with(const char *host, unsigned require) {
    struct options options = {.require_token = require};
    options.allow_host.count = host != NULL;
    return options;
}

static void the_token_is_needed_beyond_loopback(void **state) {
    const struct {
        const char *open_address;
        const char *host;
        enum options_require_token require;
        bool needs;
    } cases[] = {
        {NULL, NULL, OPTIONS_TOKEN_AUTO, false},
        {"192.0.2.7:8080", NULL, OPTIONS_TOKEN_AUTO, true},
        {NULL, "robots.example.org", OPTIONS_TOKEN_AUTO, true},
        {NULL, NULL, OPTIONS_TOKEN_ALWAYS, true},
        {"0.0.0.0:8080", NULL, OPTIONS_TOKEN_ALWAYS, true},
        {NULL, NULL, OPTIONS_TOKEN_NEVER, false},
        {NULL, "robots.example.org", OPTIONS_TOKEN_NEVER, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct options options = with(cases[i].host, cases[i].require);
        struct omni_problem problem;
        bool needs = !cases[i].needs;
        assert_int_equal(serve_needs_token(&needs, &options, cases[i].open_address, &problem), 0);
        if (needs != cases[i].needs)
            fail_msg("case %zu: %d, expected %d", i, needs, cases[i].needs);
    }
}

static void an_open_door_is_refused(void **state) {
    struct options options = with(NULL, OPTIONS_TOKEN_NEVER);
    struct omni_problem problem;
    bool needs = true;
    (void)state;
    assert_int_equal(serve_needs_token(&needs, &options, "192.0.2.7:8080", &problem), -EINVAL);
    assert_true(needs);
    assert_non_null(strstr(problem.text, "--require-token never"));
    assert_non_null(strstr(problem.text, "192.0.2.7:8080"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_token_is_needed_beyond_loopback),
        cmocka_unit_test(an_open_door_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
