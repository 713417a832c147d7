#include "vigil.h"

#include <signal.h>
#include <stddef.h>

#include "clock.h"

/* Locked memory is precious (--realtime). */
#define STACK_BYTES ((size_t)64 * 1024)

#define BEAT_NS (10 * CLOCK_NS_A_MILLISECOND)

static void *show_life(void *argument) {
    struct vigil *vigil = argument;
    while (!vigil->over) {
        omni_publisher_beat(vigil->publisher);
        (void)clock_sleep_until(clock_now_ns() + BEAT_NS);
    }
    return NULL;
}

/* Signals stay with the loop's thread. */
static int create_without_signals(struct vigil *vigil, const pthread_attr_t *attributes) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&vigil->thread, attributes, show_life, vigil);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

void vigil_begin(struct vigil *vigil, struct omni_publisher *publisher) {
    pthread_attr_t attributes;
    *vigil = (struct vigil){.publisher = publisher};
    if (publisher == NULL || pthread_attr_init(&attributes) != 0)
        return;
    if (pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0)
        vigil->runs = create_without_signals(vigil, &attributes) == 0;
    (void)pthread_attr_destroy(&attributes);
}

void vigil_end(struct vigil *vigil) {
    vigil->over = true;
    if (vigil->runs)
        (void)pthread_join(vigil->thread, NULL);
}
