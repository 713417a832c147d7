/*
 * The embedded page is what lies in web/: modules and style sheet bundled, all else byte for byte.
 * Run from the project's root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observer/assets.h"

/* The file that an asset was made of. $UPLOT: as for make. */
static const char *file_of(const struct asset *asset) {
    static char file[4096];
    static const char foreign[] = "/uplot/";
    const char *uplot = getenv("UPLOT");
    if (strncmp(asset->path, foreign, strlen(foreign)) == 0)
        (void)snprintf(file, sizeof file, "%s%s%s",
                       uplot != NULL && *uplot != '\0' ? uplot : "web/node_modules/uplot",
                       strstr(asset->path, "LICENSE") != NULL ? "/" : "/dist/",
                       asset->path + strlen(foreign));
    else
        (void)snprintf(file, sizeof file, "web%s",
                       strcmp(asset->path, "/") == 0 ? "/index.html" : asset->path);
    return file;
}

/* All that a stream gives, NUL-terminated. */
static char *read_all(FILE *stream, size_t *length) {
    char *text = NULL;
    *length = 0;
    assert_non_null(stream);
    for (;;) {
        text = realloc(text, *length + 4096 + 1);
        assert_non_null(text);
        size_t got = fread(text + *length, 1, 4096, stream);
        *length += got;
        text[*length] = '\0';
        if (got == 0)
            return text;
    }
}

static void assert_bytes(struct asset_bytes bytes, const char *expected, size_t length) {
    assert_int_equal(assets_length(bytes), length);
    assert_memory_equal(bytes.start, expected, length);
}

/* What is bundled holds words that no bundler may change. */
static const char *word_of_bundle(const char *path) {
    if (strcmp(path, "/main.js") == 0)
        return "omniscient.v1";
    return strcmp(path, "/style.css") == 0 ? "--ground" : NULL;
}

static bool holds(struct asset_bytes bytes, const char *word) {
    return memmem(bytes.start, assets_length(bytes), word, strlen(word)) != NULL;
}

static void every_asset_is_its_file(void **state) {
    size_t count = 0;
    (void)state;
    for (const struct asset *asset; (asset = assets_at(count)); count++) {
        size_t length;
        FILE *stream = fopen(file_of(asset), "rb");
        print_message("%s\n", asset->path);
        char *text = read_all(stream, &length);
        const char *word = word_of_bundle(asset->path);
        if (word == NULL)
            assert_bytes(asset->plain, text, length);
        else
            assert_true(holds(asset->plain, word));
        assert_ptr_equal(assets_find(asset->path), asset);
        free(text);
        assert_int_equal(fclose(stream), 0);
    }
    assert_true(count > 0);
}

/* Puts the bytes into a file of its own, runs `command` on it and gives what that says. */
static char *ask(const char *command, struct asset_bytes bytes, size_t *length) {
    char path[] = "/tmp/omni-assets-XXXXXX";
    char line[96];
    FILE *file = fdopen(mkstemp(path), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.start, 1, assets_length(bytes), file), assets_length(bytes));
    assert_int_equal(fclose(file), 0);
    (void)snprintf(line, sizeof line, "%s <%s", command, path);
    FILE *stream = popen(line, "r");
    char *text = read_all(stream, length);
    assert_int_equal(pclose(stream), 0);
    assert_int_equal(remove(path), 0);
    return text;
}

static void every_gzip_form_unpacks_to_its_file(void **state) {
    (void)state;
    for (size_t i = 0; assets_at(i); i++) {
        size_t length;
        print_message("%s\n", assets_at(i)->path);
        char *text = ask("gzip -dc", assets_at(i)->gzip, &length);
        assert_bytes(assets_at(i)->plain, text, length);
        free(text);
    }
}

static void every_etag_tells_the_content(void **state) {
    (void)state;
    for (size_t i = 0; assets_at(i); i++) {
        size_t length;
        print_message("%s\n", assets_at(i)->path);
        char *text = ask("sha256sum", assets_at(i)->plain, &length);
        assert_int_equal(strlen(assets_at(i)->etag), 32);
        assert_memory_equal(assets_at(i)->etag, text, 32);
        free(text);
    }
}

static void types_are_those_of_the_names(void **state) {
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"},    {"/", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},      {".js", "text/javascript; charset=utf-8"},
        {".svg", "image/svg+xml; charset=utf-8"},
    };
    size_t checked = 0;
    (void)state;
    for (size_t i = 0; assets_at(i); i++) {
        const struct asset *asset = assets_at(i);
        for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
            size_t tail = strlen(types[t][0]);
            size_t length = strlen(asset->path);
            if (length < tail || strcmp(asset->path + length - tail, types[t][0]) != 0)
                continue;
            assert_string_equal(asset->type, types[t][1]);
            checked++;
        }
    }
    assert_true(checked >= 3);
}

static void what_is_not_there_is_not_found(void **state) {
    (void)state;
    assert_non_null(assets_find("/"));
    assert_null(assets_find(""));
    assert_null(assets_find("/index.html"));
    assert_null(assets_find("/package.json"));
    assert_null(assets_find("/../Makefile"));
    assert_null(assets_at(1000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_asset_is_its_file),
        cmocka_unit_test(every_gzip_form_unpacks_to_its_file),
        cmocka_unit_test(every_etag_tells_the_content),
        cmocka_unit_test(types_are_those_of_the_names),
        cmocka_unit_test(what_is_not_there_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
