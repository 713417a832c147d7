/* The file that says what is wired where: what is read, what is refused, and how that is said. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "man_page.h"
#include "robot/gpio_config.h"

#define MAN_PAGE "docs/man/omni-gpio.5"
#define EXAMPLE  "examples/raspberry_pi.ini"
#define WIRING   "docs/gpio.md"

#define GPIOS_MOST 28

#define BOARD "[board]\nchip = gpiochip0\n"
#define MOTORS                                                                                     \
    "[motor 60]\nforward = 0\nbackward = 1\npwm = 2\n"                                             \
    "[motor 180]\nforward = 3\nbackward = 4\npwm = 5\n"                                            \
    "[motor 300]\nforward = 6\nbackward = 7\npwm = 8\n"
#define AHEAD "[sensor 0]\nswitch = 12\n"

static int read_text(struct gpio_config *config, const char *text, struct omni_problem *problem) {
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    assert_non_null(file);
    problem->text[0] = '\0';
    int error = gpio_config_read(config, file, "robot.ini", problem);
    (void)fclose(file);
    return error;
}

static void what_is_left_out_has_a_default(void **state) {
    (void)state;
    struct gpio_config config;
    struct omni_problem problem;
    assert_int_equal(read_text(&config, BOARD MOTORS AHEAD, &problem), 0);
    assert_string_equal(config.board.chip, "gpiochip0");
    assert_false(config.board.emergency_stop.is_given);
    assert_false(config.board.heartbeat.is_given);
    assert_int_equal(config.board.overrun_limit_ms, 100);
    assert_int_equal(config.board.software_pwm_hz, 100);
    assert_int_equal(config.board.pwm_hz, 20000);
    assert_int_equal(config.board.wheel_circle_mm, 100);
    assert_int_equal(config.board.top_speed_mm_s, 400);
    assert_int_equal(config.sensors[2].debounce_ms, 20);
    assert_true(gpio_config_has_sensor(&config.sensors[2]));
    assert_false(gpio_config_has_sensor(&config.sensors[1]));
}

static void everything_can_be_said(void **state) {
    (void)state;
    struct gpio_config config;
    struct omni_problem problem;
    const char *text =
        "; a comment\n"
        "[board]\nchip = pinctrl-bcm2711\nemergency_stop = 20 pull-up active-low\n"
        "heartbeat = 21 ; toggled\noverrun_limit_ms = 50\nsoftware_pwm_hz=200\n"
        "pwm_hz = 1000\nwheel_circle_mm = 85\ntop_speed_mm_s = 650\n"
        "[motor 60]\nforward = 0 active-low\nbackward = 1\npwm = pwmchip0:1\n"
        "[motor 180]\nforward = 3\nbackward = 4\npwm = /sys/x/pwm/pwmchip7:0\n"
        "[motor 300]\nforward = 6\nbackward = 7\npwm = 8 active-low\n"
        "# another\n[sensor -90]\ntrigger = 10\necho = 11 pull-down\ntrigger_us = 20\n"
        "[sensor 0]\nswitch = 12 pull-up active-low\ndebounce_ms = 5\n";
    if (read_text(&config, text, &problem) < 0)
        fail_msg("%s", problem.text);
    assert_int_equal(config.board.emergency_stop.wish.offset, 20);
    assert_int_equal(config.board.emergency_stop.wish.bias, GPIO_BIAS_PULL_UP);
    assert_true(config.board.emergency_stop.wish.active_low);
    assert_int_equal(config.board.heartbeat.wish.offset, 21);
    assert_int_equal(config.board.overrun_limit_ms, 50);
    assert_int_equal(config.board.wheel_circle_mm, 85);
    assert_true(config.motors[0].forward.wish.active_low);
    assert_false(config.motors[0].backward.wish.active_low);
    assert_string_equal(config.motors[0].pwm.chip, "/sys/class/pwm/pwmchip0");
    assert_int_equal(config.motors[0].pwm.channel, 1);
    assert_string_equal(config.motors[1].pwm.chip, "/sys/x/pwm/pwmchip7");
    assert_int_equal(config.motors[1].pwm.channel, 0);
    assert_int_equal(config.motors[2].pwm.line.wish.offset, 8);
    assert_string_equal(config.motors[2].pwm.chip, "");
    assert_int_equal(config.sensors[0].echo.wish.bias, GPIO_BIAS_PULL_DOWN);
    assert_int_equal(config.sensors[0].trigger_us, 20);
    assert_int_equal(config.sensors[2].debounce_ms, 5);
    struct gpio_config_use uses[GPIO_CONFIG_LINES_MOST];
    assert_int_equal(gpio_config_lines(&config, uses), 2 + 7 + 3);
}

/* Each with the words that the complaint must have. */
static const struct refused {
    const char *text;
    const char *words;
} refused[] = {
    {MOTORS AHEAD, "robot.ini: [board] is missing or empty; it needs chip"},
    {"[board]\nheartbeat = 21\n" MOTORS AHEAD, "[board] lacks chip; it wants a chip as gpiodetect"},
    {"[board]\nchip =\n" MOTORS AHEAD, "[board] chip = : wants a chip as gpiodetect shows it"},
    {BOARD AHEAD, "[motor 60] is missing or empty; it needs forward, backward, pwm"},
    {BOARD "[motor 60]\nforward = 0\nbackward = 1\n" AHEAD,
     "[motor 60] lacks pwm; it wants a line's number, or the kernel's PWM"},
    {BOARD MOTORS, "nothing looks ahead"},
    {BOARD MOTORS "[sensor 45]\nswitch = 12\n", "nothing looks ahead"},
    {BOARD MOTORS AHEAD "[sensor 30]\nswitch = 13\n",
     "robot.ini:18: there is no section [sensor 30]"},
    {BOARD MOTORS AHEAD "[sensor 45]\nswich = 13\n",
     "robot.ini:18: [sensor 45] has no swich; there are trigger, echo, trigger_us, switch, "
     "debounce_ms"},
    {BOARD "heart_beat = 21\n" MOTORS AHEAD,
     "[board] has no heart_beat; there are chip, emergency_stop, heartbeat, overrun_limit_ms, "
     "software_pwm_hz, pwm_hz, wheel_circle_mm, top_speed_mm_s"},
    {BOARD "heartbeat = 21 # pin 40\n" MOTORS AHEAD, "; a comment behind a value begins with ;"},
    {BOARD "chip = gpiochip1\n" MOTORS AHEAD, "robot.ini:3: [board] chip is there twice"},
    {BOARD "heartbeat = 21\n  22\n" MOTORS AHEAD, "robot.ini:4: [board] heartbeat is there twice"},
    {BOARD "heartbeat\n" MOTORS AHEAD, "robot.ini:3: neither [section] nor key = value"},
    {BOARD "heartbeat =\n" MOTORS AHEAD,
     "robot.ini:3: [board] heartbeat = : wants a line's number"},
    {BOARD "heartbeat = -1\n" MOTORS AHEAD, "wants a line's number"},
    {BOARD "heartbeat = 99999999999999999999\n" MOTORS AHEAD, "wants a line's number"},
    {BOARD "heartbeat = 21 pull-up\n" MOTORS AHEAD, "wants a line's number"}, /* an output */
    {BOARD "heartbeat = 21 activelow\n" MOTORS AHEAD, "wants a line's number"},
    {BOARD "heartbeat = 21x\n" MOTORS AHEAD, "wants a line's number"},
    {BOARD "heartbeat = 5\n" MOTORS AHEAD, "line 5 is both [board] heartbeat and [motor 180] pwm"},
    {BOARD "overrun_limit_ms = 4\n" MOTORS AHEAD, "a whole number from 5 to 2000"},
    {BOARD "overrun_limit_ms = 2001\n" MOTORS AHEAD, "a whole number from 5 to 2000"},
    {BOARD "overrun_limit_ms = 50 ms\n" MOTORS AHEAD, "a whole number from 5 to 2000"},
    {BOARD MOTORS AHEAD "trigger = 13\n", "[sensor 0]: a sensor with an echo has both"},
    {BOARD MOTORS AHEAD "trigger = 13\necho = 14\n", "[sensor 0]: it is a switch, or has an echo"},
    {BOARD MOTORS AHEAD "[sensor 90]\ndebounce_ms = 5\n", "[sensor 90]: it has no sensor"},
    {BOARD "[motor 60]\nforward = 0\nbackward = 1\npwm = pwmchip0\n",
     "[motor 60] pwm = pwmchip0: wants"},
    {BOARD "[motor 60]\nforward = 0\nbackward = 1\npwm = fan0:1\n",
     "[motor 60] pwm = fan0:1: wants"},
    {BOARD "[motor 60]\nforward = 0\nbackward = 1\npwm = pwmchip0:0\n"
           "[motor 180]\nforward = 3\nbackward = 4\npwm = pwmchip0:0\n"
           "[motor 300]\nforward = 6\nbackward = 7\npwm = pwmchip0:1\n" AHEAD,
     "two motors have the PWM /sys/class/pwm/pwmchip0:0"},
    {"\n", "[board] is missing or empty"},
    {"chip = gpiochip0\n" BOARD MOTORS AHEAD,
     "robot.ini:1: chip stands before the first [section]"},
    {BOARD "nonsense\ncolour = red\n" MOTORS AHEAD,
     "robot.ini:3: neither [section] nor key = value"},
};

