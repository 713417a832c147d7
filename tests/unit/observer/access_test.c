/* Who may look: names of hosts, origins, tokens, and the token's file. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "observer/access.h"

#define TOKEN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"

static const char *const allowed[] = {"robots.example.org", "bird", NULL};

static struct access without_token(void) {
    struct access access;
    access_open(&access, allowed, 8080);
    strcpy(access.host_name, "hen.farm.example");
    return access;
}

static struct access with_token(void) {
    struct access access = without_token();
    strcpy(access.token, TOKEN);
    return access;
}

static void open_names_the_cookie_after_the_port(void **state) {
    struct access access;
    char host[HOST_NAME_MAX + 1];
    (void)state;
    memset(&access, 'x', sizeof access);
    access_open(&access, NULL, 8081);
    assert_string_equal(access.cookie_name, "omniscient-8081");
    assert_string_equal(access.token, "");
    assert_int_equal(gethostname(host, sizeof host), 0);
    assert_string_equal(access.host_name, host);
}

static void hosts(void **state) {
    static const struct {
        const char *host;
        enum access_verdict verdict;
    } cases[] = {
        {"127.0.0.1:8080", ACCESS_GRANTED},
        {"127.0.0.1", ACCESS_GRANTED},
        {"192.168.1.20:80", ACCESS_GRANTED},
        {"[::1]:8080", ACCESS_GRANTED},
        {"[fe80::1]", ACCESS_GRANTED},
        {"localhost", ACCESS_GRANTED},
        {"LocalHost:8080", ACCESS_GRANTED},
        {"localhost.:8080", ACCESS_GRANTED},
        {"robot.localhost:8080", ACCESS_GRANTED},
        {"hen.farm.example:8080", ACCESS_GRANTED},
        {"HEN", ACCESS_GRANTED},
        {"hen.local:8080", ACCESS_GRANTED},
        {"robots.example.org", ACCESS_GRANTED},
        {"Robots.Example.org:443", ACCESS_GRANTED},
        {"bird:1", ACCESS_GRANTED},
        {NULL, ACCESS_BAD_HOST},
        {"", ACCESS_BAD_HOST},
        {":8080", ACCESS_BAD_HOST},
        {".localhost", ACCESS_BAD_HOST},
        {"evil.example", ACCESS_BAD_HOST},
        {"localhost.evil.example", ACCESS_BAD_HOST},
        {"notlocalhost", ACCESS_BAD_HOST},
        {"127.0.0.1.evil.example", ACCESS_BAD_HOST},
        {"127.0.0.1:8080@evil.example", ACCESS_BAD_HOST},
        {"127.0.0.1:80x", ACCESS_BAD_HOST},
        {"hen.evil.example", ACCESS_BAD_HOST},
        {"henhouse", ACCESS_BAD_HOST},
        {"he", ACCESS_BAD_HOST},
        {"hen.local.evil.example", ACCESS_BAD_HOST},
        {"robots.example.org.evil.example", ACCESS_BAD_HOST},
        {"[::1", ACCESS_BAD_HOST},
        {"[]", ACCESS_BAD_HOST},
        {"[::1]evil", ACCESS_BAD_HOST},
        {"::1", ACCESS_BAD_HOST},
    };
    struct access access = without_token();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct access_request request = {.host = cases[i].host};
        print_message("host %s\n", cases[i].host ? cases[i].host : "(none)");
        assert_int_equal(access_check(&access, &request), cases[i].verdict);
    }
}

static void the_name_that_the_network_was_told(void **state) {
    struct access access = without_token();
    struct access_request request = {.host = "hen-2.local:8080"};
    (void)state;
    assert_int_equal(access_check(&access, &request), ACCESS_BAD_HOST);
    access_announce(&access, "Hen-2.local");
    assert_int_equal(access_check(&access, &request), ACCESS_GRANTED);
    access_announce(&access, "");
    assert_int_equal(access_check(&access, &request), ACCESS_BAD_HOST);
    static const char *const foreign[] = {"evil.example", "a.evil.local", ".local", "local", "x"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        access_announce(&access, foreign[i]);
        assert_string_equal(access.announced_name, "");
    }
    assert_int_equal(access_check(&access, &(struct access_request){.host = ""}), ACCESS_BAD_HOST);
}

/* Even where both are ours: whoever is in between may have meant either. */
static void two_hosts_are_refused(void **state) {
    struct access access = with_token();
    struct access_request request = {
        .host = "localhost", .authorization = "Bearer " TOKEN, .has_two_hosts = true};
    (void)state;
    assert_int_equal(access_check(&access, &request), ACCESS_TWO_HOSTS);
    request.has_two_hosts = false;
    assert_int_equal(access_check(&access, &request), ACCESS_GRANTED);
}

