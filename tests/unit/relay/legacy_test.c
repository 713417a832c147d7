/* The predecessor's file: its defaults, its names, and what is wrong with it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "relay/legacy.h"

static int parse(struct routes *routes, const char *text, struct omni_problem *problem) {
    return legacy_parse(routes, text, strlen(text), "udrv.json", problem);
}

#define PLACE "\"file\": {\"ihub-irq-dev\": {\"path\": \"/run/irq\"}, \"other\": 5}"
#define REGS(regs)                                                                                 \
    "{" PLACE ", \"misc\": {\"ihub_config_dev\": {\"regs\": {" regs "}, \"more\": []}}}"

static void check_route(const struct route *route, const char *when, const char *then,
                        const char *text) {
    assert_string_equal(route->when.name, when);
    assert_string_equal(route->then.name, then);
    assert_int_equal(route->when.kind, text != NULL ? ROUTE_FRAME : ROUTE_FILE);
    assert_int_equal(route->then.kind, text != NULL ? ROUTE_FILE : ROUTE_FRAME);
    if (text != NULL)
        assert_string_equal(route->text, text);
    else
        assert_null(route->text);
}

/* The files that a config gives, in the order of the predecessor's list. */
static void gives(const char *config, const char *const files[3]) {
    struct routes routes;
    struct omni_problem problem = {""};
    if (parse(&routes, config, &problem) < 0)
        fail_msg("%s", problem.text);
    assert_string_equal(routes.directory, "/run/irq");
    assert_int_equal(routes.ethertype, 0x8800);
    assert_memory_equal(routes.destination, "\xff\xff\xff\xff\xff\xff", 6);
    assert_true(routes.makes_files);
    assert_int_equal(routes.count, 3);
    check_route(&routes.items[0], files[0], "redun_notify_irq", NULL);
    check_route(&routes.items[1], "ihub_hwwd_irq", files[1], "1");
    check_route(&routes.items[2], "ihub_reset_irq", files[2], "1");
    routes_free(&routes);
}

static void names_are_behind_the_first_dot(void **state) {
    (void)state;
    gives(REGS("\"redun_notify_trig\": {\"reg\": \"ihub.six\", \"width\": 1},"
               "\"ihub_hwwd_irq\": {\"reg\": \".five\"},"
               "\"ihub_reset_irq\": {\"reg\": \"a.four.b\"}, \"another\": {\"reg\": 7}"),
          (const char *const[]){"six", "five", "four"});
}

static void what_is_missing_has_the_predecessors_name(void **state) {
    (void)state;
    static const char *const usual[] = {"message_6_trig", "message_5_state", "message_4_state"};
    gives("{" PLACE "}", usual);
    gives("{" PLACE ", \"misc\": {\"ihub_config_dev\": {}}}", usual);
    gives(REGS(""), usual);
    gives(REGS("\"redun_notify_trig\": {}, \"ihub_hwwd_irq\": {\"reg\": \"nodot\"},"
               "\"ihub_reset_irq\": {\"reg\": \"end.\"}"),
          usual);
    gives(REGS("\"redun_notify_trig\": {\"reg\": \"\"}"), usual);
}

static void mistakes_are_told_with_their_place(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *said;
    } mistakes[] = {
        {"{}", "udrv.json: file: is missing: file.ihub-irq-dev.path says where"},
        {"{\"file\": {\"ihub-irq-dev\": {}}}", "udrv.json: file.ihub-irq-dev.path: is missing"},
        {"{\"file\": {\"ihub-irq-dev\": {\"path\": 3}}}",
         "udrv.json: file.ihub-irq-dev.path: must be a string"},
        {"{\"file\": {\"ihub-irq-dev\": {\"path\": \"here\"}}}",
         "udrv.json: file.ihub-irq-dev.path: \"here\" must be the whole path"},
        {REGS("\"ihub_hwwd_irq\": {\"reg\": 5}"),
         "udrv.json: misc.ihub_config_dev.regs.ihub_hwwd_irq.reg: must be a string"},
        {REGS("\"ihub_hwwd_irq\": {\"reg\": \"x.a/b\"}"),
         "udrv.json: misc.ihub_config_dev.regs.ihub_hwwd_irq.reg: \"x.a/b\": what stands behind"},
        {"{\"file\": []}", "udrv.json: file: must be an object"},
        {"{" PLACE ", \"misc\": 5}", "udrv.json: misc: must be an object"},
        {REGS("\"ihub_hwwd_irq\": \"x.five\""),
         "udrv.json: misc.ihub_config_dev.regs.ihub_hwwd_irq: must be an object"},
        {"{\"directory\": \"/r\", \"routes\": []}",
         "udrv.json: file: is missing: file.ihub-irq-dev.path says where the files are; a file "
         "with routes is named with --config"},
        {"[1]", "udrv.json: this is not a JSON object"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct routes routes = {.count = 77};
        struct omni_problem problem = {""};
        assert_int_equal(parse(&routes, mistakes[i].text, &problem), -EINVAL);
        if (strstr(problem.text, mistakes[i].said) != problem.text)
            fail_msg("\"%s\" does not begin with \"%s\"", problem.text, mistakes[i].said);
        assert_int_equal(routes.count, 77);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_behind_the_first_dot),
        cmocka_unit_test(what_is_missing_has_the_predecessors_name),
        cmocka_unit_test(mistakes_are_told_with_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