static void what_makes_no_sense_is_refused_with_its_place(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const struct refused *one = &refused[i];
        struct gpio_config config = {.board.chip = "untouched"};
        struct omni_problem problem;
        if (read_text(&config, one->text, &problem) != -EINVAL)
            fail_msg("this was taken:\n%s", one->text);
        if (strstr(problem.text, one->words) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", problem.text, one->words);
        assert_string_equal(config.board.chip, "untouched");
    }
}

/* As the kernel has a chip in /sys/devices, and a link to it in /sys/class/pwm. */
static void a_channel_by_two_names_is_one_channel(void **state) {
    (void)state;
    static const struct {
        const char *first;
        const char *second;
        unsigned channel; /* of the second motor; the first one's is 1 */
        int error;
    } cases[] = {
        {"chip", "link", 1, -EINVAL}, {"link", "chip", 1, -EINVAL}, {"chip", "./chip", 1, -EINVAL},
        {"chip", "link", 0, 0},       {"chip", "missing", 1, 0},    {"chip", "other", 1, 0},
    };
    char place[] = "/tmp/omni-chips-XXXXXX";
    char path[3][64];
    assert_non_null(mkdtemp(place));
    static const char *const names[] = {"chip", "other", "link"};
    for (size_t i = 0; i < 3; i++)
        (void)snprintf(path[i], sizeof path[i], "%s/%s", place, names[i]);
    assert_int_equal(mkdir(path[0], 0700), 0);
    assert_int_equal(mkdir(path[1], 0700), 0);
    assert_int_equal(symlink("chip", path[2]), 0);
    int errors[sizeof cases / sizeof cases[0]];
    struct omni_problem problem;
    struct omni_problem first = {""};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        struct gpio_config config;
        (void)snprintf(text, sizeof text,
                       BOARD "[motor 60]\nforward = 0\nbackward = 1\npwm = %s/%s:1\n"
                             "[motor 180]\nforward = 3\nbackward = 4\npwm = 5\n"
                             "[motor 300]\nforward = 6\nbackward = 7\npwm = %s/%s:%u\n" AHEAD,
                       place, cases[i].first, place, cases[i].second, cases[i].channel);
        errors[i] = read_text(&config, text, i == 0 ? &first : &problem);
    }
    (void)unlink(path[2]);
    (void)rmdir(path[1]);
    (void)rmdir(path[0]);
    (void)rmdir(place);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (errors[i] != cases[i].error)
            fail_msg("%s:1 and %s:%u: %d", cases[i].first, cases[i].second, cases[i].channel,
                     errors[i]);
    assert_non_null(strstr(first.text, "two motors have one PWM"));
    assert_non_null(strstr(first.text, path[0]));
    assert_non_null(strstr(first.text, path[2]));
}

