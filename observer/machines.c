#include "machines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <omni/region.h>

#include "ivshmem.h"

struct machine {
    struct machines *owner;
    struct ivshmem *server;
    char address[OMNI_PATH_BYTES + 8];
    struct sources_bell bell;
};

struct machines {
    struct machine list[MACHINES_MAX];
    const struct sources_bell *bells[MACHINES_MAX];
    size_t count;
    struct sources *sources; /* NULL: not there yet */
};

static void on_rung(void *context) {
    struct machine *machine = context;
    if (machine->owner->sources != NULL)
        sources_rang(machine->owner->sources, &machine->bell);
}

static void listen_to(void *context) {
    struct machine *machine = context;
    ivshmem_listen(machine->server);
}

static int add(struct machines *machines, uv_loop_t *loop, const struct machines_options *options,
               const char *socket, struct omni_problem *problem) {
    struct machine *machine = &machines->list[machines->count];
    machine->owner = machines;
    struct ivshmem_options how = {.socket = socket,
                                  .directory = options->directory,
                                  .bytes = options->bytes,
                                  .rung = on_rung,
                                  .context = machine};
    int error = ivshmem_open(&machine->server, loop, &how, problem);
    if (error < 0)
        return error;
    (void)snprintf(machine->address, sizeof machine->address, "file:%s",
                   ivshmem_memory(machine->server));
    machine->bell = (struct sources_bell){.address = machine->address,
                                          .peer = IVSHMEM_OWN_PEER,
                                          .vector = IVSHMEM_OWN_VECTOR,
                                          .listen = options->use_bells ? listen_to : NULL,
                                          .context = machine};
    machines->bells[machines->count++] = &machine->bell;
    return 0;
}

int machines_open(struct machines **machines, uv_loop_t *loop,
                  const struct machines_options *options, struct omni_problem *problem) {
    if (options->count > MACHINES_MAX) {
        (void)snprintf(problem->text, sizeof problem->text,
                       "--ivshmem is given %zu times; up to %u servers fit into one observer",
                       options->count, MACHINES_MAX);
        return -E2BIG;
    }
    struct machines *made = calloc(1, sizeof *made);
    if (made == NULL) {
        (void)snprintf(problem->text, sizeof problem->text, "no memory left");
        return -ENOMEM;
    }
    int error = 0;
    for (size_t i = 0; i < options->count && error == 0; i++)
        error = add(made, loop, options, options->sockets[i], problem);
    if (error < 0) {
        machines_close(made);
        return error;
    }
    *machines = made;
    return 0;
}

void machines_attach(struct machines *machines, struct sources *sources) {
    machines->sources = sources;
}

const struct sources_bell *const *machines_bells(const struct machines *machines, size_t *count) {
    *count = machines->count;
    return machines->bells;
}

void machines_close(struct machines *machines) {
    if (machines == NULL)
        return;
    for (size_t i = 0; i < machines->count; i++)
        ivshmem_close(machines->list[i].server);
    free(machines);
}
