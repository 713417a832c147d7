/*
 * board_driver.c - the board behind a driver in a shared object (omni/driver.h)
 *
 * Where the driver is for this robot's own CPU, it is loaded into the robot: a call is a call. For
 * another CPU, where the user wants it kept apart, or where the robot has privileges that its caller
 * has not, a host process has it (driver_remote.h). Both read and command within the tick.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board.h"
#include "clock.h"
#include "complain.h"
#include "driver.h"
#include "driver_remote.h"

static_assert(OMNI_DRIVER_SENSORS == BEHAVIOUR_SENSORS && OMNI_DRIVER_MOTORS == DRIVE_WHEELS,
              "a driver is for this robot");

struct board {
    struct driver_remote *remote; /* NULL: the driver is in this process */
    struct driver local;
    char path[PATH_MAX];
};

/* ---- opening ---- */

/* Whether this program has privileges of its file (setcap, set-user-id, set-group-id). */
static bool is_privileged(void) {
    return getauxval(AT_SECURE) != 0;
}

/* Returns -errno with a sentence for what is there, but cannot be read as a file. */
static int check_object(const char *path, const char *named, struct omni_problem *problem) {
    struct stat facts;
    if (stat(path, &facts) < 0)
        return complain(problem, -errno, "--board driver:%s: %s", named, strerror(errno));
    if (S_ISDIR(facts.st_mode))
        return complain(problem, -EISDIR,
                        "--board driver:%s: this is a folder: name the driver's file in it, as in "
                        "--board driver:PATH.so",
                        named);
    /* Asked for who will read it: for the caller, where a host does without such privileges. */
    if (faccessat(AT_FDCWD, path, R_OK, is_privileged() ? 0 : AT_EACCESS) < 0)
        return complain(
            problem, -errno,
            "--board driver:%s: this user may not read it: make it readable (chmod a+r), "
            "or start the robot as another user",
            named);
    return 0;
}

static int find_object(char path[PATH_MAX], const char *named, struct omni_problem *problem) {
    char here[PATH_MAX] = "";
    if (named == NULL || named[0] == '\0')
        return complain(problem, -EINVAL, "--board driver needs a path: --board driver:PATH.so");
    if (realpath(named, path) != NULL)
        return check_object(path, named, problem);
    int error = -errno;
    if (error == -ENOENT && named[0] != '/' && getcwd(here, sizeof here) != NULL)
        return complain(problem, error,
                        "--board driver:%s: there is no such file, seen from %s: type the path of "
                        "the driver's .so file",
                        named, here);
    return complain(problem, error, "--board driver:%s: %s: type the path of the driver's .so file",
                    named, strerror(-error));
}

/* With such privileges the robot runs no code that its caller chose: the host has none of them. */
static bool may_load(const struct board_setup *setup) {
    return !setup->isolate_driver && setup->driver_host == NULL && !is_privileged();
}

/* What the files say: which driver, and who is to have it. */
struct plan {
    char path[PATH_MAX];
    struct host_program program;
    bool is_remote; /* by that program */
};

static int plan_remote(struct plan *plan, const struct board_setup *setup, const struct cpu *cpu,
                       const struct cpu *own, struct omni_problem *problem) {
    plan->is_remote = true;
    if (cpu->order != own->order)
        return complain(problem, -ENOEXEC,
                        "the driver %s is for %s, whose byte order is not that of this CPU (%s): "
                        "they cannot work together",
                        plan->path, cpu->name, own->name);
    return host_find(&plan->program, cpu, cpu == own, setup->driver_host, problem);
}

static int make_plan(struct plan *plan, const struct board_setup *setup,
                     struct omni_problem *problem) {
    const struct cpu *cpu = NULL;
    const struct cpu *own = NULL;
    int error = find_object(plan->path, setup->argument, problem);
    if (error == 0)
        error = cpu_of_file(plan->path, &cpu, problem);
    if (error == 0)
        error = cpu_of_file("/proc/self/exe", &own, problem);
    plan->is_remote = false;
    if (error == 0 && (cpu != own || !may_load(setup)))
        error = plan_remote(plan, setup, cpu, own, problem);
    return error;
}

static int driver_board_check(const struct board_setup *setup, struct omni_problem *problem) {
    struct plan plan;
    return make_plan(&plan, setup, problem);
}

static int open_one(struct board *board, const struct board_setup *setup,
                    struct omni_problem *problem) {
    struct plan plan;
    int error = make_plan(&plan, setup, problem);
    if (error < 0)
        return error;
    memcpy(board->path, plan.path, sizeof board->path);
    if (!plan.is_remote)
        return driver_open(&board->local, board->path, setup->driver_config, problem);
    struct driver_keeper_settings settings = {
        .driver = board->path,
        .config = setup->driver_config,
        .priority = setup->priority.sensor,
        .stop = setup->stop,
    };
    return driver_remote_open(&board->remote, &settings, setup->period_ns, &plan.program, problem);
}

static int driver_board_open(struct board **board, const struct board_setup *setup,
                             struct omni_problem *problem) {
    struct board *made = calloc(1, sizeof *made);
    if (made == NULL)
        return complain(problem, -ENOMEM, "no memory for a board");
    int error = open_one(made, setup, problem);
    if (error < 0) {
        free(made);
        return error;
    }
    *board = made;
    return 0;
}

/* ---- in the tick ---- */

static int driver_board_sense(struct board *board, struct board_reading *reading,
                              uint64_t *read_ns) {
    struct omni_driver_reading got;
    uint64_t moment_ns = clock_now_ns();
    int error = board->remote != NULL ? driver_remote_read(board->remote, &got, &moment_ns)
                                      : driver_read(&board->local, &got);
    if (error < 0)
        return error;
    memcpy(reading->range_mm, got.range_mm, sizeof reading->range_mm);
    *read_ns = moment_ns;
    return 0;
}

static int driver_board_set_motors(struct board *board, struct drive_powers powers) {
    struct omni_driver_powers command = {{0}, 0};
    memcpy(command.percent, powers.wheel, sizeof command.percent);
    return board->remote != NULL ? driver_remote_drive(board->remote, command)
                                 : driver_drive(&board->local, command);
}

static void driver_board_report(const struct board *board, struct robot_status *status) {
    if (board->remote == NULL)
        return;
    struct driver_remote_facts facts = driver_remote_facts(board->remote);
    status->driver_restarts = facts.restarts;
    status->driver_silent = facts.silent;
}

static void driver_board_close(struct board *board) {
    if (board == NULL)
        return;
    if (board->remote != NULL)
        driver_remote_close(board->remote);
    else
        driver_close(&board->local);
    free(board);
}

const struct board_kind board_driver = {
    .name = "driver",
    .takes_argument = true,
    .check = driver_board_check,
    .open = driver_board_open,
    .sense = driver_board_sense,
    .set_motors = driver_board_set_motors,
    .report = driver_board_report,
    .close = driver_board_close,
};