static void a_line_that_is_too_long_is_refused(void **state) {
    (void)state;
    char text[1024] = BOARD MOTORS AHEAD ";";
    struct gpio_config config;
    struct omni_problem problem;
    memset(text + strlen(text), 'x', 300);
    assert_int_equal(read_text(&config, text, &problem), -EINVAL);
    assert_non_null(strstr(problem.text, "robot.ini:17: the line is longer than"));
}

static void a_file_that_cannot_be_read_is_named(void **state) {
    (void)state;
    struct gpio_config config;
    struct omni_problem problem;
    assert_int_equal(gpio_config_load(&config, "/nowhere/robot.ini", &problem), -ENOENT);
    assert_non_null(strstr(problem.text, "/nowhere/robot.ini"));
    assert_int_equal(gpio_config_load(&config, "/", &problem), -EISDIR);
    assert_int_equal(gpio_config_load(&config, "/proc/self/mem", &problem), -EIO);
}

/* ---- hostile files ---- */

static int read_bytes(const char *bytes, size_t length, struct omni_problem *problem) {
    struct gpio_config config;
    FILE *file = fmemopen((void *)(uintptr_t)bytes, length, "r");
    assert_non_null(file);
    problem->text[0] = '\0';
    int error = gpio_config_read(&config, file, "robot.ini", problem);
    (void)fclose(file);
    return error;
}

