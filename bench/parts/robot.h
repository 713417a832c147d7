/*
 * robot.h - publishers for the measurements, and the statuses that they publish
 */
#ifndef BENCH_ROBOT_H
#define BENCH_ROBOT_H

#include <stdint.h>
#include <sys/types.h>

#include <omni/publish.h>
#include <omni/schema.h>

/* clang-format off */
/* 64 and 256 bytes; the first number is the monotonic time (ns) at which it was published. */
#define STATUS_64(FIELD)                                                                           \
    FIELD(numbers, u64, words, 7, "", 0, 18446744073709551615.0, "The time, and numbers after it")
#define STATUS_256(FIELD)                                                                          \
    FIELD(numbers, u64, words, 31, "", 0, 18446744073709551615.0, "The time, and numbers after it")

/* What a robot might have: its `status` message is about 500 bytes long. */
#define STATUS_500(FIELD)                                                                          \
    FIELD(number, f64, heading, "deg", 0, 360, "Where it looks")                                   \
    FIELD(numbers, f64, position, 2, "m", -100, 100, "Where it stands")                            \
    FIELD(number, u64, uptime, "ms", 0, 1e15, "Since it was switched on")                          \
    FIELD(numbers, f32, motor_power, 3, "%", -100, 100, "Of each wheel")                           \
    FIELD(numbers, f32, temperature, 4, "°C", -20, 120, "Motors and board")                        \
    FIELD(numbers, f32, current, 3, "A", 0, 10, "Of each motor")                                   \
    FIELD(number, f32, battery, "V", 0, 30, "What is left")                                        \
    FIELD(numbers, u32, range, 8, "mm", 0, 4000, "Distance to the next thing, all around")         \
    FIELD(number, u32, period, "us", 0, 1000000, "Between the last two ticks")                     \
    FIELD(number, u32, jitter, "us", 0, 1000000, "Worst of the last second")                       \
    FIELD(number, u32, overruns, "", 0, 4294967295.0, "Deadlines missed")                          \
    FIELD(number, u32, publish_cost, "ns", 0, 1000000, "Of one status")                            \
    FIELD(flag, obstacle, "Something is in the way")                                               \
    FIELD(flag, go_left, "It turns left")                                                          \
    FIELD(flag, go_right, "It turns right")
/* clang-format on */

OMNI_STATUS(status_64, STATUS_64)
OMNI_STATUS(status_256, STATUS_256)
OMNI_STATUS(status_500, STATUS_500)

/* Opens a publisher of that name in process_directory(); ends the program where it cannot. */
struct omni_publisher *robot_open(const char *name, const struct omni_schema *schema,
                                  uint64_t period_ns, bool certain_wake);

/* A status of plausible numbers for that tick. */
void robot_fill(struct status_500 *status, uint64_t tick);

/* Starts a process that publishes a status_500 as "bench" at that pace until it is ended. */
pid_t robot_start(uint64_t period_ns);

#endif