static void a_host_of_any_length_is_refused_safely(void **state) {
    struct access access = without_token();
    char host[2000];
    (void)state;
    memset(host, 'a', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    assert_int_equal(access_check(&access, &(struct access_request){.host = host}),
                     ACCESS_BAD_HOST);
    host[0] = '[';
    assert_int_equal(access_check(&access, &(struct access_request){.host = host}),
                     ACCESS_BAD_HOST);
}

static void a_machine_without_a_name_has_no_name_to_match(void **state) {
    struct access access = without_token();
    (void)state;
    access.host_name[0] = '\0';
    assert_int_equal(access_check(&access, &(struct access_request){.host = ".local"}),
                     ACCESS_BAD_HOST);
    assert_int_equal(access_check(&access, &(struct access_request){.host = "hen"}),
                     ACCESS_BAD_HOST);
}

static void origins(void **state) {
    static const struct {
        const char *host;
        const char *origin;
        enum access_verdict verdict;
    } cases[] = {
        {"127.0.0.1:8080", "http://127.0.0.1:8080", ACCESS_GRANTED},
        {"localhost:8080", "http://LOCALHOST:8080", ACCESS_GRANTED},
        {"[::1]:8080", "http://[::1]:8080", ACCESS_GRANTED},
        {"bird", "https://bird", ACCESS_GRANTED},
        {"bird:443", "https://bird", ACCESS_GRANTED},
        {"bird:80", "http://bird", ACCESS_GRANTED},
        {"bird", "http://bird:80", ACCESS_GRANTED},
        {"bird:8443", "https://bird:8443", ACCESS_GRANTED},
        {"127.0.0.1:8080", "http://127.0.0.1:8081", ACCESS_BAD_ORIGIN},
        {"127.0.0.1:8080", "http://127.0.0.1", ACCESS_BAD_ORIGIN},
        {"127.0.0.1:8080", "http://localhost:8080", ACCESS_BAD_ORIGIN},
        {"127.0.0.1:8080", "http://evil.example", ACCESS_BAD_ORIGIN},
        {"127.0.0.1:8080", "http://127.0.0.1:8080.evil.example", ACCESS_BAD_ORIGIN},
        {"bird", "http://bird:443", ACCESS_BAD_ORIGIN},
        {"bird:443", "http://bird", ACCESS_BAD_ORIGIN},
        {"127.0.0.1:8080", "null", ACCESS_BAD_ORIGIN},
        {"127.0.0.1:8080", "", ACCESS_BAD_ORIGIN},
        {"127.0.0.1:8080", "http://", ACCESS_BAD_ORIGIN},
        {"127.0.0.1:8080", "file://127.0.0.1:8080", ACCESS_BAD_ORIGIN},
        {"evil.example", "http://evil.example", ACCESS_BAD_HOST},
    };
    struct access access = without_token();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct access_request request = {.host = cases[i].host, .origin = cases[i].origin};
        print_message("host %s, origin %s\n", cases[i].host, cases[i].origin);
        assert_int_equal(access_check(&access, &request), cases[i].verdict);
    }
}