/* Behind NUL the rest of a line would not be seen, and escape sequences would reach terminals. */
static void what_is_no_text_is_refused(void **state) {
    (void)state;
    static const char marks[] = {'\0', '\a', '\b', '\x1b', '\x7f', '\f', '\v', '\r'};
    static const char *const places[] = {"[board]\nchip = gpio%chip0\n",
                                         "[board]\nch%ip = 1\n",
                                         "[bo%ard]\n",
                                         "%[board]\n",
                                         "; a comm%ent\n",
                                         "[board]\nchip = gpiochip0%;"};
    struct omni_problem problem;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        for (size_t k = 0; k < sizeof marks; k++) {
            char text[64];
            size_t length = strlen(places[i]);
            memcpy(text, places[i], length);
            *(char *)memchr(text, '%', length) = marks[k];
            assert_int_equal(read_bytes(text, length, &problem), -EINVAL);
            if (strstr(problem.text, "control character") == NULL)
                fail_msg("\"%s\"", problem.text);
            for (const char *at = problem.text; *at != '\0'; at++)
                assert_true((unsigned char)*at >= ' ');
        }
    }
}

static void other_editors_files_are_read(void **state) {
    (void)state;
    static const char mark[] = "\xef\xbb\xbf[board]\r\nchip = gpiochip0\r\n\t; \xc2\xb5m\r\n" MOTORS
                               "[sensor 0]\r\nswitch = 12\r\n\r\n";
    struct omni_problem problem;
    if (read_bytes(mark, strlen(mark), &problem) < 0)
        fail_msg("%s", problem.text);
}

static void a_file_that_is_too_long_is_refused(void **state) {
    (void)state;
    static const char whole[] = BOARD MOTORS AHEAD;
    static char text[GPIO_CONFIG_BYTES + 4096];
    struct omni_problem problem;
    memset(text, '\n', sizeof text);
    memcpy(text, whole, sizeof whole - 1);
    assert_int_equal(read_bytes(text, GPIO_CONFIG_BYTES, &problem), 0);
    assert_int_equal(read_bytes(text, sizeof text, &problem), -EINVAL);
    assert_non_null(strstr(problem.text, "the file is longer than 65536"));
}

/* Some keep whoever opens them waiting, others never end: the test would not, either. */
static void what_is_no_ordinary_file_is_not_read(void **state) {
    (void)state;
    char folder[] = "/tmp/omni-config-XXXXXX";
    char pipe_path[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(pipe_path, sizeof pipe_path, "%s/pipe", folder);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    const struct {
        const char *path;
        int error;
        const char *says;
    } cases[] = {{pipe_path, -ENOTSUP, "/pipe: it is no ordinary file"},
                 {"/dev/zero", -ENOTSUP, "/dev/zero: it is no ordinary file"},
                 {"/dev/null", -ENOTSUP, "no ordinary file"},
                 {folder, -EISDIR, "Is a directory"}};
    (void)alarm(60);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gpio_config config;
        struct omni_problem problem = {""};
        assert_int_equal(gpio_config_load(&config, cases[i].path, &problem), cases[i].error);
        if (strstr(problem.text, cases[i].says) == NULL)
            fail_msg("\"%s\" does not contain \"%s\"", problem.text, cases[i].says);
    }
    (void)alarm(0);
    (void)unlink(pipe_path);
    (void)rmdir(folder);
}

/* ---- files that chance has changed: with AddressSanitizer, the same files in each run ---- */

