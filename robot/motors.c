#include "motors.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"

#define PATIENCE_NS CLOCK_NS_A_SECOND
#define LOOK_NS     (10 * CLOCK_NS_A_MILLISECOND)

/* ---- opening --------------------------------------------------------------------------------- */

static int take_output(struct gpio_line **line, struct gpio_chip *chip,
                       const struct gpio_config_line *wanted, const char *user,
                       struct omni_problem *problem) {
    uint64_t give_up_ns = clock_now_ns() + PATIENCE_NS;
    int error = gpio_line_output(line, chip, &wanted->wish, user, problem);
    while (error == -EBUSY && clock_now_ns() < give_up_ns) {
        (void)clock_sleep_until(clock_now_ns() + LOOK_NS);
        error = gpio_line_output(line, chip, &wanted->wish, user, problem);
    }
    return error;
}

static int open_bridge(struct bridge *bridge, struct gpio_chip *chip,
                       const struct gpio_config_motor *config, uint64_t hz,
                       struct omni_problem *problem) {
    int error = take_output(&bridge->forward, chip, &config->forward, "omni-robot motor", problem);
    if (error == 0)
        error =
            take_output(&bridge->backward, chip, &config->backward, "omni-robot motor", problem);
    if (error < 0)
        return error;
    if (config->pwm.line.is_given)
        return take_output(&bridge->pwm_line, chip, &config->pwm.line, "omni-robot PWM", problem);
    error = pwm_sysfs_open(&bridge->pwm, config->pwm.chip, config->pwm.channel, hz, problem);
    bridge->has_pwm = error == 0;
    return error;
}

int motors_open(struct motors *motors, struct gpio_chip *chip, const struct gpio_config *config,
                struct omni_problem *problem) {
    memset(motors, 0, sizeof *motors);
    motors->pwm_period_ns = CLOCK_NS_A_SECOND / config->board.software_pwm_hz;
    for (int i = 0; i < DRIVE_WHEELS; i++) {
        int error = open_bridge(&motors->bridge[i], chip, &config->motors[i], config->board.pwm_hz,
                                problem);
        if (error < 0) {
            motors_close(motors);
            return error;
        }
    }
    return 0;
}

int motors_start(struct motors *motors, int priority, uint64_t stale_ns) {
    struct pwm_thread_settings settings = {
        .period_ns = motors->pwm_period_ns, .stale_ns = stale_ns, .priority = priority};
    bool needed = false;
    for (int i = 0; i < DRIVE_WHEELS; i++) {
        settings.line[i] = motors->bridge[i].pwm_line;
        needed = needed || settings.line[i] != NULL;
    }
    if (!needed)
        return 0;
    int error = pwm_thread_start(&motors->thread, &settings);
    motors->has_thread = error == 0;
    return error;
}

/* ---- driving --------------------------------------------------------------------------------- */

static int drive_bridge(struct bridge *bridge, int percent) {
    struct gpio_line *off = percent > 0 ? bridge->backward : bridge->forward;
    struct gpio_line *other = percent > 0 ? bridge->forward : bridge->backward;
    int error = gpio_line_set(off, false);
    if (error == 0)
        error = gpio_line_set(other, percent != 0);
    if (error == 0 && bridge->has_pwm)
        error = pwm_sysfs_set(&bridge->pwm, percent);
    return error;
}

int motors_drive(struct motors *motors, struct drive_powers powers, uint64_t now_ns) {
    if (motors->has_thread)
        pwm_thread_set(&motors->thread, powers.wheel, now_ns);
    for (int i = 0; i < DRIVE_WHEELS; i++) {
        int error = drive_bridge(&motors->bridge[i], powers.wheel[i]);
        if (error < 0) {
            motors_off(motors);
            return error;
        }
    }
    return 0;
}

static void line_off(struct gpio_line *line) {
    if (line != NULL)
        (void)gpio_line_set(line, false);
}

/* The lines for software PWM are the thread's, where there is one: it is told. In another process,
 * which has none, they are set. */
void motors_off(struct motors *motors) {
    static const int8_t zero[DRIVE_WHEELS];
    if (motors->has_thread)
        pwm_thread_set(&motors->thread, zero, clock_now_ns());
    for (int i = 0; i < DRIVE_WHEELS; i++) {
        struct bridge *bridge = &motors->bridge[i];
        line_off(bridge->forward);
        line_off(bridge->backward);
        if (!motors->has_thread)
            line_off(bridge->pwm_line);
        if (bridge->has_pwm)
            (void)pwm_sysfs_off(&bridge->pwm);
    }
}

uint64_t motors_jitter_ns(const struct motors *motors) {
    return motors->has_thread ? pwm_thread_jitter_ns(&motors->thread) : 0;
}

void motors_close(struct motors *motors) {
    motors_off(motors);
    if (motors->has_thread)
        pwm_thread_stop(&motors->thread);
    motors->has_thread = false;
    for (int i = 0; i < DRIVE_WHEELS; i++) {
        struct bridge *bridge = &motors->bridge[i];
        gpio_line_release(bridge->forward);
        gpio_line_release(bridge->backward);
        gpio_line_release(bridge->pwm_line);
        if (bridge->has_pwm)
            pwm_sysfs_close(&bridge->pwm);
        *bridge = (struct bridge){0};
    }
}
