#include "vigil.h"

#include <string.h>

#include "clock.h"
#include "service/say.h"
#include "thread.h"

#define BEAT_NS (10 * CLOCK_NS_A_MILLISECOND)

static void *show_life(void *argument) {
    struct vigil *vigil = argument;
    while (!vigil->over) {
        omni_publisher_beat(vigil->publisher);
        (void)clock_sleep_until(clock_now_ns() + BEAT_NS);
    }
    return NULL;
}

void vigil_begin(struct vigil *vigil, struct omni_publisher *publisher, int priority) {
    *vigil = (struct vigil){.publisher = publisher};
    if (publisher == NULL)
        return;
    int error = thread_start(&vigil->thread, show_life, vigil, priority);
    vigil->runs = error == 0;
    if (error < 0)
        say(SAY_WARNING,
            "no thread can show life while the board opens or closes (%s): if that takes two "
            "seconds, another robot may begin in this one's region",
            strerror(-error));
}

void vigil_end(struct vigil *vigil) {
    vigil->over = true;
    if (vigil->runs)
        (void)pthread_join(vigil->thread, NULL);
}
