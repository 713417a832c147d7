/*
 * doctor.h - `omni-observer doctor`: what a newcomer trips over, looked at one by one
 *
 * Purpose
 *   One function per check. It takes the options that `serve` would be given, looks at what those
 *   would meet, changes nothing, and says one line for each thing that it looked at: fine; worth
 *   knowing; or to be mended, with what to type. Neither a robot nor an observer needs to run.
 *
 * Adding a check
 *   A line in DOCTOR_CHECKS, a function doctor_check_NAME() in one of the doctor_*.c, a test that
 *   breaks the thing, a line in docs/doctor.md.
 *
 *   directory, sources, robot   doctor_sources.c
 *   port, token, page           doctor_port.c
 *   announce                    doctor_announce.c
 *   host, ivshmem               doctor_host.c, doctor_ivshmem.c; silent where nobody asks for them
 *   sound, clock, libraries, limits  doctor_machine.c
 */
#ifndef OBSERVER_DOCTOR_H
#define OBSERVER_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <omni/segment.h>

#include "options.h"
#include "sources.h"
#include "text.h"

/* In the order in which they are said. */
#define DOCTOR_CHECKS(X)                                                                           \
    X(directory)                                                                                   \
    X(sources)                                                                                     \
    X(robot)                                                                                       \
    X(port)                                                                                        \
    X(token)                                                                                       \
    X(page)                                                                                        \
    X(announce)                                                                                    \
    X(host)                                                                                        \
    X(ivshmem)                                                                                     \
    X(sound)                                                                                       \
    X(clock)                                                                                       \
    X(libraries)                                                                                   \
    X(limits)

#define DOCTOR_LISTENS_MAX 256u /* as many as --listen takes */

enum doctor_grade {
    DOCTOR_OK,
    DOCTOR_NOTE, /* not as it could be, but nothing is broken */
    DOCTOR_MEND
};

struct doctor {
    const struct options *options;
    const char *check; /* whose turn it is */
    struct text text;  /* what was said so far */
    unsigned to_mend;
    char robots[SOURCES_MAX][OMNI_NAME_BYTES]; /* that are live, by check_sources */
    size_t robot_count;
    bool has_silent; /* program that has a name and does not tick, by check_sources */
    bool answers[DOCTOR_LISTENS_MAX]; /* an observer, at each --listen, by check_port */
};

/* One line. `remedy`: what to type; "" : nothing. The sentence begins small and has no full stop. */
void doctor_say(struct doctor *doctor, enum doctor_grade grade, const char *remedy,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* What stands before a remedy: "sudo " where this user may not signal that process, change that
 * file's mode, or remove that file; else "". A process or file that is not there takes no rights. */
const char *doctor_sudo_signal(pid_t process);
const char *doctor_sudo_change(const char *path);
const char *doctor_sudo_remove(const char *path);

#define DOCTOR_PROTOTYPE_(name) void doctor_check_##name(struct doctor *doctor);
DOCTOR_CHECKS(DOCTOR_PROTOTYPE_)

#endif
