/*
 * spinner.c - a program that hangs on demand: its main thread never sleeps again
 *
 *     LD_PRELOAD=.../spinner.so omni-robot ...
 *     kill -USR1 PID
 *
 * It spins in a signal's handler, with the scheduling that the thread has then. In omni-robot the main
 * thread is the loop; threads beside it, and the motors' guard, block the signal.
 */
#include <signal.h>
#include <stddef.h>

static void spin(int signal) {
    (void)signal;
    for (volatile unsigned turns = 0;; turns = turns + 1) {
    }
}

__attribute__((constructor)) static void wait_for_signal(void) {
    struct sigaction action = {.sa_handler = spin};
    (void)sigaction(SIGUSR1, &action, NULL);
}