static void tokens(void **state) {
    static const struct {
        const char *cookie;
        const char *authorization;
        enum access_verdict verdict;
    } cases[] = {
        {NULL, NULL, ACCESS_NO_TOKEN},
        {"omniscient-8080=" TOKEN, NULL, ACCESS_GRANTED},
        {"a=b; omniscient-8080=" TOKEN "; c=d", NULL, ACCESS_GRANTED},
        {"a=b;omniscient-8080=" TOKEN, NULL, ACCESS_GRANTED},
        {"omniscient-8080=old; omniscient-8080=" TOKEN, NULL, ACCESS_GRANTED},
        {"omniscient-8081=" TOKEN, NULL, ACCESS_NO_TOKEN},
        {"xomniscient-8080=" TOKEN, NULL, ACCESS_NO_TOKEN},
        {"omniscient-8080=" TOKEN "x", NULL, ACCESS_NO_TOKEN},
        {"omniscient-8080=", NULL, ACCESS_NO_TOKEN},
        {"omniscient-8080", NULL, ACCESS_NO_TOKEN},
        {";;; ;", NULL, ACCESS_NO_TOKEN},
        {"", NULL, ACCESS_NO_TOKEN},
        {NULL, "Bearer " TOKEN, ACCESS_GRANTED},
        {NULL, "bearer   " TOKEN, ACCESS_GRANTED},
        {"omniscient-8080=wrong", "Bearer " TOKEN, ACCESS_GRANTED},
        {NULL, "Bearer" TOKEN, ACCESS_NO_TOKEN},
        {NULL, "Bearer ", ACCESS_NO_TOKEN},
        {NULL, "Basic " TOKEN, ACCESS_NO_TOKEN},
        {NULL, TOKEN, ACCESS_NO_TOKEN},
    };
    struct access access = with_token();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct access_request request = {.host = "localhost",
                                         .cookie = cases[i].cookie,
                                         .authorization = cases[i].authorization};
        print_message("cookie %s, authorization %s\n", cases[i].cookie ? cases[i].cookie : "-",
                      cases[i].authorization ? cases[i].authorization : "-");
        assert_int_equal(access_check(&access, &request), cases[i].verdict);
    }
}

static void every_character_of_a_token_counts(void **state) {
    struct access access = with_token();
    char given[ACCESS_TOKEN_BYTES];
    (void)state;
    assert_true(access_token_matches(&access, TOKEN));
    for (size_t i = 0; i < sizeof given - 1; i++) {
        strcpy(given, TOKEN);
        given[i] = given[i] == 'z' ? 'y' : 'z';
        assert_false(access_token_matches(&access, given));
        given[i] = '\0';
        assert_false(access_token_matches(&access, given));
    }
}

static void no_token_in_force_matches_nothing_and_wants_nothing(void **state) {
    struct access access = without_token();
    (void)state;
    assert_false(access_token_matches(&access, ""));
    assert_false(access_token_matches(&access, TOKEN));
    assert_int_equal(access_check(&access, &(struct access_request){.host = "localhost"}),
                     ACCESS_GRANTED);
}

static void every_refusal_is_explained(void **state) {
    (void)state;
    assert_non_null(strstr(access_explain(ACCESS_TWO_HOSTS), "Host"));
    assert_non_null(strstr(access_explain(ACCESS_BAD_HOST), "--allow-host"));
    assert_non_null(strstr(access_explain(ACCESS_BAD_ORIGIN), "site"));
    assert_non_null(strstr(access_explain(ACCESS_NO_TOKEN), "token"));
}

/* ---- The token's file, in a folder of its own ---- */

static int make_folder(void **state) {
    char *folder = strdup("/tmp/omni-access-XXXXXX");
    *state = folder;
    return folder && mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    char command[PATH_MAX];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
    free(*state);
    return system(command); /* NOLINT(cert-env33-c) */
}

static const char *path_in(void **state, const char *name) {
    static char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", (const char *)*state, name);
    return path;
}

static void write_file(const char *path, const char *text, mode_t mode) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static mode_t mode_of(const char *path) {
    struct stat facts;
    assert_int_equal(lstat(path, &facts), 0);
    return facts.st_mode & 07777;
}

