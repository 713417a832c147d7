/*
 * host_status.h - what the machine tells of itself: the one list of the source "host"
 *
 * What a machine does not tell is absent: NaN in a number, "no reading" in a condition. From these
 * lines come struct host_status, its table in the segment, labels and page; who fills it is
 * host_reader.c.
 */
#ifndef OBSERVER_HOST_STATUS_H
#define OBSERVER_HOST_STATUS_H

#include <math.h>

#include <omni/schema.h>

#define HOST_CONDITIONS(LABEL)                                                                     \
    LABEL(HOST_NO_READING, "no reading") /* this machine does not tell */                          \
    LABEL(HOST_NEVER, "never")           /* not since the machine's start */                       \
    LABEL(HOST_EARLIER, "earlier")       /* it is over */                                          \
    LABEL(HOST_NOW, "now")

#define HOST_FIELDS(FIELD)                                                                         \
    FIELD(number, f32, temperature, "°C", -40, 100, "The processor's temperature")                 \
    FIELD(number, f32, busy, "%", 0, 100,                                                          \
          "How much of all processors' time was used since the tick before")                       \
    FIELD(numbers, f32, load, 3, "", 0, NAN,                                                       \
          "Tasks that run or wait for a processor or a disk: means over 1, 5 and 15 minutes")      \
    FIELD(number, f32, wifi_signal, "dBm", NAN, 0,                                                 \
          "Strength of the Wi-Fi signal, of the strongest where there are several; below -75 a "   \
          "dashboard stutters")                                                                    \
    FIELD(choice, under_voltage, HOST_CONDITIONS,                                                  \
          "The supply's voltage is too low (Raspberry Pi: below 4.63 V)")                          \
    FIELD(choice, frequency_capped, HOST_CONDITIONS,                                               \
          "The firmware holds the processor's clock below what is asked for")                      \
    FIELD(choice, throttled, HOST_CONDITIONS,                                                      \
          "The processor is slowed down, because it is too hot or its supply too weak")            \
    FIELD(choice, soft_temperature_limit, HOST_CONDITIONS,                                         \
          "It is so hot that the clock is lowered a little already (Raspberry Pi 3 Model B+)")

OMNI_ENUM(host_condition, HOST_CONDITIONS)
OMNI_STATUS(host_status, HOST_FIELDS)

#endif
