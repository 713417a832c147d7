/*
 * host_reader.h - one look at the machine's own conditions, from /proc and /sys
 *
 * Calling sequence
 *     struct host_reader reader = {.root = "/"};
 *     struct host_status status;
 *     host_reader_read(&reader, &status); // again and again, about once a second
 *
 * What is read, all of it below `root`
 *   temperature   sys/class/thermal/thermal_zone*: the first of the types that mean a processor
 *                 (cpu-thermal, x86_pkg_temp, ...); else sys/class/hwmon (k10temp, coretemp)
 *   busy          proc/stat; absent in the first look, which has nothing to compare with
 *   load          proc/loadavg
 *   wifi_signal   proc/net/wireless
 *   conditions    sys/devices/platform/soc.../soc...:firmware/get_throttled (Raspberry Pi OS); else
 *                 under_voltage from the hwmon rpi_volt (other kernels on a Raspberry Pi) and
 *                 throttled from cpu0's thermal_throttle/package_throttle_count (x86)
 *   Devices are looked for each time: they come and go.
 *
 * Earlier
 *   The kernel asks the firmware of a Raspberry Pi every two seconds and lets it forget what has been
 *   told, so "earlier" is remembered here: it means since the reader's start, or since the machine's
 *   where the kernel still knows.
 *
 * Limits
 *   A file of a driver may block for as long as the driver likes: only for a thread that others do
 *   not wait for. Allocates nothing but what opendir() does.
 */
#ifndef OBSERVER_HOST_READER_H
#define OBSERVER_HOST_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "host_status.h"

enum { HOST_CONDITION_FIELDS = 4 }; /* under_voltage, ... soft_temperature_limit */

struct host_reader {
    const char *root;                     /* "/", or a directory with a tree of the same shape */
    bool has_been[HOST_CONDITION_FIELDS]; /* since the first look */
    bool has_times;                       /* the two below are known */
    uint64_t used_before;                 /* processors' time, in the kernel's ticks */
    uint64_t all_before;
    bool has_throttles;
    uint64_t throttles_before; /* x86: how often it was throttled */
};

/* Fills every member of *status; what cannot be read is absent (NaN, HOST_NO_READING). */
void host_reader_read(struct host_reader *reader, struct host_status *status);

#endif
