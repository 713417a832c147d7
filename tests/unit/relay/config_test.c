/* The config file: what it gives, and that each mistake is told with its place. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "relay/config.h"

static int parse(struct routes *routes, const char *text, struct omni_problem *problem) {
    return config_parse(routes, text, strlen(text), "relay.json", problem);
}

static const char whole[] =
    "{\"directory\": \"/run/relay//\", \"ethertype\": \"0x88B5\",\n"
    " \"destination\": \"02:0a:Ff:00:00:01\", \"routes\": [\n"
    "  {\"when\": {\"file\": \"trigger\"}, \"then\": {\"frame\": \"go\"}},\n"
    "  {\"when\": {\"frame\": \"stop\"}, \"then\": {\"file\": \"state\", \"text\": \"1\\n\"}},\n"
    "  {\"when\": {\"frame\": \"stop\"}, \"then\": {\"frame\": \"stopped\"}},\n"
    "  {\"then\": {\"text\": \"2\", \"file\": \"copy\"}, \"when\": {\"file\": \"other\"}}]}";

static void all_is_taken(void **state) {
    (void)state;
    struct routes routes;
    struct omni_problem problem = {""};
    if (parse(&routes, whole, &problem) < 0)
        fail_msg("%s", problem.text);
    assert_string_equal(routes.directory, "/run/relay");
    assert_int_equal(routes.ethertype, 0x88b5);
    assert_memory_equal(routes.destination, "\x02\x0a\xff\x00\x00\x01", 6);
    assert_false(routes.makes_files);
    assert_int_equal(routes.count, 4);
    assert_int_equal(routes.items[0].when.kind, ROUTE_FILE);
    assert_string_equal(routes.items[0].when.name, "trigger");
    assert_string_equal(routes.items[0].when.place, "routes[0].when.file");
    assert_int_equal(routes.items[0].then.kind, ROUTE_FRAME);
    assert_string_equal(routes.items[0].then.name, "go");
    assert_null(routes.items[0].text);
    assert_string_equal(routes.items[1].text, "1\n");
    assert_string_equal(routes.items[3].then.place, "routes[3].then.file");
    assert_true(routes_has(&routes, ROUTE_FRAME, "stop", 4));
    assert_false(routes_has(&routes, ROUTE_FRAME, "stop", 3));
    assert_false(routes_has(&routes, ROUTE_FILE, "stop", 4));
    assert_false(routes_has(&routes, ROUTE_FILE, "state", 5));
    routes_free(&routes);
}

#define WITH(more) "{\"directory\": \"/r\", " more "}"
#define ROUTED(rest)                                                                               \
    "{" rest ", \"routes\": [{\"when\": {\"file\": \"a\"}, \"then\": {\"frame\": \"b\"}}]}"
#define ROUTES(list)      WITH("\"routes\": [" list "]")
#define ROUTE(when, then) "{\"when\": {" when "}, \"then\": {" then "}}"
#define FILE_(name)       "\"file\": \"" name "\""
#define FRAME_(name)      "\"frame\": \"" name "\""
#define TEXT_             ", \"text\": \"1\""

static void what_is_not_said_has_its_default(void **state) {
    (void)state;
    struct routes routes;
    struct omni_problem problem = {""};
    if (parse(&routes, ROUTED("\"directory\": \"/r\""), &problem) < 0)
        fail_msg("%s", problem.text);
    assert_int_equal(routes.ethertype, 0x8800);
    assert_memory_equal(routes.destination, "\xff\xff\xff\xff\xff\xff", 6);
    routes_free(&routes);
}

#define X10(text)  text text text text text text text text text text
#define X130(text) X10(X10(text)) X10(text) X10(text) X10(text)

static const struct {
    const char *text;
    const char *said;
} mistakes[] = {
    {"", "relay.json: line 1: this is not JSON: it ends too early"},
    {"{\"directory\": \"/r\",\n \"routes\": [\n",
     "relay.json: line 3: this is not JSON: it ends too early"},
    {"{\n\n\"a\":}", "relay.json: line 3: this is not JSON, from } on (a comma too many, or"},
    {"{\"a\": [1,\n ]}", "relay.json: line 2: this is not JSON, from ]} on (a comma too many"},
    {"{\"a\": 1\n \"b\": 2}",
     "relay.json: line 2: this is not JSON, from \"b\": 2} on (a comma or"},
    {"{\n // why\n}",
     "relay.json: line 2: this is not JSON, from // why on (JSON has no comments)"},
    {"{'a': 1}", "relay.json: line 1: this is not JSON, from 'a': 1} on (strings are in double"},
    {"{\"a\": 1,\n}", "relay.json: line 2: this is not JSON, from } on (a comma too many, or"},
    {"{\"directory\": /r}", "relay.json: line 1: this is not JSON, from /r} on (strings are in"},
    {"{\x1b[2J", "relay.json: line 1: this is not JSON"},
    {"{} {}", "relay.json: line 1: this is not JSON, from {} on"},
    {"{\"file\": {\"ihub-irq-dev\": {\"path\": \"/r\"}}}",
     "relay.json: this is the predecessor's file, not one for --config; type: "
     "UDRV_JSON_PATH=relay.json omni-relay INTERFACE"},
    {"[]", "relay.json: this is not a JSON object"},
    {"{}", "relay.json: the key \"directory\" is missing"},
    {WITH("\"routs\": []"),
     "relay.json: unknown key \"routs\"; there are: directory, ethertype, destination, routes"},
    {WITH("\"\\u001b[2J\": 1"), "relay.json: unknown key \"(not printable)\""},
    {"{\"directory\": \"/r\"}", "relay.json: the key \"routes\" is missing"},
    {"{\"directory\": \"/r\", \"directory\": \"/s\"}", "relay.json: directory: is there twice"},
    {ROUTED("\"directory\": \"run\""), "relay.json: directory: \"run\" must be the whole path"},
    {ROUTED("\"directory\": \"/\""), "relay.json: directory: \"/\" must be the whole path"},
    {ROUTED("\"directory\": \"\""), "relay.json: directory: must not be empty"},
    {ROUTED("\"directory\": 5"), "relay.json: directory: must be a string"},
    {ROUTED("\"ethertype\": \"0x05ff\""), "relay.json: ethertype: must be an EtherType"},
    {ROUTED("\"ethertype\": 8800"), "relay.json: ethertype: must be an EtherType, a string"},
    {ROUTED("\"ethertype\": 34816"), "relay.json: ethertype: must be"},
    {ROUTED("\"ethertype\": \"8800\""), "relay.json: ethertype: must be"},
    {ROUTED("\"ethertype\": \"0x88zz\""), "relay.json: ethertype: must be"},
    {ROUTED("\"ethertype\": null"), "relay.json: ethertype: must be"},
    {ROUTED("\"destination\": \"ff:ff:ff:ff:ff\""), "relay.json: destination: must be an Ethernet"},
    {ROUTED("\"destination\": \"ff:ff:ff:ff:ff:fg\""), "relay.json: destination: must be"},
    {ROUTED("\"destination\": \"ff-ff-ff-ff-ff-ff\""), "relay.json: destination: must be"},
    {ROUTED("\"destination\": []"), "relay.json: destination: must be"},
    {WITH("\"routes\": []"), "relay.json: routes: must be a list of routes, and not empty"},
    {WITH("\"routes\": {}"), "relay.json: routes: must be a list"},
    {ROUTES("5"), "relay.json: routes[0]: must be an object"},
    {ROUTES("{}"), "relay.json: routes[0]: the key \"when\" is missing"},
    {ROUTES("{\"when\": {\"file\": \"a\"}}"), "relay.json: routes[0]: the key \"then\" is missing"},
    {ROUTES("{\"if\": 1}"), "relay.json: routes[0]: unknown key \"if\"; there are: when, then"},
    {ROUTES(ROUTE("", FRAME_("b"))), "relay.json: routes[0].when: the key \"file\" or \"frame\""},
    {ROUTES(ROUTE(FILE_("a"), "")), "relay.json: routes[0].then: the key \"file\" or \"frame\""},
    {ROUTES(ROUTE(FILE_("a") ", " FRAME_("c"), FRAME_("b"))),
     "relay.json: routes[0].when.frame: either a file or a frame, not both"},
    {ROUTES(ROUTE(FILE_("a") TEXT_, FRAME_("b"))),
     "relay.json: routes[0].when: unknown key \"text\"; there are: file, frame"},
    {ROUTES(ROUTE(FILE_("a"), FILE_("b"))), "relay.json: routes[0].then: the key \"text\" is miss"},
    {ROUTES(ROUTE(FILE_("a"), FRAME_("b") TEXT_)), "relay.json: routes[0].then: \"text\" is for a"},
    {ROUTES(ROUTE("\"file\": 1", FRAME_("b"))),
     "relay.json: routes[0].when.file: must be a string"},
    {ROUTES(ROUTE(FILE_("../a"), FRAME_("b"))),
     "relay.json: routes[0].when.file: \"../a\" must be"},
    {ROUTES(ROUTE(FILE_(".."), FRAME_("b"))), "relay.json: routes[0].when.file: \"..\" must be"},
    {ROUTES(ROUTE(FILE_("a\\nb"), FRAME_("b"))), "relay.json: routes[0].when.file: has characters"},
    {ROUTES(ROUTE(FILE_("a"), FRAME_(""))), "relay.json: routes[0].then.frame: must not be empty"},
    {ROUTES(ROUTE(FILE_("a"), FRAME_(X130("x")))),
     "relay.json: routes[0].then.frame: is 130 bytes long; at most 128"},
    {ROUTES(ROUTE(FILE_("a"), FRAME_("b\\u0000c"))), "relay.json: line 1: a zero byte"},
    {ROUTES(ROUTE(FRAME_("a"), FILE_("b") ", \"text\": \"\\u001b\"")),
     "relay.json: routes[0].then.text: has characters"},
    /* what leads back */
    {ROUTES(ROUTE(FILE_("a"), FILE_("a") TEXT_)),
     "relay.json: routes[0].then.file: a loop: \"a\" leads back to where it comes from "
     "(routes[0]"},
    {ROUTES(ROUTE(FRAME_("a"), FRAME_("a"))), "relay.json: routes[0].then.frame: a loop"},
    {ROUTES(ROUTE(FILE_("a"), FRAME_("a")) "," ROUTE(FRAME_("a"), FILE_("a") TEXT_)),
     "relay.json: routes[1].then.file: a loop: \"a\" leads back to where it comes from "
     "(routes[0].when.file)"},
    {ROUTES(ROUTE(FRAME_("z"), FRAME_("a")) "," ROUTE(FRAME_("a"), FRAME_("b")) "," ROUTE(
         FRAME_("b"), FRAME_("c")) "," ROUTE(FRAME_("c"), FRAME_("a"))),
     "relay.json: routes[3].then.frame: a loop: \"a\" leads back to where it comes from "
     "(routes[1].when.frame)"},
    {ROUTES(ROUTE(FILE_("a"), FRAME_("b")) "," ROUTE(FILE_("a"), FRAME_("b"))),
     "relay.json: routes[1].when.file: this route is there already, see routes[0].when.file"},
};

