/*
 * pwm_sysfs.h - a channel of the kernel's PWM, through the files of /sys/class/pwm
 *
 * Purpose
 *   Exports the channel where that was not done yet, sets its period, and from then on writes one
 *   small number a tick. No thread, and no jitter of ours: the hardware counts.
 *
 * Calling sequence
 *     struct pwm_sysfs pwm;
 *     int error = pwm_sysfs_open(&pwm, "/sys/class/pwm/pwmchip0", 1, 20000, &problem); // off
 *     pwm_sysfs_set(&pwm, percent);
 *     pwm_sysfs_close(&pwm);                                                          // off
 *
 * Limits
 *   The kernel keeps the pulses going when the program is gone: somebody has to call
 *   pwm_sysfs_off(), which a process that was forked after opening may do as well (motor_guard.h).
 *   One thread at a time. Nothing is ever unexported: another's permissions might hang on it.
 */
#ifndef ROBOT_PWM_SYSFS_H
#define ROBOT_PWM_SYSFS_H

#include <stdint.h>

#include <omni/schema.h>

/* The members are the module's own. */
struct pwm_sysfs {
    uint64_t period_ns;
    int duty; /* descriptors of duty_cycle and enable */
    int enable;
};

/* Makes the channel ready: period set, pulse of length 0, enabled. After exporting, waits up to a
 * second until udev has given this user the right to write.
 * Returns 0; -ENOTSUP where its polarity is inversed; -EBUSY where another has it; another -errno;
 * with a sentence in `problem`,
 * then nothing stays open. */
int pwm_sysfs_open(struct pwm_sysfs *pwm, const char *chip, unsigned channel, uint64_t hz,
                   struct omni_problem *problem);

/* Sets the power; the sign does not matter. Written anew whatever was written before, for another
 * process may have switched it off since; the kernel leaves a pulse that is as long as it was alone. */
int pwm_sysfs_set(struct pwm_sysfs *pwm, int percent);

/* No pulse any more. */
int pwm_sysfs_off(struct pwm_sysfs *pwm);

/* Off, and disabled. */
void pwm_sysfs_close(struct pwm_sysfs *pwm);

#endif
