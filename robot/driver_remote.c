#include "driver_remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "complain.h"
#include "driver.h"

struct driver_remote {
    struct driver_keeper keeper;
    uint64_t budget_ns;
    uint64_t deadline_ns; /* of this tick's waiting */
    uint64_t asked_ns;    /* the request that stands, or the last one */
    bool owed;            /* the host owes an answer */
    enum driver_call_wish wish;
    bool told;                        /* the newest powers have gone to the host */
    bool in_time;                     /* this tick has missed no answer */
    struct omni_driver_powers powers; /* newest command */
    int drive_error;                  /* that no drive() has returned yet */
    int read_error;                   /* why this tick has nothing new, where it has not */
    bool has_new;                     /* a reading that no read() has returned yet */
    struct omni_driver_reading reading;
    uint64_t read_ns; /* when it was asked for */
    uint32_t silent;
};

int driver_remote_open(struct driver_remote **remote, const struct driver_keeper_settings *settings,
                       uint64_t period_ns, const struct host_program *program,
                       struct omni_problem *problem) {
    struct driver_remote *made = calloc(1, sizeof *made);
    if (made == NULL)
        return complain(problem, -ENOMEM, "no memory for a driver");
    made->told = true;
    made->budget_ns = period_ns / 2;
    if (made->budget_ns > DRIVER_REMOTE_BUDGET_MOST_NS)
        made->budget_ns = DRIVER_REMOTE_BUDGET_MOST_NS;
    int error = driver_keeper_start(&made->keeper, settings, program, problem);
    if (error < 0) {
        free(made);
        return error;
    }
    *remote = made;
    return 0;
}

/* ---- what an answer says ---- */

/* A good reading that came late is kept, whatever the next answer says. */
static void take_reading(struct driver_remote *remote, int error) {
    if (error < 0) {
        remote->read_error = error;
        return;
    }
    remote->reading = remote->keeper.call->reading;
    driver_clip(&remote->reading);
    remote->read_ns = remote->asked_ns;
    remote->has_new = true;
}

/* It was written by a process that may be broken, and may write still: each word is read once. */
static void take_answer(struct driver_remote *remote) {
    const volatile int32_t *result = &remote->keeper.call->result;
    int error = driver_error(*result);
    remote->owed = false;
    if (remote->wish == CALL_READ)
        take_reading(remote, error);
    else if (error < 0)
        remote->drive_error = error;
}

/* ---- asking ---- */

static int await(const struct driver_remote *remote) {
    int error;
    do {
        uint64_t now = clock_now_ns();
        uint64_t left = now < remote->deadline_ns ? remote->deadline_ns - now : 0;
        error = omni_handoff_await_answer(remote->keeper.handoff, left);
    } while (error == -EINTR);
    return error;
}

static int give_back(struct driver_remote *remote, int reason) {
    remote->owed = false;
    remote->told = true;
    driver_keeper_take_back(&remote->keeper, reason);
    return reason;
}

/* Waits for what is owed, to the end of the budget. Returns 0 where nothing is owed any more.
 * A command that nobody is there to obey is not kept for the next host. */
static int settle(struct driver_remote *remote) {
    if (!driver_keeper_lends(&remote->keeper)) {
        remote->told = true;
        return -ENOTCONN;
    }
    if (!remote->owed)
        return 0;
    int error = await(remote);
    if (error == 0)
        take_answer(remote);
    else if (error != -ETIMEDOUT || clock_now_ns() - remote->asked_ns > DRIVER_REMOTE_SILENT_NS)
        return give_back(remote, error);
    return error;
}

static int request(struct driver_remote *remote, enum driver_call_wish wish) {
    struct driver_keeper *keeper = &remote->keeper;
    keeper->call->wish = wish;
    keeper->call->powers = remote->powers;
    uint64_t asked_ns = clock_now_ns();
    int error = omni_handoff_ask(keeper->handoff);
    if (error < 0)
        return give_back(remote, error);
    remote->wish = wish;
    remote->asked_ns = asked_ns;
    remote->owed = true;
    return settle(remote);
}

static int deliver(struct driver_remote *remote) {
    remote->told = true;
    return request(remote, CALL_DRIVE);
}

static void note(struct driver_remote *remote, int error) {
    if (error < 0 && remote->in_time) {
        remote->in_time = false;
        remote->silent++;
    }
}

/* Who owes an answer since the tick before is only looked at: the time that a tick may wait was
 * given to it already. */
int driver_remote_read(struct driver_remote *remote, struct omni_driver_reading *reading,
                       uint64_t *read_ns) {
    uint64_t now = clock_now_ns();
    remote->in_time = true;
    remote->read_error = -ETIMEDOUT;
    remote->deadline_ns = remote->owed ? now : now + remote->budget_ns;
    int error = settle(remote);
    remote->deadline_ns = now + remote->budget_ns;
    if (error == 0 && !remote->told)
        error = deliver(remote);
    if (error == 0)
        error = request(remote, CALL_READ);
    else
        remote->deadline_ns = now;
    note(remote, error);
    if (!remote->has_new)
        return remote->read_error;
    remote->has_new = false;
    *reading = remote->reading;
    *read_ns = remote->read_ns;
    return 0;
}

int driver_remote_drive(struct driver_remote *remote, struct omni_driver_powers powers) {
    remote->powers = powers;
    remote->told = false;
    int error = settle(remote);
    if (error == 0)
        error = deliver(remote);
    note(remote, error);
    error = remote->drive_error;
    remote->drive_error = 0;
    return error;
}

struct driver_remote_facts driver_remote_facts(const struct driver_remote *remote) {
    return (struct driver_remote_facts){remote->keeper.restarts, remote->silent};
}

void driver_remote_close(struct driver_remote *remote) {
    if (remote == NULL)
        return;
    driver_keeper_stop(&remote->keeper);
    free(remote);
}
