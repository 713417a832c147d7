/*
 * status.h - the relay's status as a C struct, made from status.def
 *
 *     struct relay_status        what omni_publish() takes
 *     relay_status_schema()      what omni_publisher_open() takes
 */
#ifndef RELAY_STATUS_H
#define RELAY_STATUS_H

#include <math.h>

#include <omni/schema.h>

#include "status.def"

OMNI_STATUS(relay_status, RELAY_FIELDS)

#endif
