/*
 * command.h - the commands of omni-observer: one function each, one table in main.c
 *
 * Each runs to its end and returns the exit code. Problems go to stderr, one line each, and say
 * what to type next.
 *
 *   serve   observer/serve.c     until SIGINT or SIGTERM
 *   list    command_list.c       at once
 *   watch   command_watch.c      until SIGINT, SIGTERM or SIGHUP
 *   dump    command_dump.c       until the publisher closes, --count, a signal, or a closed pipe
 *   sound_test  command_sound.c  until the sounds were played
 *   doctor  command_doctor.c     some seconds at most
 */
#ifndef OBSERVER_COMMAND_H
#define OBSERVER_COMMAND_H

#include "options.h"

/* What scripts may rely on; docs/man/omni-observer.1 has them too. */
enum exit_code {
    EXIT_DONE = 0,      /* it ended as it should */
    EXIT_RUNTIME = 1,   /* something failed on the way; doctor: there is something to mend */
    EXIT_USAGE = 2,     /* command line, environment, config file, an address that is in use, a
                           source that takes no turns with us (dump --lockstep) */
    EXIT_NO_SOURCE = 3, /* watch and dump: there is no such source */
    EXIT_ENDED = 4      /* dump: the publisher ended without a word, its segment was removed, or
                           another publisher has begun in its place */
};

int command_serve(const struct options *options);
int command_list(const struct options *options);
int command_watch(const struct options *options);
int command_dump(const struct options *options);
int command_sound_test(const struct options *options);
int command_doctor(const struct options *options);

#endif
