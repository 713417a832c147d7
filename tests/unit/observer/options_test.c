/* What the user wants: command line, environment, config file, help, and the man page that agrees.
 */
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

#include "observer/options.h"

#define ARGUMENTS_MAX 16
#define LIST(...)     ((const char *[]){__VA_ARGS__, NULL})
#define NOTHING       ((const char *[]){NULL})

/* ---- parsing ---- */

static struct options options; /* of the test that runs */
static struct omni_problem problem;

static int parse(const char *const *arguments, const char *const *environment) {
    char *argv[ARGUMENTS_MAX] = {(char[]){"omni-observer"}};
    int argc = 1;
    for (; arguments[argc - 1] != NULL; argc++) {
        assert_true(argc < ARGUMENTS_MAX - 1);
        argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
    }
    options_free(&options);
    memset(&options, 0, sizeof options);
    strcpy(problem.text, "nothing was said");
    return options_parse(&options, argc, argv, (char *const *)(uintptr_t)environment, &problem);
}

static void accept(const char *const *arguments, const char *const *environment) {
    int error = parse(arguments, environment);
    if (error != 0)
        fail_msg("refused with %d: %s", error, problem.text);
}

/* Refused, and the one line contains each of the pieces. */
static void refuse_saying(const char *const *arguments, const char *const *environment,
                          const char *const *pieces) {
    assert_int_equal(parse(arguments, environment), -EINVAL);
    assert_null(options.memory);
    assert_null(strchr(problem.text, '\n'));
    for (; *pieces != NULL; pieces++)
        if (strstr(problem.text, *pieces) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", problem.text, *pieces);
}

static int clean_up(void **state) {
    (void)state;
    options_free(&options);
    memset(&options, 0, sizeof options);
    return 0;
}

/* ---- a config file ---- */

static char config_path[] = "/tmp/omni-options-test.XXXXXX";

static int make_config(void **state) {
    (void)state;
    int file = mkstemp(config_path);
    return file < 0 ? -1 : close(file);
}

static int remove_config(void **state) {
    (void)state;
    return unlink(config_path);
}

static void write_config(const char *bytes, size_t length) {
    FILE *file = fopen(config_path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void configure(const char *text) {
    write_config(text, strlen(text));
}

/* ---- defaults ---- */

static void defaults(void **state) {
    (void)state;
    accept(NOTHING, LIST("HOME=/home/hen"));
    assert_int_equal(options.command, COMMAND_serve);
    assert_null(options.source);
    assert_string_equal(options.directory, "/dev/shm");
    assert_int_equal(options.listen.count, 1);
    assert_string_equal(options.listen.items[0], "127.0.0.1:8080");
    assert_null(options.listen.items[1]);
    assert_int_equal(options.allow_host.count, 0);
    assert_non_null(options.allow_host.items);
    assert_null(options.allow_host.items[0]);
    assert_int_equal(options.trust.count, 0);
    assert_int_equal(options.history, 3 * 1024 * 1024);
    assert_int_equal(options.max_clients, 1000);
    assert_int_equal(options.max_message, 4096);
    assert_int_equal(options.ping_interval, 5);
    assert_int_equal(options.blocked_timeout, 10);
    assert_int_equal(options.require_token, OPTIONS_TOKEN_AUTO);
    assert_null(options.config);
    assert_false(options.quiet);
    assert_int_equal(options.format, OPTIONS_FORMAT_JSON);
    assert_true(options.count == 0);
    assert_true(options.rate == 0);
    assert_false(options.sound);
    assert_string_equal(options.sound_device, "default");
    assert_int_equal(options.sound_volume, 80);
    assert_null(options.sound_dir);
    assert_true(options.sound_interval.low == 5);
    assert_true(options.sound_interval.high == 20);
}

static void token_file_follows_the_state_directory(void **state) {
    (void)state;
    accept(NOTHING, LIST("HOME=/home/hen"));
    assert_string_equal(options.token_file, "/home/hen/.local/state/omniscient/token");
    accept(NOTHING, LIST("HOME=/home/hen", "XDG_STATE_HOME=/state"));
    assert_string_equal(options.token_file, "/state/omniscient/token");
    accept(NOTHING, LIST("HOME=/home/hen", "XDG_STATE_HOME=relative"));
    assert_string_equal(options.token_file, "/home/hen/.local/state/omniscient/token");
    accept(NOTHING, NOTHING);
    assert_string_equal(options.token_file, "/var/lib/omniscient/token");
    accept(LIST("--token-file", "t"), LIST("HOME=/home/hen"));
    assert_string_equal(options.token_file, "t");
}

/* ---- the command line ---- */

static void all_ways_to_write_a_value(void **state) {
    static const char *const ways[][3] = {{"--directory", "/segments", NULL},
                                          {"--directory=/segments", NULL, NULL},
                                          {"-d", "/segments", NULL},
                                          {"-d/segments", NULL, NULL},
                                          {"-qd", "/segments", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        accept(ways[i], NOTHING);
        assert_string_equal(options.directory, "/segments");
    }
}

static void flags(void **state) {
    (void)state;
    accept(LIST("-q"), NOTHING);
    assert_true(options.quiet);
    accept(LIST("--quiet=no"), LIST("OMNI_QUIET=yes"));
    assert_false(options.quiet);
    refuse_saying(LIST("--quiet=maybe"), NOTHING, LIST("--quiet", "maybe", "yes or no"));
}

static void commands_and_their_sources(void **state) {
    (void)state;
    accept(LIST("list", "--json"), NOTHING);
    assert_int_equal(options.command, COMMAND_list);
    assert_true(options.json);
    accept(LIST("--rate", "0.5", "watch", "hen"), NOTHING);
    assert_int_equal(options.command, COMMAND_watch);
    assert_string_equal(options.source, "hen");
    assert_true(options.rate == 0.5);
    accept(LIST("dump", "-n", "9007199254740991", "--", "-hen"), NOTHING);
    assert_int_equal(options.command, COMMAND_dump);
    assert_string_equal(options.source, "-hen");
    assert_true(options.count == 9007199254740991);
    refuse_saying(LIST("watch"), NOTHING, LIST("watch needs a SOURCE", "omni-observer list"));
    refuse_saying(LIST("list", "hen"), NOTHING, LIST("unexpected", "\"hen\"", "list"));
    refuse_saying(LIST("watch", "a", "b"), NOTHING, LIST("unexpected", "\"b\""));
    refuse_saying(LIST("wach", "hen"), NOTHING, LIST("unknown command \"wach\"", "mean watch"));
    refuse_saying(LIST("robot"), NOTHING, LIST("unknown command \"robot\"", "--help"));
}

static void options_of_another_command_are_refused(void **state) {
    (void)state;
    refuse_saying(LIST("list", "--listen", "[::1]:1"), NOTHING, LIST("--listen is not for list"));
    refuse_saying(LIST("--follow"), NOTHING, LIST("--follow is not for serve"));
    refuse_saying(LIST("watch", "x", "--count", "3"), NOTHING, LIST("--count is not for watch"));
    refuse_saying(LIST("dump", "x", "--region", "file:/y"), NOTHING,
                  LIST("--region is not for dump", "omni-observer dump file:PATH"));
    refuse_saying(LIST("sound-test", "--region", "file:/y"), NOTHING,
                  LIST("--region is not for sound-test", "--help"));
    assert_null(strstr(problem.text, "sound-test file:"));
    accept(LIST("watch", "x", "--wait"), LIST("OMNI_COUNT=3"));
    assert_true(options.wait);
}

static void unknown_options_suggest_the_nearest(void **state) {
    (void)state;
    refuse_saying(LIST("--lisen", "x"), NOTHING, LIST("unknown option --lisen", "mean --listen?"));
    refuse_saying(LIST("--max-client=4"), NOTHING, LIST("--max-client;", "mean --max-clients?"));
    refuse_saying(LIST("--hist=4"), NOTHING, LIST("mean --history?"));
    refuse_saying(LIST("--max_clients=4"), NOTHING, LIST("mean --max-clients?"));
    refuse_saying(LIST("--xyzzy"), NOTHING, LIST("unknown option --xyzzy", "--help"));
    assert_null(strstr(problem.text, "mean"));
    refuse_saying(LIST("-x"), NOTHING, LIST("unknown option -x", "--help"));
    refuse_saying(LIST("--bad\nline\033[31m"), NOTHING, LIST("--bad?line?[31m"));
}

static void a_missing_value(void **state) {
    (void)state;
    refuse_saying(LIST("--listen"), NOTHING, LIST("--listen needs a value", "ADDRESS:PORT"));
    refuse_saying(LIST("--directory="), NOTHING, LIST("--directory", "empty"));
    refuse_saying(LIST("-l"), NOTHING, LIST("--listen needs a value"));
}

/* ---- values ---- */

static void sizes(void **state) {
    static const struct {
        const char *text;
        size_t bytes;
    } cases[] = {{"65536", 65536},     {"65536B", 65536},       {"64KiB", 65536},
                 {"64K", 65536},       {"3MiB", 3145728},       {"3M", 3145728},
                 {"1GiB", 1073741824}, {"1024MiB", 1073741824}, {"1G", 1073741824}};
    static const char *const wrong[] = {"",
                                        "KiB",
                                        "4 MiB",
                                        "4MB",
                                        "4mib",
                                        "-4MiB",
                                        "65535",
                                        "1025M",
                                        "2GiB",
                                        "1.5M",
                                        "0x10000",
                                        "99999999999999999999",
                                        "17179869184GiB"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        accept(LIST("--history", cases[i].text), NOTHING);
        assert_int_equal(options.history, cases[i].bytes);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refuse_saying(LIST("--history", wrong[i]), NOTHING, LIST("--history", "size"));
}

static void numbers(void **state) {
    static const char *const wrong[] = {"",    "0",  "-1", "+5",  "100001",
                                        "1.5", "5x", " 5", "1e3", "99999999999999999999999"};
    (void)state;
    accept(LIST("--max-clients", "1"), NOTHING);
    assert_int_equal(options.max_clients, 1);
    accept(LIST("--max-clients", "100000"), NOTHING);
    assert_int_equal(options.max_clients, 100000);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refuse_saying(LIST("--max-clients", wrong[i]), NOTHING,
                      LIST("--max-clients", "a whole number from 1 to 100000"));
    refuse_saying(LIST("watch", "x", "--rate", "0"), NOTHING, LIST("a number from 0.01 to 100"));
    refuse_saying(LIST("watch", "x", "--rate", "nan"), NOTHING, LIST("a number from 0.01 to 100"));
}

static void addresses(void **state) {
    static const char *const right[] = {"127.0.0.1:8080", "0.0.0.0:0",   "[::1]:8080",
                                        "[::]:65535",     "localhost:1", "[fe80::1%eth0]:80"};
    static const char *const wrong[] = {"",           "8080",           ":8080",
                                        "127.0.0.1",  "1.2.3:80",       "::1:8080",
                                        "[::1]",      "[::1:8080",      "[1.2.3.4]:1",
                                        "1.2.3.4:",   "host:8080",      "1.2.3.4:65536",
                                        "1.2.3.4:+1", "1.2.3.4:000080", "[]:80"};
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        accept(LIST("--listen", right[i]), NOTHING);
        assert_int_equal(options.listen.count, 1);
        assert_string_equal(options.listen.items[0], right[i]);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refuse_saying(LIST("--listen", wrong[i]), NOTHING,
                      LIST("--listen", "address and port", "127.0.0.1:8080"));
}

static void a_name_on_the_network(void **state) {
    static const char longest[] = "--announce=0123456789012345678901234567890123456789"
                                  "01234567890123456789012";
    (void)state;
    accept(NOTHING, NOTHING);
    assert_true(options.announce.on);
    assert_null(options.announce.name);
    accept(LIST("--announce=H\u00fchner im Stall, oben"), NOTHING);
    assert_string_equal(options.announce.name, "H\u00fchner im Stall, oben");
    accept(LIST("--announce"), LIST("OMNI_ANNOUNCE=no"));
    assert_true(options.announce.on);
    accept(NOTHING, LIST("OMNI_ANNOUNCE=no"));
    assert_false(options.announce.on);
    accept(LIST(longest), NOTHING);
    assert_int_equal(strlen(options.announce.name), 63);
    static const char *const wrong[] = {
        "--announce=", "--announce=a\nb", "--announce=\xff",
        "--announce=0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refuse_saying(LIST(wrong[i]), NOTHING, LIST("--announce", "a name of 1 to 63 bytes"));
    configure("{\"announce\": 1}");
    refuse_saying(LIST("--config", config_path), NOTHING, LIST("true, false or a name"));
}

static void a_flag_may_have_a_name(void **state) {
    (void)state;
    accept(NOTHING, NOTHING);
    assert_false(options.host_source.on);
    assert_string_equal(options.host_root, "/");
    accept(LIST("--host-source", "serve"), NOTHING); /* what follows is not its value */
    assert_true(options.host_source.on);
    assert_null(options.host_source.name);
    accept(LIST("--host-source=bench"), LIST("OMNI_HOST_SOURCE=other"));
    assert_true(options.host_source.on);
    assert_string_equal(options.host_source.name, "bench");
    accept(LIST("--host-source=no"), LIST("OMNI_HOST_SOURCE=other"));
    assert_false(options.host_source.on);
    accept(NOTHING, LIST("OMNI_HOST_SOURCE=other"));
    assert_string_equal(options.host_source.name, "other");
    configure("{\"host-source\": true}");
    accept(LIST("--config", config_path), NOTHING);
    assert_true(options.host_source.on);
    configure("{\"host-source\": \"bench\"}");
    accept(LIST("--config", config_path), NOTHING);
    assert_string_equal(options.host_source.name, "bench");
    configure("{\"host-source\": 1}");
    refuse_saying(LIST("--config", config_path), NOTHING, LIST("true, false or a name"));
    refuse_saying(LIST("--host-source=a/b"), NOTHING, LIST("--host-source", "a source's name"));
    refuse_saying(LIST("--host-source="), NOTHING, LIST("--host-source", "a source's name"));
    refuse_saying(LIST("--host-source", "list"), NOTHING, LIST("not for list"));
}

static void regions(void **state) {
    (void)state;
    accept(LIST("--region", "file:/a,b", "-R", "devmem:4096+64KiB", "list"), NOTHING);
    assert_int_equal(options.region.count, 2);
    assert_string_equal(options.region.items[0], "file:/a,b");
    assert_string_equal(options.region.items[1], "devmem:4096+64KiB");
    accept(NOTHING, LIST("OMNI_REGION=file:/a,pci:0000:00:04.0/resource2"));
    assert_int_equal(options.region.count, 2);
    assert_string_equal(options.region.items[1], "pci:0000:00:04.0/resource2");
    accept(NOTHING, NOTHING);
    assert_int_equal(options.region.count, 0);
    refuse_saying(LIST("--region", "tape:0"), NOTHING, LIST("--region", "file:PATH"));
    refuse_saying(LIST("--region", "pci:4/resource2"), NOTHING, LIST("--region", "lspci -D"));
    refuse_saying(LIST("--region", "robot"), NOTHING, LIST("--region", "--directory"));
    refuse_saying(LIST("--region", "file:/a", "dump", "robot"), NOTHING, LIST("not for dump"));
}

static void lists_grow_in_one_place_and_replace_those_below(void **state) {
    (void)state;
    accept(LIST("-l", "127.0.0.1:1", "-l", "[::1]:2"), LIST("OMNI_LISTEN=127.0.0.1:3"));
    assert_int_equal(options.listen.count, 2);
    assert_string_equal(options.listen.items[0], "127.0.0.1:1");
    assert_string_equal(options.listen.items[1], "[::1]:2");
    assert_null(options.listen.items[2]);
    accept(NOTHING, LIST("OMNI_LISTEN=127.0.0.1:3,[::1]:4", "OMNI_ALLOW_HOST=a.example,b"));
    assert_int_equal(options.listen.count, 2);
    assert_string_equal(options.listen.items[1], "[::1]:4");
    assert_int_equal(options.allow_host.count, 2);
    assert_string_equal(options.allow_host.items[0], "a.example");
    refuse_saying(NOTHING, LIST("OMNI_LISTEN=127.0.0.1:3,"), LIST("OMNI_LISTEN", "address"));
}

static void users(void **state) {
    (void)state;
    accept(LIST("--trust", "root", "--trust", "12345"), NOTHING);
    assert_int_equal(options.trust.count, 2);
    assert_int_equal(options.trust.items[0], 0);
    assert_int_equal(options.trust.items[1], 12345);
    refuse_saying(LIST("--trust", "no such user"), NOTHING, LIST("--trust", "not a user"));
    refuse_saying(LIST("--trust", "4294967295"), NOTHING, LIST("--trust", "not a user"));
    refuse_saying(LIST("--trust", "12x"), NOTHING, LIST("--trust", "not a user"));
}

static void choices(void **state) {
    (void)state;
    accept(LIST("--require-token", "never"), NOTHING);
    assert_int_equal(options.require_token, OPTIONS_TOKEN_NEVER);
    accept(LIST("--require-token=always"), NOTHING);
    assert_int_equal(options.require_token, OPTIONS_TOKEN_ALWAYS);
    accept(LIST("dump", "x", "--format", "csv"), NOTHING);
    assert_int_equal(options.format, OPTIONS_FORMAT_CSV);
    refuse_saying(LIST("--require-token", "a"), NOTHING, LIST("one of auto|always|never"));
    refuse_saying(LIST("--require-token", ""), NOTHING, LIST("one of auto|always|never"));
    refuse_saying(LIST("--require-token", "auto|"), NOTHING, LIST("one of auto|always|never"));
}

static void spans(void **state) {
    static const struct {
        const char *text;
        double low, high;
    } cases[] = {{"5-20", 5, 20}, {"7", 7, 7}, {"0.1-3600", 0.1, 3600}, {"2.5-2.5", 2.5, 2.5}};
    static const char *const wrong[] = {"",      "-",      "5-",    "-5",    "20-5",
                                        "0-5",   "5-3601", "5--6",  "5-6-7", "5 - 20",
                                        "5-20s", "nan-5",  "5-inf", "+5-6",  "5-0x20x"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        accept(LIST("--sound-interval", cases[i].text), NOTHING);
        assert_true(options.sound_interval.low == cases[i].low);
        assert_true(options.sound_interval.high == cases[i].high);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refuse_saying(LIST("--sound-interval", wrong[i]), NOTHING,
                      LIST("--sound-interval", "like 5-20", "from 0.1 to 3600"));
}

static void sounds(void **state) {
    (void)state;
    accept(LIST("--sound", "--sound-device", "hw:1", "--sound-dir=/hens"),
           LIST("OMNI_SOUND_VOLUME=0"));
    assert_true(options.sound);
    assert_string_equal(options.sound_device, "hw:1");
    assert_string_equal(options.sound_dir, "/hens");
    assert_int_equal(options.sound_volume, 0);
    accept(LIST("sound-test", "--sound-volume", "100"), LIST("OMNI_SOUND=yes"));
    assert_int_equal(options.command, COMMAND_sound_test);
    assert_int_equal(options.sound_volume, 100);
    refuse_saying(LIST("--sound-volume", "101"), NOTHING, LIST("from 0 to 100"));
    refuse_saying(LIST("list", "--sound-device", "x"), NOTHING, LIST("is not for list"));
    refuse_saying(LIST("sound-test", "--sound"), NOTHING, LIST("is not for sound-test"));
    refuse_saying(LIST("sound_test"), NOTHING, LIST("unknown command", "mean sound-test?"));
    configure("{\"sound\": true, \"sound-interval\": \"1-2\", \"sound-volume\": 50}");
    accept(LIST("-c", config_path), NOTHING);
    assert_true(options.sound);
    assert_true(options.sound_interval.high == 2);
    assert_int_equal(options.sound_volume, 50);
    configure("{\"sound-interval\": 5}");
    refuse_saying(LIST("-c", config_path), NOTHING, LIST("\"sound-interval\" must be a string"));
}

/* ---- precedence ---- */

static void precedence(void **state) {
    char variable[80];
    (void)state;
    (void)snprintf(variable, sizeof variable, "OMNI_CONFIG=%s", config_path);
    configure("{\"history\": 100000, \"max-clients\": 11, \"idle-timeout\": 7}");
    accept(LIST("--history", "300000"),
           LIST(variable, "OMNI_HISTORY=200000", "OMNI_MAX_CLIENTS=22"));
    assert_int_equal(options.history, 300000);
    assert_int_equal(options.max_clients, 22);
    assert_int_equal(options.idle_timeout, 7);
    assert_int_equal(options.ping_interval, 5);
    accept(LIST("--config", "/does/not/exist/either", "-c", config_path), NOTHING);
    assert_int_equal(options.history, 100000);
}

static void an_empty_variable_says_nothing(void **state) {
    (void)state;
    accept(NOTHING, LIST("OMNI_HISTORY=", "OMNI_LISTEN=", "OMNI_HELP=yes", "OMNI_HISTORYX=1"));
    assert_int_equal(options.history, 3 * 1024 * 1024);
    assert_int_equal(options.listen.count, 1);
    assert_false(options.help);
    refuse_saying(NOTHING, LIST("OMNI_HISTORY=much"), LIST("OMNI_HISTORY: \"much\" is not"));
}

/* ---- the config file ---- */

static void config_takes_every_kind(void **state) {
    (void)state;
    configure("{\"listen\": [\"127.0.0.1:0\", \"[::1]:0\"], \"trust\": \"root\", \"quiet\": true,"
              " \"history\": \"2MiB\", \"backlog\": 65536, \"max-clients\": 5, \"rate\": 2.5,"
              " \"require-token\": \"always\", \"directory\": \"/segments\", \"allow-host\": []}");
    accept(LIST("-c", config_path), NOTHING);
    assert_int_equal(options.listen.count, 2);
    assert_string_equal(options.listen.items[1], "[::1]:0");
    assert_int_equal(options.trust.count, 1);
    assert_true(options.quiet);
    assert_int_equal(options.history, 2 * 1024 * 1024);
    assert_int_equal(options.backlog, 65536);
    assert_int_equal(options.max_clients, 5);
    assert_true(options.rate == 2.5);
    assert_int_equal(options.require_token, OPTIONS_TOKEN_ALWAYS);
    assert_string_equal(options.directory, "/segments");
    assert_int_equal(options.allow_host.count, 0);
}

static void config_that_is_wrong(void **state) {
    static const struct {
        const char *text;
        const char *says[3];
    } cases[] = {
        {"{\"histroy\": 5}", {"unknown key \"histroy\"", "mean \"history\"?"}},
        {"{\"xyzzy\": 5}", {"unknown key \"xyzzy\"", "--help"}},
        {"{\"History\": 5}", {"unknown key \"History\"", "mean \"history\"?"}},
        {"{\"max-clients\": \"5\"}", {"\"max-clients\" must be a number"}},
        {"{\"max-clients\": 2.5}", {"\"max-clients\": \"2.5\" is not", "whole number"}},
        {"{\"max-clients\": 1e400}", {"\"max-clients\"", "whole number"}},
        {"{\"max-clients\": null}", {"\"max-clients\" must be a number"}},
        {"{\"max-clients\": [5]}", {"\"max-clients\" must be a number"}},
        {"{\"quiet\": \"yes\"}", {"\"quiet\" must be true or false"}},
        {"{\"quiet\": 1}", {"\"quiet\" must be true or false"}},
        {"{\"history\": true}", {"\"history\" must be a number of bytes or a string"}},
        {"{\"listen\": [5]}", {"\"listen\" must be a string or a list of strings"}},
        {"{\"listen\": {\"a\": 1}}", {"\"listen\" must be a string or a list of strings"}},
        {"{\"listen\": [\"8080\"]}", {"\"listen\": \"8080\" is not an address"}},
        {"{\"directory\": 5}", {"\"directory\" must be a string"}},
        {"{\"directory\": \"\"}", {"\"directory\"", "empty"}},
        {"{\"help\": true}", {"\"help\" works on the command line only"}},
        {"{\"config\": \"x\"}", {"\"config\" works on the command line only"}},
        {"{\"history\": 65536,\n \"history\": 65537}", {"\"history\" is there twice"}},
        {"[1]", {"not a JSON object"}},
        {"{\n\"history\": 65536,\n,}", {"line 3", "not JSON"}},
        {"{\"quiet\": true}\n\nx", {"line 3", "not JSON"}},
        {"", {"line 1", "not JSON"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        configure(cases[i].text);
        refuse_saying(LIST("--config", config_path), NOTHING, LIST(config_path));
        refuse_saying(LIST("--config", config_path), NOTHING, cases[i].says);
    }
}

static void config_that_cannot_be_read(void **state) {
    static char large[1024 * 1024 + 1];
    (void)state;
    refuse_saying(LIST("-c", "/does/not/exist"), NOTHING,
                  LIST("cannot read the config file /does/not/exist", "No such file"));
    refuse_saying(LIST("-c", "/tmp"), NOTHING, LIST("cannot read the config file /tmp"));
    memset(large, ' ', sizeof large);
    write_config(large, sizeof large);
    refuse_saying(LIST("-c", config_path), NOTHING, LIST("larger than 1 MiB"));
    write_config("{\"quiet\": true}\0, \"x\"", 21);
    refuse_saying(LIST("-c", config_path), NOTHING, LIST("line 1", "not JSON"));
}

/* "key": [value, value, …], so many of them. */
static void configure_list(const char *key, const char *value, unsigned count) {
    static char text[16384];
    size_t length = (size_t)snprintf(text, sizeof text, "{\"%s\": [", key);
    for (unsigned i = 0; i < count; i++)
        length +=
            (size_t)snprintf(text + length, sizeof text - length, "%s%s", i > 0 ? "," : "", value);
    length += (size_t)snprintf(text + length, sizeof text - length, "]}");
    assert_true(length < sizeof text);
    configure(text);
}

static void a_list_has_its_bound(void **state) {
    static const struct {
        const char *key;
        const char *value;
    } cases[] = {
        {"allow-host", "\"robot.example\""}, {"listen", "\"127.0.0.1:0\""}, {"trust", "\"root\""}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char says[100];
        (void)snprintf(says, sizeof says, "\"%s\": more than 256 values; leave some out",
                       cases[i].key);
        configure_list(cases[i].key, cases[i].value, 256);
        accept(LIST("-c", config_path), NOTHING);
        configure_list(cases[i].key, cases[i].value, 257);
        refuse_saying(LIST("-c", config_path), NOTHING, LIST(config_path, says));
    }
    configure_list("allow-host", "\"robot.example\"", 257);
    accept(LIST("-c", config_path, "--allow-host", "other.example"), NOTHING);
    assert_int_equal(options.allow_host.count, 1);
}

/* ---- help ---- */

static void help_does_not_ask_for_a_good_configuration(void **state) {
    (void)state;
    accept(LIST("--help"), LIST("OMNI_CONFIG=/does/not/exist", "OMNI_HISTORY=much"));
    assert_true(options.help);
    accept(LIST("watch", "-h"), NOTHING);
    assert_true(options.help);
    accept(LIST("-V"), LIST("OMNI_HISTORY=much"));
    assert_true(options.version);
}

static char *printed(void (*print)(FILE *file)) {
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    assert_non_null(file);
    print(file);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void help_names_every_option_and_command(void **state) {
    char *help = printed(options_print_help);
    (void)state;
#define NAMES_(kind, member, ...) #member,
    static const char *const members[] = {OPTIONS(NAMES_)};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char name[40] = "--";
        for (size_t j = 0; members[i][j] != '\0'; j++)
            name[j + 2] = members[i][j] == '_' ? '-' : members[i][j];
        bool hidden = strcmp(members[i], "help_man") == 0;
        if ((strstr(help, name) == NULL) != hidden)
            fail_msg("--help %s %s", hidden ? "should hide" : "does not name", name);
    }
    for (unsigned i = 0; i < COMMANDS_COUNT; i++)
        assert_non_null(strstr(help, options_command_name((enum command)i)));
    free(help);
}

static void help_fits_a_terminal(void **state) {
    char *help = printed(options_print_help);
    (void)state;
    for (const char *line = help; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        if (length > 0 && line[length - 1] == ' ')
            fail_msg("a space at the end: %.*s", (int)length, line);
        if (length > 79)
            fail_msg("%zu columns: %.*s", length, (int)length, line);
        line += length + (line[length] == '\n');
    }
    free(help);
}

/* ---- the man page ---- */

static char *read_file(const char *path) {
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("%s: %s (run the tests from the top folder)", path, strerror(errno));
    char *text = calloc(1, 65536);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, file) > 0);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void man_page_has_the_options_as_they_are(void **state) {
    static const char begin[] = ".\\\" options: made by omni-observer --help-man\n";
    static const char end[] = ".\\\" end of options\n";
    char *page = read_file("docs/man/omni-observer.1");
    char *made = printed(options_print_man);
    (void)state;
    char *from = strstr(page, begin);
    assert_non_null(from);
    from += strlen(begin);
    char *to = strstr(from, end);
    assert_non_null(to);
    *to = '\0';
    assert_string_equal(from, made);
    free(made);
    free(page);
}

/* ---- the page about the config file ---- */

/* "max\\-clients" → "max-clients" */
static void without_backslashes(char *text) {
    char *to = text;
    for (; *text != '\0'; text++)
        if (*text != '\\')
            *to++ = *text;
    *to = '\0';
}

/* The value stands beside the key, and what kind of value it is above the table: the parser agrees. */
static void try_key(const char *key, const char *value, const char *kind) {
    char text[256];
    char complaint[128];
    (void)snprintf(text, sizeof text, "{\"%s\": %s}", key, value);
    configure(text);
    accept(LIST("--config", config_path), NOTHING);
    (void)snprintf(text, sizeof text, "{\"%s\": null}", key);
    (void)snprintf(complaint, sizeof complaint, "\"%s\" must be %s", key, kind);
    configure(text);
    refuse_saying(LIST("--config", config_path), NOTHING, LIST(complaint));
}

/* Tries each row of a table; returns how many there are. */
static unsigned try_table(char *table, const char *kind) {
    unsigned rows = 0;
    for (char *line = strtok(table, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *tab = strchr(line, '\t');
        if (tab == NULL)
            continue;
        *tab = '\0';
        without_backslashes(line);
        without_backslashes(tab + 1);
        try_key(line, tab + 1, kind);
        rows++;
    }
    return rows;
}

static bool is_key(const char *kind) {
    return strcmp(kind, "show") != 0 && strcmp(kind, "config") != 0;
}

static void names_the_key(const char *page, const char *member) {
    char row[80] = "\n";
    size_t at = 1;
    for (; *member != '\0' && at < sizeof row - 3; member++) {
        if (*member == '_')
            row[at++] = '\\';
        row[at++] = *member == '_' ? '-' : *member;
    }
    row[at] = '\t';
    row[at + 1] = '\0';
    if (strstr(page, row) == NULL)
        fail_msg("docs/man/omni-config.5 has no row for %s", row + 1);
}

static void config_page_has_the_keys_as_they_are(void **state) {
    static const char mark[] = ".\\\" keys: ";
    char *page = read_file("docs/man/omni-config.5");
    unsigned rows = 0;
    unsigned keys = 0;
    (void)state;
#define KEY_(kind, member, ...)                                                                    \
    if (is_key(#kind)) {                                                                           \
        names_the_key(page, #member);                                                              \
        keys++;                                                                                    \
    }
    OPTIONS(KEY_)
    for (char *at = strstr(page, mark); at != NULL;) {
        char *kind = at + strlen(mark);
        char *table = strchr(kind, '\n') + 1;
        char *end = strstr(table, ".TE\n");
        assert_non_null(end);
        table[-1] = *end = '\0';
        at = strstr(end + 1, mark);
        rows += try_table(table, kind);
    }
    assert_int_equal(rows, keys);
    free(page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(defaults, clean_up),
        cmocka_unit_test_teardown(token_file_follows_the_state_directory, clean_up),
        cmocka_unit_test_teardown(all_ways_to_write_a_value, clean_up),
        cmocka_unit_test_teardown(flags, clean_up),
        cmocka_unit_test_teardown(commands_and_their_sources, clean_up),
        cmocka_unit_test_teardown(options_of_another_command_are_refused, clean_up),
        cmocka_unit_test_teardown(unknown_options_suggest_the_nearest, clean_up),
        cmocka_unit_test_teardown(a_missing_value, clean_up),
        cmocka_unit_test_teardown(sizes, clean_up),
        cmocka_unit_test_teardown(numbers, clean_up),
        cmocka_unit_test_teardown(addresses, clean_up),
        cmocka_unit_test_teardown(regions, clean_up),
        cmocka_unit_test_teardown(lists_grow_in_one_place_and_replace_those_below, clean_up),
        cmocka_unit_test_teardown(users, clean_up),
        cmocka_unit_test_teardown(choices, clean_up),
        cmocka_unit_test_teardown(spans, clean_up),
        cmocka_unit_test_teardown(sounds, clean_up),
        cmocka_unit_test_teardown(precedence, clean_up),
        cmocka_unit_test_teardown(an_empty_variable_says_nothing, clean_up),
        cmocka_unit_test_teardown(config_takes_every_kind, clean_up),
        cmocka_unit_test_teardown(config_that_is_wrong, clean_up),
        cmocka_unit_test_teardown(config_that_cannot_be_read, clean_up),
        cmocka_unit_test_teardown(a_list_has_its_bound, clean_up),
        cmocka_unit_test_teardown(help_does_not_ask_for_a_good_configuration, clean_up),
        cmocka_unit_test(help_names_every_option_and_command),
        cmocka_unit_test(help_fits_a_terminal),
        cmocka_unit_test_teardown(a_name_on_the_network, clean_up),
        cmocka_unit_test_teardown(a_flag_may_have_a_name, clean_up),
        cmocka_unit_test(man_page_has_the_options_as_they_are),
        cmocka_unit_test_teardown(config_page_has_the_keys_as_they_are, clean_up),
    };
    return cmocka_run_group_tests(tests, make_config, remove_config);
}
