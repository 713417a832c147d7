/* libFuzzer over the reader of a board's file (--board-config). Built and run by scripts/fuzz. */
#include <stdlib.h>
#include <string.h>

#include "robot/gpio_config.h"

enum { MARK = 0x5a };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* What is refused leaves everything as it was, and has a sentence that a terminal can be shown. */
static void judge_refused(const struct gpio_config *config, const char *text) {
    const uint8_t *bytes = (const uint8_t *)config;
    for (size_t i = 0; i < sizeof *config; i++)
        if (bytes[i] != MARK)
            abort();
    if (strncmp(text, "fuzz.ini", 8) != 0)
        abort();
    for (; *text != '\0'; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
            abort();
}

#define IS_WITHIN_text(value, low, high)   true
#define IS_WITHIN_input(value, low, high)  true
#define IS_WITHIN_output(value, low, high) true
#define IS_WITHIN_pwm(value, low, high)    true
#define IS_WITHIN_number(value, low, high) ((value) - (low) <= (high) - (low)) /* unsigned */

#define CHECK_board(kind, member, low, high)                                                       \
    if (!(IS_WITHIN_##kind(config->board.member, low, high)))                                      \
        abort();
#define CHECK_motor(kind, member, low, high)
#define CHECK_sensor(kind, member, low, high)                                                      \
    for (size_t i = 0; i < BEHAVIOUR_SENSORS; i++)                                                 \
        if (!(IS_WITHIN_##kind(config->sensors[i].member, low, high)))                             \
            abort();
#define CHECK(section, key, kind, member, preset, low, high)                                       \
    CHECK_##section(kind, member, low, high)

static void judge_taken(const struct gpio_config *config) {
    GPIO_CONFIG_KEYS(CHECK)
    if (config->board.chip[0] == '\0')
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct gpio_config config;
    struct omni_problem problem = {""};
    FILE *file = length > 0 ? fmemopen((void *)(uintptr_t)bytes, length, "r") : NULL;
    if (file == NULL)
        return -1; /* none of the corpus */
    memset(&config, MARK, sizeof config);
    if (gpio_config_read(&config, file, "fuzz.ini", &problem) < 0)
        judge_refused(&config, problem.text);
    else
        judge_taken(&config);
    (void)fclose(file);
    return 0;
}
