#include "calls.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static volatile sig_atomic_t counted;

static void on_call(int number) {
    (void)number;
    counted++;
}

#define LOAD_NUMBER  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define ALLOW(call)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), RETURN(SECCOMP_RET_ALLOW)

int calls_count(void) {
    static struct sock_filter steps[] = {
        LOAD_NUMBER,
        ALLOW(SYS_clock_nanosleep),
#ifdef SYS_clock_nanosleep_time64
        ALLOW(SYS_clock_nanosleep_time64),
#endif
#ifdef SYS_sigreturn
        ALLOW(SYS_sigreturn),
#endif
        ALLOW(SYS_rt_sigreturn),
        ALLOW(SYS_exit_group),
        RETURN(SECCOMP_RET_TRAP),
    };
    struct sock_fprog filter = {.len = sizeof steps / sizeof steps[0], .filter = steps};
    struct sigaction action = {.sa_handler = on_call};
    if (sigaction(SIGSYS, &action, NULL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        return -errno;
    counted = 0;
    return 0;
}

uint64_t calls_counted(void) {
    return (uint64_t)counted;
}
