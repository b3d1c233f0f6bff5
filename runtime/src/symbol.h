/* SPDX-License-Identifier: MIT */
/*
 * Device rules by name, which become numbers when a container starts:
 *
 *   /dev/rtc0 rw        the node of that name; the last component may be a pattern
 *   char-ttyUSB rw      the devices of a driver as /proc/devices names it; or block-loop
 *   class:rtc rw        the devices of a class (or bus) of sysfs
 *
 * The access is rw when it is not said. `optional` behind it: there need be none yet,
 * and the container gets those that are plugged in later. Pure: no system call.
 */
#ifndef SAMPAN_SYMBOL_H
#define SAMPAN_SYMBOL_H

#include <stdbool.h>
#include <stdint.h>
#include "rules.h"

enum { SYMBOL_NAME_MAX = 63 };
enum symbol_kind { SYM_NODE, SYM_CHAR, SYM_BLOCK, SYM_CLASS };

struct symbol {
	enum symbol_kind kind;
	char name[SYMBOL_NAME_MAX + 1]; /* without what tells the kind */
	uint8_t access;                 /* DEV_* bits */
	bool optional;
};

/* Does the value begin like one of them? */
bool symbol_is(const char *value);

/* NULL, or why the value is refused. */
const char *symbol_parse(const char *value, struct symbol *s);

/* *, ? and [a-z] as in a shell; `pattern` comes from a parsed symbol. */
bool symbol_match(const char *pattern, const char *text);
bool symbol_is_pattern(const char *name);

/* `c 252:0 rtc0`, a number with the node it is, or `c 136:* pts` with a driver; NULL, or why not. */
const char *expect_parse(const char *value, struct dev_rule *rule, const char **name);

#endif
