/* Takes the place of a driver's host, and refuses to open: with a sentence that has no end and would
 * change the colours of a terminal. Needs nothing but libomni, so that an emulator finds all of it
 * wherever it finds omni-driver-host's libraries.
 *   lying_host ...    the descriptor and the arguments of omni-driver-host */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <omni/handoff.h>

#include "../../robot/driver_call.h"

#define PATIENCE_SECONDS 20

int main(void) {
    struct omni_handoff *handoff;
    alarm(3 * PATIENCE_SECONDS);
    if (omni_handoff_join(&handoff, DRIVER_CALL_FILE, sizeof(struct driver_call), NULL) < 0)
        return 1;
    struct driver_call *call = omni_handoff_memory(handoff);
    int error;
    while ((error = omni_handoff_await_request(handoff, PATIENCE_SECONDS * UINT64_C(1000000000))) ==
           -EINTR) {
    }
    memset(call->problem.text, 'x', sizeof call->problem.text);
    memcpy(call->problem.text, "red: \033[31m \xc2\x9b, f\xc3\xbcr", 19);
    call->result = -EIO;
    if (error == 0)
        (void)omni_handoff_answer(handoff);
    (void)pause();
    return 0;
}
