/*
 * cpu.h - which CPU a program or shared object was made for
 *
 * Purpose
 *   A driver that this process cannot load is not broken: it may be meant for another CPU, and needs
 *   a host program made for that one. The first bytes of the file say so (ELF header).
 *
 * Calling sequence
 *     const struct cpu *of_driver, *own;
 *     error = cpu_of_file("driver.so", &of_driver, &problem);
 *     error = cpu_of_file("/proc/self/exe", &own, &problem);
 *     if (of_driver == own) ... load it ... else ... start a host for of_driver->name ...
 */
#ifndef ROBOT_CPU_H
#define ROBOT_CPU_H

#include <elf.h>
#include <stdint.h>

#include <omni/schema.h>

/* X(name, width, order, machine, triplet, emulator): as in scripts/architectures, and those that a
 * driver might come for. */
/* clang-format off */
#define CPUS(X)                                                                                    \
    X(aarch64, ELFCLASS64, ELFDATA2LSB, EM_AARCH64, "aarch64-linux-gnu",   "qemu-aarch64")         \
    X(armv7,   ELFCLASS32, ELFDATA2LSB, EM_ARM,     "arm-linux-gnueabihf", "qemu-arm")             \
    X(i386,    ELFCLASS32, ELFDATA2LSB, EM_386,     "i386-linux-gnu",      "qemu-i386")            \
    X(riscv64, ELFCLASS64, ELFDATA2LSB, EM_RISCV,   "riscv64-linux-gnu",   "qemu-riscv64")         \
    X(s390x,   ELFCLASS64, ELFDATA2MSB, EM_S390,    "s390x-linux-gnu",     "qemu-s390x")           \
    X(x86_64,  ELFCLASS64, ELFDATA2LSB, EM_X86_64,  "x86_64-linux-gnu",    "qemu-x86_64")
/* clang-format on */

struct cpu {
    const char *name;     /* also of the folders where its programs are */
    const char *triplet;  /* Debian's */
    const char *emulator; /* the program that runs its programs elsewhere */
    uint16_t machine;     /* EM_... */
    uint8_t width;        /* ELFCLASS... */
    uint8_t order;        /* ELFDATA...: byte order */
};

/* Reads a file's first bytes. It has to be a shared object, or a program that can lie anywhere
 * (PIE); fixed programs are refused.
 * Returns 0 and one of a constant list in *cpu; or, with a sentence in `problem` (may be NULL):
 *   -ENOEXEC  no ELF file, no shared object, or of a CPU that is not in the list
 *   other -errno: it cannot be read. */
int cpu_of_file(const char *path, const struct cpu **cpu, struct omni_problem *problem);

#endif
