#include "pwm_sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "complain.h"
#include "pwm.h"

#define PATIENCE_NS CLOCK_NS_A_SECOND
#define LOOK_NS     (10 * CLOCK_NS_A_MILLISECOND)

static int write_number(int file, uint64_t number) {
    char text[32];
    int length = snprintf(text, sizeof text, "%llu\n", (unsigned long long)number);
    ssize_t written = pwrite(file, text, (size_t)length, 0);
    if (written < 0)
        return -errno;
    return written == length ? 0 : -EIO;
}

static int write_file(const char *path, uint64_t number) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return -errno;
    int error = write_number(file, number);
    (void)close(file);
    return error;
}

/* Who was granted the right to export is granted the channel's files by udev, a moment later. */
static int open_soon(const char *path) {
    uint64_t give_up_ns = clock_now_ns() + PATIENCE_NS;
    for (;;) {
        int file = open(path, O_WRONLY | O_CLOEXEC);
        if (file >= 0 || (errno != EACCES && errno != ENOENT) || clock_now_ns() > give_up_ns)
            return file >= 0 ? file : -errno;
        (void)clock_sleep_until(clock_now_ns() + LOOK_NS);
    }
}

static bool is_there_soon(const char *folder) {
    struct stat status;
    uint64_t give_up_ns = clock_now_ns() + PATIENCE_NS;
    while (stat(folder, &status) < 0) {
        if (clock_now_ns() > give_up_ns)
            return false;
        (void)clock_sleep_until(clock_now_ns() + LOOK_NS);
    }
    return true;
}

/* Busy is a channel that somebody else was quicker to export: then it is about to be there. Or one
 * that a driver of the kernel's has: then it never is. */
static int export_channel(const char *chip, const char *folder, unsigned channel) {
    struct stat status;
    char path[PATH_MAX];
    if (stat(folder, &status) == 0)
        return 0;
    (void)snprintf(path, sizeof path, "%s/export", chip);
    int error = write_file(path, channel);
    return error == -EBUSY && is_there_soon(folder) ? 0 : error;
}

/* Where it is turned round, a pulse of length 0 is full power. */
static bool is_inversed(const char *folder) {
    char path[PATH_MAX];
    char text[16] = "";
    (void)snprintf(path, sizeof path, "%s/polarity", folder);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    bool inversed =
        read(file, text, sizeof text - 1) > 0 && strncmp(text, "inversed", strlen("inversed")) == 0;
    (void)close(file);
    return inversed;
}

/* The pulse first: a period that is shorter than the pulse is refused. */
static int prepare(struct pwm_sysfs *pwm, const char *folder) {
    char path[PATH_MAX];
    int error = write_number(pwm->duty, 0);
    /* A channel that never had a period takes no pulse, not even none. */
    if (error == -EINVAL)
        error = 0;
    (void)snprintf(path, sizeof path, "%s/period", folder);
    if (error == 0)
        error = write_file(path, pwm->period_ns);
    if (error == 0)
        error = write_number(pwm->duty, 0);
    return error == 0 ? write_number(pwm->enable, 1) : error;
}

static int open_channel(struct pwm_sysfs *pwm, const char *chip, unsigned channel) {
    char folder[PATH_MAX - 16];
    char path[PATH_MAX];
    (void)snprintf(folder, sizeof folder, "%s/pwm%u", chip, channel);
    int error = export_channel(chip, folder, channel);
    if (error == 0 && is_inversed(folder))
        error = -ENOTSUP;
    if (error < 0)
        return error;
    (void)snprintf(path, sizeof path, "%s/duty_cycle", folder);
    pwm->duty = open_soon(path);
    if (pwm->duty < 0)
        return pwm->duty;
    (void)snprintf(path, sizeof path, "%s/enable", folder);
    pwm->enable = open_soon(path);
    if (pwm->enable < 0) {
        error = pwm->enable;
        goto close_duty;
    }
    error = prepare(pwm, folder);
    if (error == 0)
        return 0;
    (void)close(pwm->enable);
close_duty:
    (void)close(pwm->duty);
    return error;
}

static const char *hint(int error) {
    if (error == -ENOENT)
        return "; ls /sys/class/pwm shows which chips there are; a Raspberry Pi has one with "
               "dtoverlay=pwm-2chan in config.txt";
    if (error == -EACCES)
        return "; may this user? On a Raspberry Pi: sudo usermod -aG gpio USER, and log in again";
    if (error == -EBUSY)
        return "; another driver or program holds it: sudo cat /sys/kernel/debug/pwm tells which";
    return error == -ENOTSUP ? "; its file polarity says inversed" : "";
}

int pwm_sysfs_open(struct pwm_sysfs *pwm, const char *chip, unsigned channel, uint64_t hz,
                   struct omni_problem *problem) {
    struct pwm_sysfs made = {.period_ns = CLOCK_NS_A_SECOND / hz};
    int error = open_channel(&made, chip, channel);
    if (error < 0)
        return complain(problem, error, "PWM %.100s:%u at %llu Hz: %s%s", chip, channel,
                        (unsigned long long)hz, strerror(-error), hint(error));
    *pwm = made;
    return 0;
}

int pwm_sysfs_set(struct pwm_sysfs *pwm, int percent) {
    return write_number(pwm->duty, pwm_on_ns(percent, pwm->period_ns));
}

int pwm_sysfs_off(struct pwm_sysfs *pwm) {
    return write_number(pwm->duty, 0);
}

void pwm_sysfs_close(struct pwm_sysfs *pwm) {
    (void)pwm_sysfs_off(pwm);
    (void)write_number(pwm->enable, 0);
    (void)close(pwm->enable);
    (void)close(pwm->duty);
}
