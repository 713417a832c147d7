/* Whose CPU a file is for, from its first bytes. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "robot/cpu.h"

#define LIST "scripts/architectures"

/* The first 20 bytes of an ELF file. */
struct bytes {
    unsigned char at[20];
};

static struct bytes elf(unsigned char width, unsigned char order, unsigned type, unsigned machine) {
    struct bytes bytes = {{0x7f, 'E', 'L', 'F', width, order, 1}};
    int high = order == ELFDATA2MSB ? 0 : 1;
    bytes.at[16 + high] = (unsigned char)(type >> 8);
    bytes.at[17 - high] = (unsigned char)type;
    bytes.at[18 + high] = (unsigned char)(machine >> 8);
    bytes.at[19 - high] = (unsigned char)machine;
    return bytes;
}

/* What is said of a file with these bytes. */
static int examine(const void *bytes, size_t size, const struct cpu **cpu,
                   struct omni_problem *problem) {
    char path[] = "/tmp/omni-cpu-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), size);
    (void)close(file);
    int error = cpu_of_file(path, cpu, problem);
    (void)unlink(path);
    return error;
}

static void cpus_are_told_apart(void **state) {
    (void)state;
    static const struct {
        unsigned char width, order;
        unsigned machine;
        const char *name;
    } known[] = {
        {1, 1, 40, "armv7"}, {2, 1, 183, "aarch64"}, {2, 1, 62, "x86_64"},
        {1, 1, 3, "i386"},   {2, 2, 22, "s390x"},    {2, 1, 243, "riscv64"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const struct cpu *cpu = NULL;
        struct omni_problem problem = {""};
        struct bytes bytes = elf(known[i].width, known[i].order, 3, known[i].machine);
        if (examine(&bytes, sizeof bytes, &cpu, &problem) < 0)
            fail_msg("%s: %s", known[i].name, problem.text);
        assert_string_equal(cpu->name, known[i].name);
        assert_int_equal(cpu->order, known[i].order);
    }
}

static void assert_refused(struct bytes bytes, size_t size, const char *said) {
    const struct cpu *cpu = NULL;
    struct omni_problem problem = {""};
    assert_int_equal(examine(&bytes, size, &cpu, &problem), -ENOEXEC);
    assert_null(cpu);
    if (strstr(problem.text, said) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", problem.text, said);
}

static void other_files_are_refused(void **state) {
    (void)state;
    struct bytes good = elf(2, 1, 3, 62);
    struct bytes text = {"#!/bin/sh\nexit 0\n"};
    assert_refused(text, sizeof text, "no ELF file");
    for (size_t size = 0; size < sizeof good; size++)
        assert_refused(good, size, "no ELF file");
    assert_refused(elf(2, 1, 1, 62), sizeof good, "no shared object"); /* .o */
    assert_refused(elf(2, 1, 2, 62), sizeof good, "no shared object"); /* fixed program */
    assert_refused(elf(2, 1, 4, 62), sizeof good, "no shared object"); /* core */
    assert_refused(elf(2, 1, 3, 8), sizeof good, "(ELF machine 8)");
    /* The machine alone does not say it: x32, big-endian ARM, 32-bit RISC-V. */
    assert_refused(elf(1, 1, 3, 62), sizeof good, "not known here");
    assert_refused(elf(1, 2, 3, 40), sizeof good, "not known here");
    assert_refused(elf(1, 1, 3, 243), sizeof good, "not known here");
}

static void what_cannot_be_read_is_told(void **state) {
    (void)state;
    const struct cpu *cpu = NULL;
    struct omni_problem problem = {""};
    assert_int_equal(cpu_of_file("/nowhere/driver.so", &cpu, &problem), -ENOENT);
    assert_non_null(strstr(problem.text, "/nowhere/driver.so"));
    assert_int_equal(cpu_of_file("/tmp", &cpu, &problem), -EISDIR);
    assert_int_equal(cpu_of_file("/tmp", &cpu, NULL), -EISDIR);
    assert_null(cpu);
}

static void this_program_is_for_this_cpu(void **state) {
    (void)state;
    const struct cpu *own = NULL;
    struct omni_problem problem = {""};
    if (cpu_of_file("/proc/self/exe", &own, &problem) < 0)
        fail_msg("%s", problem.text);
#if defined(__x86_64__)
    assert_string_equal(own->name, "x86_64");
#elif defined(__aarch64__)
    assert_string_equal(own->name, "aarch64");
#elif defined(__arm__)
    assert_string_equal(own->name, "armv7");
#endif
}

/* The build's list and this one name the same things. */
static void the_list_agrees_with_the_builds(void **state) {
    (void)state;
    static const char *const lines[] = {
#define LINE(name, width, order, machine, triplet, emulator) #name " " triplet " " emulator,
        CPUS(LINE)};
    FILE *list = fopen(LIST, "re");
    assert_non_null(list);
    char line[200];
    int agreed = 0;
    while (fgets(line, sizeof line, list) != NULL) {
        char name[32];
        char triplet[32];
        char emulator[32];
        char joined[128];
        if (line[0] == '#' || sscanf(line, "%31s %*s %31s %31s", name, triplet, emulator) != 3)
            continue;
        (void)snprintf(joined, sizeof joined, "%s %s %s", name, triplet, emulator);
        bool found = false;
        for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
            found = found || strcmp(lines[i], joined) == 0;
        if (!found)
            fail_msg("robot/cpu.h does not have \"%s\"", joined);
        agreed++;
    }
    (void)fclose(list);
    assert_true(agreed >= 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpus_are_told_apart),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(what_cannot_be_read_is_told),
        cmocka_unit_test(this_program_is_for_this_cpu),
        cmocka_unit_test(the_list_agrees_with_the_builds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
