/*
 * options.h - what the user wants: one table → command line, defaults, --help
 *
 * Calling sequence
 *     struct options options;
 *     struct omni_problem problem;
 *     if (options_parse(&options, argc, argv, &problem) < 0)
 *         ... print problem.text, exit 2 ...
 *     if (options.help) { options_print_help(stdout); ... }
 *
 * Adding an option
 *   One line in OPTIONS, and its text in docs/man/omni-robot.1 (a test asks for it).
 */
#ifndef ROBOT_OPTIONS_H
#define ROBOT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <omni/schema.h>

/* X(kind, member, argument, default, low, high, prose)
 *   kind      number (uint64_t, low to high), text (const char *) or flag (bool)
 *   member    of struct options; the option's name with _ for - */
/* clang-format off */
#define OPTIONS(X)                                                                                 \
    X(number, tick_hz, "N", 100, 1, 1000, "ticks of the control loop a second, 1 to 1000")         \
    X(number, ticks, "N", 0, 0, UINT64_MAX,                                                        \
      "end after N ticks, the last of which is the stop; 0: run until told to stop")               \
    X(number, seed, "N", 1, 0, UINT64_MAX,                                                         \
      "where the chances of the behaviour and of the simulated world begin")                       \
    X(text, name, "NAME", "robot", 0, 0, "name of the source that observers see")                  \
    X(text, board, "BOARD", "sim", 0, 0,                                                           \
      "the hardware: sim, a simulated world; gpio, this machine's pins; driver:PATH.so, a driver " \
      "(docs/drivers.md)")                                                                         \
    X(text, board_config, "FILE", NULL, 0, 0,                                                      \
      "what is wired where, for --board gpio (man omni-gpio)")                                     \
    X(text, driver_config, "TEXT", "", 0, 0, "what the driver is told when it is opened")          \
    X(flag, isolate_driver, NULL, false, 0, 0,                                                     \
      "keep the driver in a process of its own, as one for another CPU is")                        \
    X(text, driver_host, "FILE", NULL, 0, 0,                                                       \
      "program that keeps the driver; else found beside this one, or installed")                   \
    X(text, directory, "DIR", NULL, 0, 0,                                                          \
      "where the segment appears; else $OMNI_DIRECTORY, else /dev/shm")                            \
    X(flag, lockstep, NULL, false, 0, 0,                                                           \
      "simulate: time goes on when omni-observer dump --lockstep has taken the tick")              \
    X(text, region, "ADDRESS", NULL, 0, 0,                                                         \
      "publish in memory that machines share: file:PATH, devmem:ADDRESS+LENGTH or "                \
      "pci:SLOT/resource2[_wc]; else in the directory")                                            \
    X(text, realtime_cpu, "CPU", NULL, 0, 0,                                                       \
      "CPU that --realtime keeps the loop on: a number, any, or auto, which takes the last one")   \
    X(number, self_test_seconds, "N", 10, 1, 86400, "how long --self-test measures")               \
    X(flag, realtime, NULL, false, 0, 0,                                                           \
      "real-time scheduling (SCHED_FIFO) and locked memory; needs permission")                     \
    X(flag, self_test, NULL, false, 0, 0,                                                          \
      "say what this machine can give --realtime, and what to type where something is missing")    \
    X(text, watchdog, "DEVICE", NULL, 0, 0,                                                        \
      "feed this watchdog of the machine's (/dev/watchdog) from the loop: where it hangs, reset")  \
    X(flag, help, NULL, false, 0, 0, "show this and exit")                                         \
    X(flag, version, NULL, false, 0, 0, "show the version and exit")
/* clang-format on */

#define OPTIONS_TYPE_number_ uint64_t
#define OPTIONS_TYPE_text_   const char *
#define OPTIONS_TYPE_flag_   bool

#define OPTIONS_MEMBER_(kind, member, argument, preset, low, high, prose)                          \
    OPTIONS_TYPE_##kind##_ member;
struct options {
    OPTIONS(OPTIONS_MEMBER_)
};
#undef OPTIONS_MEMBER_

/* Reads the command line and the environment. Texts point into argv or the environment.
 * Returns 0; -EINVAL with one line for the user in `problem`, *options untouched. Not for two
 * threads at a time (getopt_long). */
int options_parse(struct options *options, int argc, char **argv, struct omni_problem *problem);

/* Writes what --help shows. */
void options_print_help(FILE *file);

#endif
