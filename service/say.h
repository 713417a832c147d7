/*
 * say.h - a line on standard error, graded where the journal reads it
 *
 * Purpose
 *   A person in a terminal wants a sentence; journald wants to know how grave it is, too:
 *   `journalctl -p warning` shows what somebody should look at. systemd tells in $JOURNAL_STREAM
 *   which file the journal reads; only where standard error is that file does a line begin with its
 *   grade (<3>, <4>, <6>: sd-daemon(3)), which the journal takes off again.
 *
 *   What is said may hold names that others chose: control characters become '?', but for the end of
 *   a line.
 *
 *   Who does not read keeps nobody waiting: where there is no room, nothing is said.
 *
 * Any thread; one write a call, so that lines of two threads do not mix. No memory is allocated.
 */
#ifndef SERVICE_SAY_H
#define SERVICE_SAY_H

/* Numbers of syslog(3). */
enum say_grade {
    SAY_ERROR = 3,   /* it ends, or does not do what it is for */
    SAY_WARNING = 4, /* it goes on, and somebody should look */
    SAY_INFO = 6     /* how it goes */
};

#define SAY_BYTES 1024

/* Says the sentence; its end of line is added. Lines within it are graded each; what is longer than
 * SAY_BYTES is cut. */
void say(enum say_grade grade, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
