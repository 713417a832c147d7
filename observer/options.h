/*
 * options.h - what the user wants: one table → command line, environment, config file, help, man
 * page
 *
 * Purpose
 *   OPTIONS below is the only list of options. From it come the members of struct options, the
 *   parser of the command line ("--max-clients 5"), the environment variables (OMNI_MAX_CLIENTS=5),
 *   the keys of the config file ("max-clients": 5), --help and the options section of the man page.
 *
 * Calling sequence
 *     struct options options;
 *     struct omni_problem problem;
 *     if (options_parse(&options, argc, argv, environ, &problem) < 0)
 *         ... print problem.text, exit 2 ...
 *     ... options.max_clients ...
 *     options_free(&options);
 *
 * Precedence
 *   Command line, then environment, then config file, then default. A list that is given at one
 *   place replaces the lists of the places below; repeated at the same place it grows, up to 256
 *   values.
 *
 * Adding an option
 *   One line in OPTIONS, and the text that `make test` asks for in docs/man/omni-observer.1.
 */
#ifndef OBSERVER_OPTIONS_H
#define OBSERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include <omni/schema.h>

/* X(name, word, operand, prose). The first one is what happens without a command. */
#define COMMANDS(X)                                                                                \
    X(serve, "serve", "", "show all sources in a web page (the default)")                          \
    X(list, "list", "", "name all sources and their states")                                       \
    X(watch, "watch", "SOURCE", "show one source in the terminal, live")                           \
    X(dump, "dump", "SOURCE", "write every tick of one source, one line each")                     \
    X(sound_test, "sound-test", "", "play each of the sounds once")                                \
    X(doctor, "doctor", "", "say what is wrong with this machine, and what to type")

#define COMMANDS_ID_(name, ...) COMMAND_##name,
enum command { COMMANDS(COMMANDS_ID_) COMMANDS_COUNT };

/* X(kind, member, letter, argument, default, low, high, commands, prose)
 *   kind      how a value is written and what the member is: see OPTIONS_TYPE_ below
 *   member    of struct options; the option's name with _ for -
 *   default   as a user would write it; "" : none
 *   low, high bounds of numbers, sizes (bytes) and decimals
 *   commands  which ones it is for: see OPTIONS_FOR_ below
 * The prose begins in small letters and has no full stop at its end. */
