/*
 * gpio_world.c - the world around a robot on simulated GPIO lines (the kernel's gpio-sim)
 *
 *     gpio_world FOLDER TRIGGER ECHO MM    answers every trigger with an echo, MM millimetres away
 *
 * FOLDER is the chip's in sysfs, with sim_gpio0 and so on in it; TRIGGER and ECHO are lines. Each
 * pulse is written to stdout as the least and the most mm that it can be taken for: its edges lie
 * between two looks at the clock. Runs until it is killed.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SOUND_M_A_SECOND 343.0

static double now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int open_line(const char *folder, const char *line, const char *file, int how) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/sim_gpio%s/%s", folder, line, file);
    int opened = open(path, how | O_CLOEXEC);
    if (opened < 0) {
        perror(path);
        exit(1);
    }
    return opened;
}

static int level(int file) {
    char digit = '0';
    if (pread(file, &digit, 1, 0) != 1)
        exit(1);
    return digit == '1';
}

static void pull(int file, const char *how) {
    if (pwrite(file, how, strlen(how), 0) != (ssize_t)strlen(how))
        exit(1);
}

static void wait_for(int file, int wanted) {
    const struct timespec moment = {.tv_nsec = 50000};
    while (level(file) != wanted)
        (void)nanosleep(&moment, NULL);
}

static double mm(double seconds) {
    return seconds * SOUND_M_A_SECOND / 2.0 * 1000.0;
}

int main(int argc, char **argv) {
    if (argc != 5)
        return 2;
    int trigger = open_line(argv[1], argv[2], "value", O_RDONLY);
    int echo = open_line(argv[1], argv[3], "pull", O_WRONLY);
    double seconds = strtod(argv[4], NULL) / mm(1.0);
    for (;;) {
        wait_for(trigger, 1);
        wait_for(trigger, 0);
        double before_rise = now();
        pull(echo, "pull-up");
        double after_rise = now();
        while (now() - after_rise < seconds) {
        }
        double before_fall = now();
        pull(echo, "pull-down");
        double after_fall = now();
        (void)printf("%.0f %.0f\n", mm(before_fall - after_rise) - 1.0,
                     mm(after_fall - before_rise) + 1.0);
        (void)fflush(stdout);
    }
}
