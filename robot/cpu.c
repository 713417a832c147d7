#include "cpu.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "complain.h"

#define CPU(name_, width_, order_, machine_, triplet_, emulator_)                                  \
    {.name = #name_,                                                                               \
     .triplet = (triplet_),                                                                        \
     .emulator = (emulator_),                                                                      \
     .machine = (machine_),                                                                        \
     .width = (width_),                                                                            \
     .order = (order_)},
static const struct cpu cpus[] = {CPUS(CPU)};

#define NAME(name_, width_, order_, machine_, triplet_, emulator_) " " #name_

/* These stand at the same places whatever the width; the rest of the header does not. */
struct head {
    unsigned char ident[EI_NIDENT];
    unsigned char type[2];
    unsigned char machine[2];
};

static unsigned number(const unsigned char bytes[2], unsigned char order) {
    return order == ELFDATA2MSB ? (unsigned)bytes[0] << 8 | bytes[1]
                                : (unsigned)bytes[1] << 8 | bytes[0];
}

static int read_head(const char *path, struct head *head, struct omni_problem *problem) {
    /* Opening a pipe must not wait for its writer. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return complain(problem, -errno, "cannot open %s: %s", path, strerror(errno));
    ssize_t got = read(file, head, sizeof *head);
    int error = got < 0 ? -errno : 0;
    (void)close(file);
    if (error < 0)
        return complain(problem, error, "cannot read %s: %s", path, strerror(-error));
    if (got != (ssize_t)sizeof *head || memcmp(head->ident, ELFMAG, SELFMAG) != 0)
        return complain(problem, -ENOEXEC,
                        "%s is no ELF file: name a program or shared object that a linker made",
                        path);
    return 0;
}

int cpu_of_file(const char *path, const struct cpu **cpu, struct omni_problem *problem) {
    struct head head = {{0}, {0}, {0}};
    int error = read_head(path, &head, problem);
    if (error != 0)
        return error;
    unsigned char order = head.ident[EI_DATA];
    if (number(head.type, order) != ET_DYN)
        return complain(problem, -ENOEXEC,
                        "%s is an ELF file, but no shared object: link it with -shared", path);
    unsigned machine = number(head.machine, order);
    for (size_t i = 0; i < sizeof cpus / sizeof cpus[0]; i++) {
        if (cpus[i].machine == machine && cpus[i].width == head.ident[EI_CLASS] &&
            cpus[i].order == order) {
            *cpu = &cpus[i];
            return 0;
        }
    }
    return complain(
        problem, -ENOEXEC,
        "%s is for a CPU that is not known here (ELF machine %u): build it for one of" CPUS(NAME),
        path, machine);
}