#define CHANGED_FILES 20000

struct draw {
    uint64_t state;
};

static size_t draw_below(struct draw *draw, size_t limit) {
    draw->state = draw->state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(draw->state >> 33) % limit;
}

/* Returns the new length. */
static size_t change(struct draw *draw, char *text, size_t length, size_t room) {
    static const char *const words[] = {
        "\n",    "[",    "]",          "=",   " active-low",          "65535",
        "65536", "-0",   "1e400",      "nan", "18446744073709551616", ";",
        "\r",    "\xff", "pwmchip0:1", "/",   "[motor 60]\n",         "forward = 0\n"};
    const char *word = words[draw_below(draw, sizeof words / sizeof words[0])];
    size_t at = draw_below(draw, length);
    size_t gone = draw_below(draw, 8);
    size_t bytes = strlen(word);
    gone = gone < length - at ? gone : length - at;
    if (length - gone + bytes >= room)
        return length;
    memmove(text + at + bytes, text + at + gone, length - at - gone);
    for (size_t i = 0; i < bytes; i++)
        text[at + i] = word[i];
    return length - gone + bytes;
}

static void check_numbers(const struct gpio_config *config) {
#define IN_number(value, low, high) assert_in_range((value), (low), (high));
#define IN_text(...)
#define IN_input(...)
#define IN_output(...)
#define IN_pwm(...)
#define CHECK_board(kind, member, low, high)  IN_##kind(config->board.member, low, high)
#define CHECK_motor(kind, member, low, high)  IN_##kind(config->motors[0].member, low, high)
#define CHECK_sensor(kind, member, low, high) IN_##kind(config->sensors[0].member, low, high)
#define CHECK(section, key, kind, member, preset, low, high)                                       \
    CHECK_##section(kind, member, low, high)
    GPIO_CONFIG_KEYS(CHECK)
}

static void whatever_a_file_says_it_is_judged(void **state) {
    (void)state;
    static char example[8192];
    FILE *file = fopen(EXAMPLE, "r");
    assert_non_null(file);
    size_t length = fread(example, 1, sizeof example - 1, file);
    (void)fclose(file);
    struct draw draw = {.state = 5};
    unsigned taken = 0;
    for (unsigned i = 0; i < CHANGED_FILES; i++) {
        char text[sizeof example];
        struct gpio_config config = {.board.overrun_limit_ms = 12345};
        struct omni_problem problem = {""};
        size_t bytes = length;
        memcpy(text, example, length);
        for (size_t changes = 1 + draw_below(&draw, 4); changes > 0; changes--)
            bytes = change(&draw, text, bytes, sizeof text);
        FILE *changed = fmemopen(text, bytes, "r");
        assert_non_null(changed);
        int error = gpio_config_read(&config, changed, "robot.ini", &problem);
        (void)fclose(changed);
        if (error < 0) {
            assert_int_equal(config.board.overrun_limit_ms, 12345); /* untouched */
            assert_true(strlen(problem.text) > strlen("robot.ini"));
        } else {
            check_numbers(&config);
            taken++;
        }
    }
    assert_in_range(taken, 1, CHANGED_FILES - 1);
}

static void the_example_is_right(void **state) {
    (void)state;
    struct gpio_config config;
    struct omni_problem problem;
    if (gpio_config_load(&config, EXAMPLE, &problem) < 0)
        fail_msg("%s", problem.text);
    struct gpio_config_use uses[GPIO_CONFIG_LINES_MOST];
    size_t count = gpio_config_lines(&config, uses);
    for (size_t i = 0; i < count; i++) {
        if (uses[i].wish->offset < 2 || uses[i].wish->offset > 27)
            fail_msg("%s = %u is not on a Raspberry Pi's header", uses[i].what,
                     uses[i].wish->offset);
    }
}

/* Where each GPIO is on a Raspberry Pi's header; 0: on none of the pins that are free to use. */
static const unsigned header_pins[GPIOS_MOST] = {
    [2] = 3,   [3] = 5,   [4] = 7,   [5] = 29,  [6] = 31,  [7] = 26,  [8] = 24,
    [9] = 21,  [10] = 19, [11] = 23, [12] = 32, [13] = 33, [14] = 8,  [15] = 10,
    [16] = 36, [17] = 11, [18] = 12, [19] = 35, [20] = 38, [21] = 40, [22] = 15,
    [23] = 16, [24] = 18, [25] = 22, [26] = 37, [27] = 13,
};

