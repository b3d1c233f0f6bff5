/* SPDX-License-Identifier: MIT */
/*
 * The device policy as a set of rules with the semantics of the v1 `devices`
 * controller (Documentation/admin-guide/cgroup-v1/devices.rst and
 * security/device_cgroup.c). Pure: no system call. The two back ends in devpolicy.h
 * and the model on the host must give the verdict of rules_verdict() for every
 * (type, major, minor, access).
 */
#ifndef SAMPAN_RULES_H
#define SAMPAN_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "limits.h"

#define DEV_ANY UINT32_MAX              /* `*` as major or minor */

enum { DEV_MKNOD = 1, DEV_READ = 2, DEV_WRITE = 4, DEV_RWM = 7 };  /* BPF_DEVCG_ACC_* */

struct dev_rule {
	char type;                      /* 'b' or 'c' */
	uint8_t access;                 /* DEV_* bits */
	uint32_t major, minor;          /* number or DEV_ANY */
};

struct dev_rules {
	bool set;                       /* at least one rule was given: there is a policy */
	bool allow_default;             /* deny-list: the rules are exceptions that refuse */
	unsigned n;
	struct dev_rule rule[DEVRULES_MAX];
};

enum rule_verb { RULE_ALLOW, RULE_DENY, RULE_EXPECT };   /* the last: sampan.devices.expect */

/* A rule set that allows everything, as the root cgroup does. */
void rules_init(struct dev_rules *r);

/*
 * Applies one value of lxc.cgroup{,2}.devices.{allow,deny}: `a`, `a *:* rwm` or
 * `TYPE MAJ:MIN ACCESS`. Returns NULL, or why the value is refused (a static
 * string); the set is unchanged then.
 */
const char *rules_apply(struct dev_rules *r, enum rule_verb verb, const char *value);

/* The same with a rule of numbers: as rules_parse() reads it from `TYPE MAJ:MIN ACCESS`. */
const char *rules_add(struct dev_rules *r, enum rule_verb verb, const struct dev_rule *rule);
const char *rules_parse(const char *value, struct dev_rule *rule);
uint8_t rules_access(const char *text);         /* "rw"; 0: it is none */

/* Bits of the exception of these very numbers; 0: there is none. */
uint8_t rules_own(const struct dev_rules *r, const struct dev_rule *key);

/* May a task do `access` (one or more DEV_* bits at once, as open(O_RDWR) does)? */
bool rules_verdict(const struct dev_rules *r, char type, uint32_t major, uint32_t minor,
		   uint8_t access);

/* The same default and the same exceptions, in any order. */
bool rules_equal(const struct dev_rules *a, const struct dev_rules *b);

/* Writes "c 1:3 rwm" (at most 40 bytes with the NUL). */
void rule_text(const struct dev_rule *rule, char *buf, size_t size);

#endif