static void a_token_is_made_once_and_kept(void **state) {
    char first[ACCESS_TOKEN_BYTES] = "";
    char second[ACCESS_TOKEN_BYTES] = "";
    (void)umask(0);
    assert_int_equal(access_token_load(first, path_in(state, "a/b/token")), 0);
    assert_int_equal(strlen(first), ACCESS_TOKEN_BYTES - 1);
    assert_int_equal(
        strspn(first, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
        ACCESS_TOKEN_BYTES - 1);
    assert_int_equal(mode_of(path_in(state, "a/b/token")), 0600);
    assert_int_equal(mode_of(path_in(state, "a/b")), 0700);
    assert_int_equal(mode_of(path_in(state, "a")), 0700);
    assert_int_equal(access_token_load(second, path_in(state, "a/b/token")), 0);
    assert_string_equal(second, first);
    assert_int_equal(access_token_load(second, path_in(state, "other")), 0);
    assert_string_not_equal(second, first);
}

static void a_token_of_ones_own_is_taken(void **state) {
    char token[ACCESS_TOKEN_BYTES] = "";
    write_file(path_in(state, "token"), TOKEN "\n", 0400);
    assert_int_equal(access_token_load(token, path_in(state, "token")), 0);
    assert_string_equal(token, TOKEN);
}

static void bad_files_are_refused(void **state) {
    static const struct {
        const char *text;
        mode_t mode;
        int error;
    } cases[] = {
        {TOKEN, 0640, -EPERM},         {TOKEN, 0604, -EPERM},       {TOKEN, 0620, -EPERM},
        {"", 0600, -EBADMSG},          {"\n", 0600, -EBADMSG},      {"short\n", 0600, -EBADMSG},
        {TOKEN "x\n", 0600, -EBADMSG}, {TOKEN " ", 0600, -EBADMSG}, {"\n" TOKEN, 0600, -EBADMSG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char token[ACCESS_TOKEN_BYTES] = "untouched";
        const char *path = path_in(state, "token");
        print_message("mode %o, text \"%s\"\n", cases[i].mode, cases[i].text);
        write_file(path, cases[i].text, cases[i].mode);
        assert_int_equal(access_token_load(token, path), cases[i].error);
        assert_string_equal(token, "untouched");
        assert_int_equal(unlink(path), 0);
    }
}

static void what_is_not_a_plain_file_is_refused(void **state) {
    char token[ACCESS_TOKEN_BYTES] = "untouched";
    char target[PATH_MAX];
    (void)snprintf(target, sizeof target, "%s", path_in(state, "target"));
    write_file(target, TOKEN, 0600);
    assert_int_equal(symlink(target, path_in(state, "link")), 0);
    assert_int_equal(access_token_load(token, path_in(state, "link")), -ELOOP);
    assert_int_equal(mkfifo(path_in(state, "pipe"), 0600), 0);
    assert_int_equal(access_token_load(token, path_in(state, "pipe")), -EINVAL);
    assert_int_equal(mkdir(path_in(state, "folder"), 0700), 0);
    assert_int_equal(access_token_load(token, path_in(state, "folder")), -EISDIR);
    assert_int_equal(access_token_load(token, path_in(state, "target/below")), -ENOTDIR);
    assert_string_equal(token, "untouched");
}

/* Several processes start at once, none finds a token: all must leave with the same one. */
static void all_that_start_at_once_get_one_token(void **state) {
    enum { PROCESSES = 16 };
    int start[2];
    int results[2];
    char first[ACCESS_TOKEN_BYTES];
    char token[ACCESS_TOKEN_BYTES];
    const char *path = path_in(state, "new/token");
    assert_int_equal(pipe(start), 0);
    assert_int_equal(pipe(results), 0);
    for (int i = 0; i < PROCESSES; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            char mine[ACCESS_TOKEN_BYTES] = "";
            char go;
            close(start[1]);
            bool ok = read(start[0], &go, 1) == 0 && access_token_load(mine, path) == 0 &&
                      write(results[1], mine, sizeof mine) == (ssize_t)sizeof mine;
            _exit(ok ? 0 : 1);
        }
    }
    close(start[1]);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(read(results[0], first, sizeof first), sizeof first);
    for (int i = 1; i < PROCESSES; i++) {
        assert_int_equal(read(results[0], token, sizeof token), sizeof token);
        assert_string_equal(token, first);
    }
    close(start[0]);
    close(results[0]);
    close(results[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_names_the_cookie_after_the_port),
        cmocka_unit_test(hosts),
        cmocka_unit_test(the_name_that_the_network_was_told),
        cmocka_unit_test(two_hosts_are_refused),
        cmocka_unit_test(a_host_of_any_length_is_refused_safely),
        cmocka_unit_test(a_machine_without_a_name_has_no_name_to_match),
        cmocka_unit_test(origins),
        cmocka_unit_test(tokens),
        cmocka_unit_test(every_character_of_a_token_counts),
        cmocka_unit_test(no_token_in_force_matches_nothing_and_wants_nothing),
        cmocka_unit_test(every_refusal_is_explained),
        cmocka_unit_test_setup_teardown(a_token_is_made_once_and_kept, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_token_of_ones_own_is_taken, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(bad_files_are_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_is_not_a_plain_file_is_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(all_that_start_at_once_get_one_token, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
