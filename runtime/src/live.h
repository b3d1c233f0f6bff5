/* SPDX-License-Identifier: MIT */
/*
 * The device list of a running container, in `devices` beside its state: the kernel does
 * not give back what a BPF program means, nor what a v1 deny-list denies.
 */
#ifndef SAMPAN_LIVE_H
#define SAMPAN_LIVE_H

#include "rules.h"
#include "state.h"

int rules_save(int statedir, const struct dev_rules *r, bool first);    /* first: nobody reads it yet */
int rules_restore(int statedir, struct dev_rules *r);   /* no file: a set that is not `set` */

/* One more rule, in force when this returns 0; on -1 what was in force still is. */
int live_device(const struct state *st, const char *name, enum rule_verb verb, const char *value);

#endif