static void mistakes_are_told_with_their_place(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct routes routes = {.count = 77};
        struct omni_problem problem = {""};
        if (parse(&routes, mistakes[i].text, &problem) >= 0)
            fail_msg("taken: %s", mistakes[i].text);
        if (strstr(problem.text, mistakes[i].said) != problem.text)
            fail_msg("\"%s\" does not begin with \"%s\"", problem.text, mistakes[i].said);
        assert_int_equal(routes.count, 77);
    }
}

static void ways_that_meet_are_no_loop(void **state) {
    (void)state;
    static const char text[] =
        ROUTES(ROUTE(FILE_("a"), FRAME_("b")) "," ROUTE(FRAME_("b"), FRAME_("d")) "," ROUTE(
            FILE_("a"), FRAME_("c")) "," ROUTE(FRAME_("c"), FRAME_("d")) "," ROUTE(FRAME_("d"),
                                                                                   FILE_("e")
                                                                                       TEXT_));
    struct routes routes;
    struct omni_problem problem = {""};
    if (parse(&routes, text, &problem) < 0)
        fail_msg("%s", problem.text);
    assert_int_equal(routes.count, 5);
    routes_free(&routes);
}

/* So many routes in a chain, the last one too many. */
static void the_number_of_routes_is_bounded(void **state) {
    (void)state;
    enum { BYTES = 64 * 1024 };
    char *text = malloc(BYTES);
    assert_non_null(text);
    for (unsigned count = ROUTES_MAX; count <= ROUTES_MAX + 1; count++) {
        struct routes routes;
        struct omni_problem problem = {""};
        int length = snprintf(text, BYTES, "{\"directory\": \"/r\", \"routes\": [");
        for (unsigned i = 0; i < count; i++)
            length += snprintf(text + length, (size_t)(BYTES - length),
                               "%s{\"when\": {\"frame\": \"f%u\"}, \"then\": {\"frame\": \"f%u\"}}",
                               i > 0 ? "," : "", i, i + 1);
        (void)snprintf(text + length, (size_t)(BYTES - length), "]}");
        int error = parse(&routes, text, &problem);
        assert_int_equal(error, count <= ROUTES_MAX ? 0 : -E2BIG);
        if (error == 0)
            routes_free(&routes);
        else
            assert_string_equal(problem.text,
                                "relay.json: routes[256]: is one too many: at most 256 routes");
    }
    free(text);
}