/* clang-format off */
#define OPTIONS(X)                                                                                 \
    X(text, directory, 'd', "DIR", "/dev/shm", 0, 0, every,                                        \
      "where the segments are")                                                                    \
    X(regions, region, 'R', "ADDRESS", "", 0, 0, finding,                                          \
      "show what is published there, too, in memory that machines share: file:PATH, "              \
      "devmem:ADDRESS+LENGTH or pci:SLOT/resource2[_wc]; repeatable")                              \
    X(users, trust, 't', "USER", "", 0, 0, every,                                                  \
      "believe the segments of this user (name or id) too, beside your own and root's; repeatable")\
    X(config, config, 'c', "FILE", "", 0, 0, every,                                                \
      "read more options from this JSON file, an object with an option's name for each key")       \
    X(flag, quiet, 'q', "", "no", 0, 0, every,                                                     \
      "print nothing but what was asked for, and errors")                                          \
    X(show, help, 'h', "", "no", 0, 0, every,                                                      \
      "print this and exit")                                                                       \
    X(show, version, 'V', "", "no", 0, 0, every,                                                   \
      "print the version and exit")                                                                \
    X(show, help_man, 0, "", "no", 0, 0, every, "")                                                \
    X(addresses, listen, 'l', "ADDRESS:PORT", "127.0.0.1:8080", 0, 0, serving,                     \
      "where to answer, IPv6 in brackets; port 0 takes a free one; repeatable")                    \
    X(choice, require_token, 0, "auto|always|never", "auto", 0, 0, serving,                        \
      "ask visitors for the token; auto: where an address is not loopback or a host is allowed")   \
    X(text, token_file, 0, "FILE", "", 0, 0, serving,                                              \
      "where the token is kept; made on first use (default "                                       \
      "$XDG_STATE_HOME/omniscient/token or ~/.local/state/omniscient/token; without a home "       \
      "/var/lib/omniscient/token)")                                                                \
    X(texts, allow_host, 0, "NAME", "", 0, 0, serving,                                             \
      "answer to this host name too, for example a reverse proxy's; repeatable")                   \
    X(label, announce, 0, "[=NAME]", "yes", 0, 0, serving,                                         \
      "announce the page on the network (mDNS, where an avahi-daemon runs) as NAME, or as this "   \
      "machine's name; only where an address is not loopback; =no: never")                         \
    X(size, history, 0, "SIZE", "3MiB", 65536, 1073741824, serving,                                \
      "memory for the past of each source")                                                        \
    X(number, max_clients, 0, "N", "1000", 1, 100000, serving,                                     \
      "WebSocket clients at a time; an open page counts as two")                                   \
    X(number, max_requests, 0, "N", "256", 1, 100000, serving,                                     \
      "HTTP connections at a time; also connections that have not asked anything yet")             \
    X(size, max_message, 0, "SIZE", "4KiB", 256, 1048576, serving,                                 \
      "longest message that a WebSocket client may send")                                          \
    X(size, backlog, 0, "SIZE", "256KiB", 4096, 67108864, serving,                                 \
      "events that may wait for one slow client; more closes it")                                  \
    X(number, header_timeout, 0, "SECONDS", "10", 1, 3600, serving,                                \
      "from connecting to a whole request")                                                        \
    X(number, idle_timeout, 0, "SECONDS", "30", 1, 3600, serving,                                  \
      "how long an HTTP connection may rest between requests")                                     \
    X(number, blocked_timeout, 0, "SECONDS", "10", 1, 3600, serving,                               \
      "how long a WebSocket client may take nothing before it is closed")                          \
    X(number, ping_interval, 0, "SECONDS", "5", 1, 3600, serving,                                  \
      "between pings; who does not answer before the next is closed")                              \
    X(text, sound_device, 0, "NAME", "default", 0, 0, sounding,                                    \
      "the ALSA device that plays")                                                                \
    X(text, sound_dir, 0, "DIR", "", 0, 0, sounding,                                               \
      "play your own WAV, FLAC and OGG files: those whose names begin with cluck, squawk or alarm")\
    X(span, sound_interval, 0, "MIN-MAX", "5-20", 0.1, 3600, serving,                              \
      "seconds from one cluck to the next while a robot wanders, drawn at random")                 \
    X(number, sound_volume, 0, "PERCENT", "80", 0, 100, sounding,                                  \
      "how loud, beside what the mixer says")                                                      \
    X(flag, sound, 's', "", "no", 0, 0, serving,                                                   \
      "play chicken sounds from the start; visitors can switch them on and off")                   \
    X(named, host_source, 0, "[=NAME]", "no", 0, 0, serving,                                       \
      "publish this machine's own conditions (temperature, load, throttling, Wi-Fi signal) once a " \
      "second, as the source host or NAME")                                                        \
    X(text, host_root, 0, "DIR", "/", 0, 0, serving,                                               \
      "where the proc and sys are that they are read from")                                        \
    X(texts, ivshmem, 0, "SOCKET", "", 0, 0, serving,                                              \
      "be the shared-memory server that virtual machines (QEMU's ivshmem-doorbell) connect to at " \
      "this socket, and show the robot in them; repeatable, up to 8")                              \
    X(size, ivshmem_size, 0, "SIZE", "1MiB", 4096, 1073741824, serving,                            \
      "the memory that such machines share, a power of two")                                       \
    X(choice, ivshmem_wait, 0, "bell|poll", "bell", 0, 0, serving,                                 \
      "bell: a machine is asked to ring when its next tick is wanted; poll: it is left in peace, " \
      "and its memory looked at when a tick should be there")                                      \
    X(flag, json, 'j', "", "no", 0, 0, telling,                                                     \
      "one JSON object a line instead of a table")                                                 \
    X(decimal, rate, 'r', "HZ", "", 0.01, 100, watch,                                              \
      "at most so many updates a second (default 10 in a terminal, else 1)")                       \
    X(flag, wait, 'w', "", "no", 0, 0, looking,                                                    \
      "wait for a source that is not there yet")                                                   \
    X(flag, follow, 'f', "", "no", 0, 0, dump,                                                     \
      "go on when the source ends: wait for its next start")                                       \
    X(flag, lockstep, 0, "", "no", 0, 0, dump,                                                     \
      "take turns with a robot that was started with --lockstep: it goes on when the tick is written")\
    X(count, count, 'n', "N", "", 1, 9007199254740991.0, dump,                                     \
      "stop after so many ticks")                                                                  \
    X(choice, format, 0, "json|csv", "json", 0, 0, dump,                                           \
      "how a line is written")
/* clang-format on */

