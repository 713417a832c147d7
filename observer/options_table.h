/*
 * options_table.h - the table of options as data, for options*.c only
 *
 * One struct option per line of OPTIONS; options_set() is the one door through which a value from
 * anywhere (command line, environment, config file, default) comes into struct options.
 */
#ifndef OBSERVER_OPTIONS_TABLE_H
#define OBSERVER_OPTIONS_TABLE_H

#include "options.h"

enum options_kind {
    OPTIONS_KIND_flag,
    OPTIONS_KIND_show,
    OPTIONS_KIND_named,
    OPTIONS_KIND_label,
    OPTIONS_KIND_number,
    OPTIONS_KIND_count,
    OPTIONS_KIND_decimal,
    OPTIONS_KIND_span,
    OPTIONS_KIND_size,
    OPTIONS_KIND_choice,
    OPTIONS_KIND_text,
    OPTIONS_KIND_config,
    OPTIONS_KIND_texts,
    OPTIONS_KIND_addresses,
    OPTIONS_KIND_regions,
    OPTIONS_KIND_users,
    OPTIONS_KINDS_COUNT
};

#define OPTIONS_ONE_(...) +1
enum { OPTIONS_COUNT = 0 OPTIONS(OPTIONS_ONE_) };
#define OPTIONS_NAME_BYTES 32u
#define OPTIONS_LIST_MAX   256u /* values of one option */

struct option {
    char name[OPTIONS_NAME_BYTES];     /* as a user writes it: "max-clients" */
    char variable[OPTIONS_NAME_BYTES]; /* in the environment: "OMNI_MAX_CLIENTS" */
    const char *argument;              /* "" : a flag */
    const char *fallback;              /* the default as text; "" : none */
    const char *prose;                 /* "" : hidden */
    double low;
    double high;
    size_t offset; /* in struct options */
    enum options_kind kind;
    unsigned commands; /* bits 1 << COMMAND_... */
    char letter;       /* 0: none */
};

/* Where a value came from: a greater one wins. */
enum options_rank {
    OPTIONS_RANK_NONE,
    OPTIONS_RANK_DEFAULT,
    OPTIONS_RANK_CONFIG,
    OPTIONS_RANK_ENVIRONMENT,
    OPTIONS_RANK_COMMAND_LINE
};

/* One pass over all places. */
struct options_run {
    struct options options;
    struct omni_problem *problem; /* never NULL */
    enum options_rank rank[OPTIONS_COUNT];
    struct option table[OPTIONS_COUNT];
};

/* A value on its way in. `origin` is what the complaint begins with. */
struct options_setting {
    const struct option *option;
    const char *origin;
    const char *value;
    enum options_rank rank;
};

/* Takes a value over unless a greater rank has spoken: so the places are read from the greatest
 * rank down, and a list only grows within one. Returns 0, -EINVAL (problem set), -ENOMEM.
 */
int options_set(struct options_run *run, const struct options_setting *setting);

/* The option of that name, or NULL; the nearest one by spelling, or NULL where none is near.
 * `length`: bytes of name. */
const struct option *options_find(const struct options_run *run, const char *name, size_t length);
const struct option *options_nearest(const struct options_run *run, const char *name);

/* Writes the problem, one line whatever the user's text contains. Returns -EINVAL. */
int options_complain(struct options_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Reads the config file. Returns 0, -EINVAL or -ENOMEM, problem set. */
int options_read_config(struct options_run *run, const char *path);

/* Says so in the problem; returns -ENOMEM. */
int options_out_of_memory(struct options_run *run);

/* Whether it takes several values; the list of such an option, emptied. */
bool options_is_list(const struct option *option);
void options_empty_list(const struct option *option, void *member);

/* Memory that lives as long as the options; NULL where there is none. */
void *options_keep_bytes(struct options *options, size_t bytes);
/* Copies text that has to live as long as the options; NULL where there is no memory. */
const char *options_keep(struct options *options, const char *text, size_t length);

/* Fills the table from OPTIONS. Names are derived from the members, so that they cannot disagree.
 */
void options_table_make(struct option table[OPTIONS_COUNT]);

#endif
