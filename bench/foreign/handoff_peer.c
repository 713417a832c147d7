/*
 * handoff_peer - the other side of bench/handoff, built for each CPU; needs only libomni
 *
 *     handoff_peer handoff PATH    answers the hand-off at PATH until its asker ends
 *     handoff_peer bare PATH       the same with nothing but two futex words (bare.h), until killed
 */
#include <errno.h>
#include <string.h>

#include <omni/handoff.h>

#include "bare.h"

static int answer_handoff(const char *path) {
    struct omni_handoff *handoff = NULL;
    int error;
    if (omni_handoff_open(&handoff, path, OMNI_HANDOFF_ANSWERER, 0, NULL) < 0)
        return 1;
    while ((error = omni_handoff_await_request(handoff, OMNI_HANDOFF_FOREVER)) == 0)
        (void)omni_handoff_answer(handoff);
    omni_handoff_close(handoff);
    return error == -EPIPE ? 0 : 1;
}

static int answer_bare(const char *path) {
    struct bare *bare = bare_open(path);
    if (bare == NULL)
        return 1;
    bare->ready = 1;
    for (uint32_t number = 0;;) {
        number = bare_await(&bare->asked, number);
        bare_say(&bare->answered, number);
    }
}

int main(int count, char **arguments) {
    if (count == 3 && strcmp(arguments[1], "handoff") == 0)
        return answer_handoff(arguments[2]);
    if (count == 3 && strcmp(arguments[1], "bare") == 0)
        return answer_bare(arguments[2]);
    return 2;
}
