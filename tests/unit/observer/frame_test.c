#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "observer/frame.h"

/* RFC 6455, section 5.7, and the lengths at which the head grows. */
static const struct {
    size_t length;
    size_t head_length;
    unsigned char head[FRAME_HEAD_BYTES_MAX];
} frames[] = {{0, 2, {0x81, 0}},
              {5, 2, {0x81, 0x05}},
              {125, 2, {0x81, 0x7d}},
              {126, 4, {0x81, 0x7e, 0x00, 0x7e}},
              {501, 4, {0x81, 0x7e, 0x01, 0xf5}},
              {65535, 4, {0x81, 0x7e, 0xff, 0xff}},
              {65536, 10, {0x81, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0}},
              {0x3fedcba9, 10, {0x81, 0x7f, 0, 0, 0, 0, 0x3f, 0xed, 0xcb, 0xa9}}};

static void test_heads(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        char memory[3 * FRAME_HEAD_BYTES_MAX];
        char untouched[sizeof memory];
        memset(memory, '#', sizeof memory);
        memset(untouched, '#', sizeof untouched);
        char *text = memory + 2 * FRAME_HEAD_BYTES_MAX;
        size_t head_length = frame_put_head(text, frames[i].length);
        assert_int_equal(head_length, frames[i].head_length);
        assert_memory_equal(text - head_length, frames[i].head, head_length);
        /* The text itself is not its business, nor what stands before the head. */
        assert_memory_equal(text, untouched, FRAME_HEAD_BYTES_MAX);
        assert_memory_equal(memory, untouched, (size_t)(text - memory) - head_length);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_heads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
