/* guest.c - what bench/vm.mjs runs in a virtual machine (and outside, for comparison)
 *
 *     guest rate ADDRESS SECONDS          publishes without a pause; prints ticks a second
 *     guest latency ADDRESS TICKS         publishes a tick now and then and waits for the other side's answer, which is
 *                                         the tick's number in the last cache line of the region; prints nanoseconds,
 *                                         one line a tick
 *
 * Both say "open" first. Only one clock is involved in the latency, the guest's: of the whole way there, and of the way back, which is a word
 * in memory that this program spins on. The other side writes ANSWER_READY there when it is about to look. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <omni/publish.h>
#include <omni/region.h>
#include <omni/segment.h>

#define PLAIN(FIELD) FIELD(numbers, u64, values, 8, "", 0, 1e9, "64 bytes")
OMNI_STATUS(plain, PLAIN)

#define SECOND_NS UINT64_C(1000000000)
#define PAUSE_NS  3000000 /* between ticks, and up to a millisecond more: in no step with polling */
#define PERIOD_NS 3500000u

#define ANSWER_READY UINT32_MAX

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static void rest(long nanoseconds) {
    (void)nanosleep(&(struct timespec){.tv_nsec = nanoseconds}, NULL);
}

static int measure_rate(struct omni_publisher *publisher, uint64_t seconds) {
    struct plain plain = {0};
    uint64_t start_ns = now_ns();
    uint64_t end_ns = start_ns + seconds * SECOND_NS;
    uint64_t ticks = 0;
    uint64_t time_ns = start_ns;
    for (; time_ns < end_ns; time_ns = now_ns())
        for (unsigned i = 0; i < 1000; i++, ticks++) {
            plain.values[0] = ticks;
            omni_publish_at(publisher, &plain, (struct omni_time){time_ns, time_ns});
        }
    printf("%.0f\n", (double)ticks * 1e9 / (double)(time_ns - start_ns));
    return 0;
}

/* Gives up after ten seconds. */
static int await_answer(const volatile uint32_t *answer, uint32_t number) {
    for (uint64_t end_ns = now_ns() + 10 * SECOND_NS; *answer != number;)
        if (now_ns() > end_ns)
            return -ETIMEDOUT;
    return 0;
}

static int measure_latency(struct omni_publisher *publisher, const volatile uint32_t *answer,
                           uint64_t ticks) {
    struct plain plain = {0};
    int error = await_answer(answer, ANSWER_READY);
    for (uint64_t i = 0; i < ticks && error == 0; i++) {
        rest(PAUSE_NS + (long)(i * 379 % 1000) * 1000);
        plain.values[0] = i;
        uint64_t start_ns = now_ns();
        omni_publish_at(publisher, &plain, (struct omni_time){start_ns, start_ns});
        error = await_answer(answer, (uint32_t)omni_publisher_tick(publisher));
        printf("%" PRIu64 "\n", now_ns() - start_ns);
    }
    return error;
}

static int open_all(const char *text, struct omni_publisher **publisher, struct omni_region *region,
                    struct omni_problem *problem) {
    const struct omni_publisher_options options = {.region = text, .period_ns = PERIOD_NS};
    struct omni_region_options how = {0};
    struct omni_address address;
    int error = omni_publisher_open(publisher, "guest", plain_schema(), &options, problem);
    if (error == 0)
        error = omni_address_parse(&address, text, problem);
    if (error == 0)
        error = omni_region_open_shared(region, &address, OMNI_ACCESS_READ, &how, problem);
    return error;
}

int main(int count, char **words) {
    struct omni_publisher *publisher = NULL;
    struct omni_region region = OMNI_REGION_CLOSED;
    struct omni_problem problem = {.text = ""};
    if (count != 4) {
        fprintf(stderr, "usage: guest rate ADDRESS SECONDS | guest latency ADDRESS TICKS\n");
        return 2;
    }
    int error = open_all(words[2], &publisher, &region, &problem);
    uint64_t number = strtoull(words[3], NULL, 10);
    if (error == 0 && puts("open") >= 0)
        (void)fflush(stdout);
    if (error == 0 && strcmp(words[1], "rate") == 0)
        error = measure_rate(publisher, number);
    else if (error == 0)
        error =
            measure_latency(publisher,
                            (const volatile uint32_t *)(const void *)(region.bytes + region.size -
                                                                      OMNI_CACHE_LINE_BYTES),
                            number);
    if (error < 0)
        fprintf(stderr, "%s\n", problem.text[0] != '\0' ? problem.text : strerror(-error));
    omni_publisher_close(publisher);
    omni_region_close(&region);
    return error < 0 ? 1 : 0;
}
