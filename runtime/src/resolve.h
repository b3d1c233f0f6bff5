/* SPDX-License-Identifier: MIT */
/* Names of devices and their numbers on the running kernel: /dev, /proc/devices, sysfs. */
#ifndef SAMPAN_RESOLVE_H
#define SAMPAN_RESOLVE_H

#include "rules.h"

/*
 * Applies one value of a device key, by number or by name, to the set. With `late` a
 * named device that is not there is none; else it is an error, unless it is optional.
 */
int resolve_apply(struct dev_rules *r, enum rule_verb verb, const char *value, bool late);

/* DEVNAME of the device of these numbers, "" when there is none. */
void resolve_name(char type, uint32_t major, uint32_t minor, char *buf, size_t size);

/* A value as of expect_parse(): is the number still that device's? */
int resolve_expect(const char *value);

#endif
