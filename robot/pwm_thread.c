#include "pwm_thread.h"

#include <string.h>

#include "clock.h"
#include "pwm.h"
#include "thread.h"

/* Kept in the mailbox. */
struct command {
    int8_t percent[DRIVE_WHEELS];
    int8_t stop;
};

static void switch_lines(const struct pwm_thread_settings *settings, uint32_t which, bool active) {
    for (int i = 0; i < DRIVE_WHEELS; i++) {
        /* A line that cannot be switched is the loop's to notice: it uses the same chip. */
        if ((which & UINT32_C(1) << i) != 0 && settings->line[i] != NULL)
            (void)gpio_line_set(settings->line[i], active);
    }
}

static struct command commanded(const struct pwm_thread *pwm, uint64_t now_ns) {
    struct command command = {{0}, 0};
    struct omni_time time;
    if (mailbox_newest(&pwm->commands, &command, &time) < 0)
        return command;
    if (now_ns > time.monotonic_ns && now_ns - time.monotonic_ns > pwm->settings.stale_ns)
        memset(command.percent, 0, sizeof command.percent);
    return command;
}

/* Sleeps until then; notes how late that was. */
static void wait_until(struct pwm_thread *pwm, uint64_t moment_ns, uint64_t *worst_ns) {
    while (clock_sleep_until(moment_ns) < 0) {
    }
    uint64_t late_ns = clock_now_ns() - moment_ns;
    if (late_ns <= *worst_ns)
        return;
    *worst_ns = late_ns;
    mailbox_put(&pwm->jitter, worst_ns, (struct omni_time){0});
}

static void one_period(struct pwm_thread *pwm, const int8_t percent[DRIVE_WHEELS],
                       uint64_t start_ns, uint64_t *worst_ns) {
    struct pwm_plan plan = pwm_plan(percent, pwm->settings.period_ns);
    switch_lines(&pwm->settings, ~plan.on_first, false);
    switch_lines(&pwm->settings, plan.on_first, true);
    for (uint32_t i = 0; i < plan.steps; i++) {
        wait_until(pwm, start_ns + plan.step[i].at_ns, worst_ns);
        switch_lines(&pwm->settings, plan.step[i].off, false);
    }
}

static void *switch_for_ever(void *argument) {
    struct pwm_thread *pwm = argument;
    uint64_t start_ns = clock_now_ns();
    uint64_t worst_ns = 0;
    for (;;) {
        uint64_t now_ns = clock_now_ns();
        struct command command = commanded(pwm, now_ns);
        if (command.stop != 0)
            break;
        one_period(pwm, command.percent, start_ns, &worst_ns);
        start_ns += pwm->settings.period_ns;
        /* After a pause it does not catch up. */
        if (start_ns + pwm->settings.period_ns < clock_now_ns())
            start_ns = clock_now_ns();
        wait_until(pwm, start_ns, &worst_ns);
    }
    switch_lines(&pwm->settings, UINT32_MAX, false);
    return NULL;
}

int pwm_thread_start(struct pwm_thread *pwm, const struct pwm_thread_settings *settings) {
    pwm->settings = *settings;
    mailbox_init(&pwm->commands, sizeof(struct command));
    mailbox_init(&pwm->jitter, sizeof(uint64_t));
    return thread_start(&pwm->thread, switch_for_ever, pwm, settings->priority);
}

void pwm_thread_set(struct pwm_thread *pwm, const int8_t percent[DRIVE_WHEELS], uint64_t now_ns) {
    struct command command = {{0}, 0};
    memcpy(command.percent, percent, sizeof command.percent);
    mailbox_put(&pwm->commands, &command, (struct omni_time){.monotonic_ns = now_ns});
}

uint64_t pwm_thread_jitter_ns(const struct pwm_thread *pwm) {
    uint64_t worst_ns = 0;
    struct omni_time time;
    (void)mailbox_newest(&pwm->jitter, &worst_ns, &time); /* none yet: no lateness */
    return worst_ns;
}

void pwm_thread_stop(struct pwm_thread *pwm) {
    const struct command stop = {.stop = 1};
    mailbox_put(&pwm->commands, &stop, (struct omni_time){.monotonic_ns = clock_now_ns()});
    (void)pthread_join(pwm->thread, NULL);
}