static void a_file_is_read(void **state) {
    (void)state;
    char path[] = "/tmp/relay-config-XXXXXX";
    struct routes routes;
    struct omni_problem problem = {""};
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, whole, sizeof whole - 1), sizeof whole - 1);
    (void)close(file);
    assert_int_equal(config_read(&routes, path, &problem), 0);
    assert_string_equal(routes.origin, path);
    routes_free(&routes);
    assert_int_equal(truncate(path, (off_t)2 * 1024 * 1024), 0);
    assert_int_equal(config_read(&routes, path, &problem), -EFBIG);
    assert_non_null(strstr(problem.text, "is larger than 1 MiB"));
    (void)unlink(path);
    assert_int_equal(config_read(&routes, path, &problem), -ENOENT);
    assert_non_null(strstr(problem.text, "cannot be read: No such file"));
    assert_int_equal(config_read(&routes, "/", &problem), -EIO);
    assert_non_null(strstr(problem.text, "cannot be read: Is a directory"));
}

static void the_list_is_shown(void **state) {
    (void)state;
    char *shown = NULL;
    size_t length = 0;
    struct routes routes;
    struct omni_problem problem = {""};
    assert_int_equal(parse(&routes, whole, &problem), 0);
    FILE *file = open_memstream(&shown, &length);
    routes_print(&routes, "rpmsg4000", file);
    (void)fclose(file);
    assert_string_equal(shown, "interface    rpmsg4000\n"
                               "ethertype    0x88b5\n"
                               "destination  02:0a:ff:00:00:01\n"
                               "directory    /run/relay\n"
                               "file \"trigger\" -> frame \"go\"\n"
                               "frame \"stop\" -> write \"1\\u000a\" to file \"state\"\n"
                               "frame \"stop\" -> frame \"stopped\"\n"
                               "file \"other\" -> write \"2\" to file \"copy\"\n");
    free(shown);
    routes_free(&routes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_taken),
        cmocka_unit_test(what_is_not_said_has_its_default),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(ways_that_meet_are_no_loop),
        cmocka_unit_test(the_number_of_routes_is_bounded),
        cmocka_unit_test(a_file_is_read),
        cmocka_unit_test(the_list_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
