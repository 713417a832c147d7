#include <assert.h>
#include <errno.h>

#include <omni/lockstep.h>
#include <omni/region.h>

#include "problem.h"

static_assert(sizeof(struct omni_turn) == 64, "the same on every CPU");

int omni_lockstep_open(struct omni_handoff **turns, const char *directory, const char *name,
                       enum omni_handoff_side side, struct omni_problem *problem) {
    char path[OMNI_PATH_BYTES];
    int error = omni_region_path(path, directory, OMNI_FILE_STEP, name);
    if (error < 0)
        return omni_problem(problem, error, "\"%.64s\" cannot name a source in lockstep", name);
    error = omni_handoff_open(turns, path, side, sizeof(struct omni_turn), problem);
    if (error != -EBUSY)
        return error;
    if (side == OMNI_HANDOFF_ASKER)
        return omni_problem(problem, error,
                            "\"%s\" runs in lockstep already: stop it, or choose another name",
                            name);
    return omni_problem(problem, error,
                        "another consumer takes the ticks of \"%s\" already: end that one first",
                        name);
}
