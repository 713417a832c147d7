/* Reads every tick of a source and says it as a line of JSON, numbers as strings so that none is
 * rounded: for tests in which publisher and reader run on different CPUs. Needs nothing but
 * libomni, and sleeps on the futex.
 *   reader DIRECTORY NAME [SECONDS]    the longest sleep, default 1: what a wake costs that was
 *                                      missed, because the publisher asked for no certain one
 * Says "attached" first. Exits 0 once the publisher has closed and all was read; 3 where the
 * segment is refused, with the reason on standard error; 2 on other errors. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <omni/observe.h>
#include <omni/wait.h>

#define SECOND_NS 1000000000u

/* One element, whatever its type; text is printed elsewhere. */
static void say_element(enum omni_type type, const unsigned char *at) {
    union {
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        float f32;
        double f64;
    } value;
    memcpy(&value, at, omni_type_bytes(type));
    switch (type) {
    case OMNI_TYPE_bool:
    case OMNI_TYPE_enum:
    case OMNI_TYPE_u8:
        printf("\"%u\"", value.u8);
        break;
    case OMNI_TYPE_i8:
        printf("\"%d\"", value.i8);
        break;
    case OMNI_TYPE_i16:
        printf("\"%d\"", value.i16);
        break;
    case OMNI_TYPE_u16:
        printf("\"%u\"", value.u16);
        break;
    case OMNI_TYPE_i32:
        printf("\"%" PRId32 "\"", value.i32);
        break;
    case OMNI_TYPE_u32:
        printf("\"%" PRIu32 "\"", value.u32);
        break;
    case OMNI_TYPE_i64:
        printf("\"%" PRId64 "\"", value.i64);
        break;
    case OMNI_TYPE_u64:
        printf("\"%" PRIu64 "\"", value.u64);
        break;
    case OMNI_TYPE_f32:
        printf("\"%.9g\"", (double)value.f32);
        break;
    case OMNI_TYPE_f64:
        printf("\"%.17g\"", value.f64);
        break;
    case OMNI_TYPE_text:
        break;
    }
}

static void say_field(const struct omni_field *field, const unsigned char *payload) {
    const unsigned char *at = payload + field->offset;
    printf("\"%s\":[", field->name);
    if (field->type == OMNI_TYPE_text) {
        printf("\"%.*s\"", (int)field->bytes, (const char *)at);
    } else {
        for (size_t i = 0; i < field->count; i++) {
            printf("%s", i > 0 ? "," : "");
            say_element((enum omni_type)field->type, at + i * omni_type_bytes(field->type));
        }
    }
    printf("]");
}

static void say_tick(const struct omni_table *table, const struct omni_stamp *stamp,
                     const unsigned char *payload) {
    printf("{\"tick\":%" PRIu64 ",\"missed\":%" PRIu64 ",\"values\":{", stamp->tick, stamp->missed);
    for (uint32_t i = 0; i < table->field_count; i++) {
        printf("%s", i > 0 ? "," : "");
        say_field(&table->fields[i], payload);
    }
    puts("}}");
}

/* Whatever is there now. Returns the version after which there was nothing. */
static uint32_t drain(struct omni_observer *observer, unsigned char *payload) {
    static uint32_t seen;
    struct omni_stamp stamp;
    while (omni_observer_next(observer, &stamp, payload) == 0) {
        say_tick(omni_observer_table(observer), &stamp, payload);
        seen = stamp.version;
    }
    fflush(stdout);
    return seen;
}

static int follow(struct omni_observer *observer, uint64_t longest_sleep_ns) {
    unsigned char *payload = malloc(omni_observer_payload_bytes(observer));
    int error = payload != NULL ? 0 : -ENOMEM;
    while (error == 0 || error == -EINTR || error == -ETIMEDOUT)
        error = omni_wait_version(observer, drain(observer, payload), longest_sleep_ns);
    if (error == -EPIPE)
        (void)drain(observer, payload);
    free(payload);
    if (error == -EPIPE)
        return 0;
    fprintf(stderr, "cannot wait: %s\n", strerror(-error));
    return 2;
}

int main(int count, char **words) {
    struct omni_observer *observer;
    struct omni_problem problem;
    if (count != 3 && count != 4) {
        fprintf(stderr, "usage: %s DIRECTORY NAME [SECONDS]\n", words[0]);
        return 2;
    }
    const struct omni_observer_options options = {.directory = words[1]};
    if (omni_observer_attach(&observer, words[2], &options, &problem) < 0) {
        fprintf(stderr, "%s\n", problem.text);
        return 3;
    }
    puts("attached");
    fflush(stdout);
    int status = follow(observer, SECOND_NS * (count > 3 ? strtoull(words[3], NULL, 10) : 1));
    omni_observer_detach(observer);
    return status;
}
