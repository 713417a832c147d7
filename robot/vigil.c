#include "vigil.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "clock.h"
#include "service/say.h"

/* Locked memory is precious (--realtime). */
#define STACK_BYTES ((size_t)256 * 1024)

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
    int error = pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (error == 0)
        error = create_without_signals(vigil, &attributes);
    vigil->runs = error == 0;
    if (error != 0)
        say(SAY_WARNING,
            "no thread can show life while the board opens or closes (%s): if that takes two "
            "seconds, another robot may begin in this one's region",
            strerror(error));
    (void)pthread_attr_destroy(&attributes);
}

void vigil_end(struct vigil *vigil) {
    vigil->over = true;
    if (vigil->runs)
        (void)pthread_join(vigil->thread, NULL);
}