/* Reads "17, 22, 12" up to the cell's end. Returns how many there are. */
static size_t numbers_of(const char *cell, unsigned *numbers, size_t most) {
    size_t count = 0;
    for (char *end; count < most; cell = end + strspn(end, ", ")) {
        unsigned long number = strtoul(cell, &end, 10);
        if (end == cell)
            break;
        numbers[count++] = (unsigned)number;
    }
    return count;
}

/* A row of the table of wires: | what | `key` | GPIOs | pins | at the board | */
static void take_row(char *row, unsigned seen[GPIOS_MOST]) {
    char *cells[4];
    char *rest = row;
    for (size_t i = 0; i < 4; i++) {
        if ((cells[i] = strtok_r(rest, "|", &rest)) == NULL)
            return;
    }
    unsigned gpios[3];
    unsigned pins[3];
    size_t count = numbers_of(cells[2], gpios, 3);
    if (cells[1][1] != '`' || count == 0)
        return;
    assert_int_equal(numbers_of(cells[3], pins, 3), count);
    for (size_t i = 0; i < count; i++) {
        assert_in_range(gpios[i], 2, GPIOS_MOST - 1);
        assert_int_equal(pins[i], header_pins[gpios[i]]);
        seen[gpios[i]]++;
    }
}

static void the_table_of_wires_is_the_examples(void **state) {
    (void)state;
    struct gpio_config config;
    struct omni_problem problem;
    struct gpio_config_use uses[GPIO_CONFIG_LINES_MOST];
    unsigned seen[GPIOS_MOST] = {0};
    char row[2048];
    FILE *file = fopen(WIRING, "r");
    assert_non_null(file);
    while (fgets(row, sizeof row, file) != NULL) {
        if (row[0] == '|')
            take_row(row, seen);
    }
    (void)fclose(file);
    assert_int_equal(gpio_config_load(&config, EXAMPLE, &problem), 0);
    size_t count = gpio_config_lines(&config, uses);
    for (size_t i = 0; i < count; i++) {
        if (seen[uses[i].wish->offset]-- != 1)
            fail_msg(WIRING " does not tell once of %s = %u", uses[i].what, uses[i].wish->offset);
    }
    for (unsigned i = 0; i < GPIOS_MOST; i++) {
        if (seen[i] != 0)
            fail_msg(EXAMPLE " has nothing on GPIO %u", i);
    }
}

static void the_manual_knows_every_key(void **state) {
    (void)state;
#define NAME(section, key, kind, member, preset, low, high) ".B " #key "\n",
    static const char *const names[] = {GPIO_CONFIG_KEYS(NAME)};
    static char page[32768];
    FILE *file = fopen(MAN_PAGE, "r");
    assert_non_null(file);
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    (void)fclose(file);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strstr(page, names[i]) == NULL)
            fail_msg(MAN_PAGE " lacks %s", names[i]);
    }
#define TELL_number(key, preset, low, high)                                                        \
    man_page_tells(page, "\n.B " #key "\n", low, high, strtoull(preset, NULL, 10));
#define TELL_text(...)
#define TELL_input(...)
#define TELL_output(...)
#define TELL_pwm(...)
#define TELL(section, key, kind, member, preset, low, high) TELL_##kind(key, preset, low, high)
    GPIO_CONFIG_KEYS(TELL)
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_has_a_default),
        cmocka_unit_test(everything_can_be_said),
        cmocka_unit_test(what_makes_no_sense_is_refused_with_its_place),
        cmocka_unit_test(a_channel_by_two_names_is_one_channel),
        cmocka_unit_test(a_line_that_is_too_long_is_refused),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(other_editors_files_are_read),
        cmocka_unit_test(a_file_that_is_too_long_is_refused),
        cmocka_unit_test(what_is_no_ordinary_file_is_not_read),
        cmocka_unit_test(whatever_a_file_says_it_is_judged),
        cmocka_unit_test(the_example_is_right),
        cmocka_unit_test(the_table_of_wires_is_the_examples),
        cmocka_unit_test(the_manual_knows_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
