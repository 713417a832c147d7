/* The links that are printed, and the QR code of one, read back from its half blocks. */
#include <errno.h>
#include <qrencode.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "observer/links.h"

#define TOKEN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"

struct seen {
    unsigned count;
    char last[LINKS_BYTES];
    bool last_is_loopback;
    bool has_loopback_ipv4;
};

static void see(void *context, const char *link, bool is_loopback) {
    struct seen *seen = context;
    seen->count++;
    seen->last_is_loopback = is_loopback;
    (void)snprintf(seen->last, sizeof seen->last, "%s", link);
    if (strcmp(link, "http://127.0.0.1:8080/") == 0)
        seen->has_loopback_ipv4 = is_loopback;
    assert_null(strstr(link, "0.0.0.0"));
    assert_null(strstr(link, "[::]"));
    assert_null(strstr(link, "fe80"));
}

static void one_link_for_an_address(void **state) {
    static const struct {
        const char *address;
        const char *token;
        const char *link;
        bool is_loopback;
    } cases[] = {
        {"127.0.0.1:8080", "", "http://127.0.0.1:8080/", true},
        {"127.8.9.1:80", "", "http://127.8.9.1:80/", true},
        {"[::1]:8080", "", "http://[::1]:8080/", true},
        {"192.0.2.7:8080", TOKEN, "http://192.0.2.7:8080/?token=" TOKEN, false},
        {"[2001:db8::5]:1", TOKEN, "http://[2001:db8::5]:1/?token=" TOKEN, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen = {.count = 0};
        assert_int_equal(links_each(cases[i].address, cases[i].token, see, &seen), 0);
        assert_int_equal(seen.count, 1);
        assert_string_equal(seen.last, cases[i].link);
        assert_int_equal(seen.last_is_loopback, cases[i].is_loopback);
    }
}

static void a_wildcard_becomes_the_addresses_of_this_machine(void **state) {
    struct seen seen = {.count = 0};
    (void)state;
    assert_int_equal(links_each("0.0.0.0:8080", "", see, &seen), 0);
    assert_true(seen.has_loopback_ipv4);
    assert_int_equal(links_each("[::]:8080", "", see, &seen), 0);
    assert_int_equal(links_each("nothing", "", see, &seen), -EINVAL);
}

/* ---- the QR code ---- */

enum { MARGIN = 4, SIDE_MAX = 200 };

struct modules {
    int width, height;
    bool dark[SIDE_MAX][SIDE_MAX];
};

static const char *skip_colour(const char *at) {
    assert_int_equal(*at, '\033');
    return at + strcspn(at, "m") + 1;
}

/* One character: two modules, one over the other. */
static const char *read_block(struct modules *modules, int x, int y, const char *at) {
    static const char *const blocks[] = {" ", "▀", "▄", "█"};
    for (int i = 3; i >= 0; i--)
        if (strncmp(at, blocks[i], strlen(blocks[i])) == 0) {
            modules->dark[y][x] = (i & 1) != 0;
            modules->dark[y + 1][x] = (i & 2) != 0;
            return at + strlen(blocks[i]);
        }
    fail_msg("no block: %.8s", at);
    return at;
}

static void read_modules(struct modules *modules, const char *at) {
    while (*at != '\0') {
        int x = 0;
        at = skip_colour(at);
        for (; *at != '\033'; x++)
            at = read_block(modules, x, modules->height, at);
        at = skip_colour(at);
        assert_int_equal(*at++, '\n');
        if (modules->height > 0)
            assert_int_equal(x, modules->width);
        modules->width = x;
        modules->height += 2;
    }
}

static void the_qr_code_has_every_module_and_its_margin(void **state) {
    static const char link[] = "http://192.0.2.7:8080/?token=" TOKEN;
    static struct modules modules;
    struct text text;
    QRcode *expected =
        QRcode_encodeData((int)strlen(link), (const unsigned char *)link, 0, QR_ECLEVEL_L);
    (void)state;
    assert_non_null(expected);
    text_open(&text, 0);
    assert_int_equal(links_qr(&text, link), 0);
    text_append(&text, "", 1);
    read_modules(&modules, text_bytes(&text));
    assert_int_equal(modules.width, expected->width + 2 * MARGIN);
    assert_in_range(modules.height, expected->width + 2 * MARGIN, expected->width + 2 * MARGIN + 1);
    for (int y = 0; y < modules.height; y++)
        for (int x = 0; x < modules.width; x++) {
            int column = x - MARGIN;
            int row = y - MARGIN;
            bool inside =
                column >= 0 && row >= 0 && column < expected->width && row < expected->width;
            bool dark = inside && (expected->data[row * expected->width + column] & 1) != 0;
            assert_int_equal(modules.dark[y][x], dark);
        }
    text_close(&text);
    QRcode_free(expected);
}

static void what_does_not_fit_is_refused(void **state) {
    static char link[4000];
    struct text text;
    (void)state;
    memset(link, 'x', sizeof link - 1);
    text_open(&text, 0);
    assert_int_equal(links_qr(&text, link), -ERANGE);
    text_close(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_link_for_an_address),
        cmocka_unit_test(a_wildcard_becomes_the_addresses_of_this_machine),
        cmocka_unit_test(the_qr_code_has_every_module_and_its_margin),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
