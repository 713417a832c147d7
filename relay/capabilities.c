#include "capabilities.h"

#include <errno.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "complain.h"

static int set_raw(cap_t held) {
    static const cap_value_t raw[] = {CAP_NET_RAW};
    cap_flag_value_t permitted = CAP_CLEAR;
    if (cap_get_flag(held, CAP_NET_RAW, CAP_PERMITTED, &permitted) < 0 || permitted != CAP_SET)
        return -EPERM;
    if (cap_set_flag(held, CAP_EFFECTIVE, 1, raw, CAP_SET) < 0 || cap_set_proc(held) < 0)
        return -errno;
    return 0;
}

void capabilities_explain(struct omni_problem *problem, int error) {
    char program[128] = "omni-relay";
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length > 0)
        program[length] = '\0';
    complain_write(problem,
                   "CAP_NET_RAW is missing, without which no raw Ethernet socket can be opened "
                   "(%s): run it as root, or once: sudo setcap cap_net_raw+ep %s",
                   strerror(-error), program);
}

int capabilities_raise(struct omni_problem *problem) {
    cap_t held = cap_get_proc();
    int error = held != NULL ? set_raw(held) : -errno;
    (void)cap_free(held);
    if (error < 0)
        capabilities_explain(problem, error);
    return error;
}

int capabilities_drop(void) {
    cap_t none = cap_init();
    int error = none == NULL || cap_set_proc(none) < 0 ? -errno : 0;
    (void)cap_free(none);
    if (error == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        error = -errno;
    return error;
}
