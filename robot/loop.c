#include "loop.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "clock.h"

#define CLOCK_TRIES 1000

/* The least of many: what a call costs when nothing comes between. */
static uint64_t measure_clock(void) {
    uint64_t least = UINT64_MAX;
    uint64_t before = clock_now_ns();
    for (int i = 0; i < CLOCK_TRIES; i++) {
        uint64_t after = clock_now_ns();
        if (after - before < least)
            least = after - before;
        before = after;
    }
    return least;
}

void loop_init(struct loop *loop, const struct loop_settings *settings) {
    *loop = (struct loop){
        .settings = *settings,
        .pilot = pilot_start(settings->seed),
        .clock_cost_ns = measure_clock(),
    };
    if (settings->kind->geometry != NULL)
        loop->pilot.geometry = settings->kind->geometry(settings->board);
    loop->read_ns = settings->lockstep != NULL ? 0 : clock_now_ns();
    loop->pace = pace_start(settings->period_ns,
                            settings->lockstep != NULL ? settings->period_ns : loop->read_ns);
}

static bool is_last(const struct loop *loop) {
    const struct loop_settings *settings = &loop->settings;
    return *settings->stop != 0 || (settings->ticks > 0 && loop->ticks + 1 >= settings->ticks);
}

/* A reading may be younger than the moment at which the tick began. */
static uint64_t age(uint64_t now_ns, uint64_t then_ns) {
    return now_ns > then_ns ? now_ns - then_ns : 0;
}

static int newest_reading(struct loop *loop) {
    const struct loop_settings *settings = &loop->settings;
    const struct board_kind *kind = settings->kind;
    if (settings->lockstep != NULL) {
        int error = kind->step(settings->board, settings->period_ns, &loop->reading);
        if (error == 0)
            loop->read_ns = loop->now_ns;
        return error;
    }
    if (kind->sense != NULL)
        return kind->sense(settings->board, &loop->reading, &loop->read_ns);
    return sensor_newest(settings->sensor, &loop->reading, &loop->read_ns);
}

/* Where there is none (silence, or the sensor thread overtakes every try), the reading of the tick
 * before is what is known: it has its age, and must not be forgotten for one tick. */
static void read_sensors(struct loop *loop) {
    if (newest_reading(loop) == 0)
        loop->ever_read = true;
}

static enum motor_hold hold(const struct loop *loop) {
    const struct loop_settings *settings = &loop->settings;
    if (settings->kind->hold == NULL)
        return HOLD_NONE;
    return settings->kind->hold(settings->board, loop->now_ns);
}

static void decide(struct loop *loop, bool last) {
    read_sensors(loop);
    struct pilot_input input = {
        .ever_read = loop->ever_read,
        .reading_age_ns = age(loop->now_ns, loop->read_ns),
        .period_ns = loop->pace.measured_ns,
        .hold = hold(loop),
        .stop = last,
    };
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++)
        input.range_mm[i] = loop->reading.range_mm[i];
    pilot_step(&loop->pilot, &input);
}

static uint32_t bounded(uint64_t value) {
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static void publish(struct loop *loop, struct omni_time time) {
    struct robot_status *status = &loop->status;
    pilot_report(&loop->pilot, status);
    if (loop->settings.kind->report != NULL)
        loop->settings.kind->report(loop->settings.board, status);
    status->overruns = loop->pace.overruns;
    status->period = bounded(loop->pace.measured_ns / CLOCK_NS_A_MICROSECOND);
    status->jitter = bounded(pace_jitter_ns(&loop->pace) / CLOCK_NS_A_MICROSECOND);
    status->publish_cost = bounded(loop->publish_cost_ns);
    uint64_t before = clock_now_ns();
    omni_publish_at(loop->settings.publisher, status, time);
    loop->publish_cost_ns = age(clock_now_ns(), before + loop->clock_cost_ns);
    loop->ticks++;
}

static int end_by(struct loop *loop, enum loop_end end, int error) {
    (void)loop->settings.kind->set_motors(loop->settings.board, (struct drive_powers){0});
    loop->end = end;
    return error;
}

static int tick(struct loop *loop, bool last) {
    struct omni_time time = omni_time_now();
    loop->now_ns = loop->settings.lockstep != NULL ? loop->pace.deadline_ns : time.monotonic_ns;
    pace_woke(&loop->pace, loop->now_ns);
    histogram_add(&loop->lateness, loop->pace.lateness_ns);
    /* The region is another's now; the motors are still at this robot's wires. What they do nobody
     * can see any more: off with them. */
    if (!omni_publisher_is_owner(loop->settings.publisher))
        return end_by(loop, LOOP_END_TAKEN_OVER, -ESTALE);
    decide(loop, last);
    int error = loop->settings.kind->set_motors(loop->settings.board, loop->pilot.powers);
    if (error < 0)
        return end_by(loop, LOOP_END_BOARD, error);
    publish(loop, time);
    if (loop->settings.watchdog != NULL)
        watchdog_feed(loop->settings.watchdog, time.monotonic_ns);
    return 0;
}

static void sleep_until_deadline(const struct loop *loop) {
    while (clock_sleep_until(loop->pace.deadline_ns) == -EINTR && *loop->settings.stop == 0) {
    }
}

/* In simulated time nobody may expect a pace: there is no watchdog (main.c). */
static void say_alive(const struct loop *loop) {
    if (loop->settings.notify != NULL)
        notify_alive(loop->settings.notify, loop->now_ns, loop->pace.deadline_ns);
}

static int one_round(struct loop *loop, bool *last) {
    const struct loop_settings *settings = &loop->settings;
    if (settings->lockstep == NULL)
        sleep_until_deadline(loop);
    *last = is_last(loop);
    int error = tick(loop, *last);
    if (error == 0)
        say_alive(loop);
    if (error < 0 || settings->lockstep == NULL)
        return error;
    error = lockstep_hand_over(settings->lockstep, settings->publisher, settings->stop);
    return error < 0 ? end_by(loop, LOOP_END_TURN, error) : 0;
}

int loop_run(struct loop *loop) {
    for (bool last = false; !last;) {
        int error = one_round(loop, &last);
        if (error < 0)
            return error;
    }
    return 0;
}