#define OPTIONS_FOR_every      ((1u << COMMANDS_COUNT) - 1u)
#define OPTIONS_FOR_serve      (1u << COMMAND_serve)
#define OPTIONS_FOR_list       (1u << COMMAND_list)
#define OPTIONS_FOR_watch      (1u << COMMAND_watch)
#define OPTIONS_FOR_dump       (1u << COMMAND_dump)
#define OPTIONS_FOR_sound_test (1u << COMMAND_sound_test)
#define OPTIONS_FOR_doctor     (1u << COMMAND_doctor)
/* doctor takes what serve would be given. */
#define OPTIONS_FOR_serving  (OPTIONS_FOR_serve | OPTIONS_FOR_doctor)
#define OPTIONS_FOR_finding  (OPTIONS_FOR_serving | OPTIONS_FOR_list)
#define OPTIONS_FOR_telling  (OPTIONS_FOR_list | OPTIONS_FOR_doctor)
#define OPTIONS_FOR_looking  (OPTIONS_FOR_watch | OPTIONS_FOR_dump)
#define OPTIONS_FOR_sounding (OPTIONS_FOR_serving | OPTIONS_FOR_sound_test)

struct options_texts {
    const char *const *items; /* NULL-terminated; never NULL itself */
    size_t count;
};

struct options_users {
    const uid_t *items;
    size_t count;
};

struct options_named {
    bool on;
    const char *name; /* NULL: the usual one */
};

struct options_span {
    double low;
    double high;
};

#define OPTIONS_TYPE_flag      bool /* nothing, or yes, no, true, false, on, off, 1, 0 */
#define OPTIONS_TYPE_named     struct options_named /* as a flag, or the name of a source */
#define OPTIONS_TYPE_label     struct options_named /* as a flag, or 1 to 63 bytes of UTF-8 */
#define OPTIONS_TYPE_show      bool                 /* the same, on the command line only */
#define OPTIONS_TYPE_number    unsigned
#define OPTIONS_TYPE_count     unsigned long long   /* 0: not given */
#define OPTIONS_TYPE_decimal   double               /* 0: not given */
#define OPTIONS_TYPE_span      struct options_span  /* 5-20, or 7 for 7-7 */
#define OPTIONS_TYPE_size      size_t               /* 65536, 64KiB, 4MiB, 1GiB (also K, M, G) */
#define OPTIONS_TYPE_choice    unsigned             /* place among the words of `argument` */
#define OPTIONS_TYPE_text      const char *         /* NULL: not given; never "" */
#define OPTIONS_TYPE_config    const char *         /* the same, not in a config file */
#define OPTIONS_TYPE_texts     struct options_texts /* environment: separated by commas */
#define OPTIONS_TYPE_addresses struct options_texts /* numeric address (or localhost) and port */
#define OPTIONS_TYPE_regions   struct options_texts /* addresses between machines */
#define OPTIONS_TYPE_users     struct options_users /* names are looked up */

/* The words of the choices, in their order. */
enum options_require_token { OPTIONS_TOKEN_AUTO, OPTIONS_TOKEN_ALWAYS, OPTIONS_TOKEN_NEVER };
enum options_ivshmem_wait { OPTIONS_IVSHMEM_BELL, OPTIONS_IVSHMEM_POLL };
enum options_format { OPTIONS_FORMAT_JSON, OPTIONS_FORMAT_CSV };

struct options_memory; /* what the values lie in */

#define OPTIONS_MEMBER_(kind, member, ...) OPTIONS_TYPE_##kind member;
struct options {
    OPTIONS(OPTIONS_MEMBER_)
    enum command command;
    const char *source; /* of watch and dump; else NULL */
    struct options_memory *memory;
};

/* Reads command line (argv[0] is skipped), environment ("NAME=value" strings, NULL at the end) and
 * config file. With --help, --version or --help-man only the command line is read. The strings of
 * `argv` and `environment` must outlive the options.
 * Returns 0; -EINVAL or -ENOMEM with one line in `problem` that says what is wrong where and what
 * to type instead. *options is untouched on failure. */
int options_parse(struct options *options, int argc, char *const *argv, char *const *environment,
                  struct omni_problem *problem);

/* Releases what the values lie in. NULL and an all-zero struct are fine. */
void options_free(struct options *options);

/* "serve", "list", ..., "sound-test" */
const char *options_command_name(enum command command);

/* What --help prints; what --help-man prints: the part of docs/man/omni-observer.1 that comes from
 * the table. */
void options_print_help(FILE *file);
void options_print_man(FILE *file);

#endif
