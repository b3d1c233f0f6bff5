/* SPDX-License-Identifier: MIT */
/*
 * The device list of one container: what was asked for by name, the rules this comes to
 * on the running kernel, and the nodes that belong to them. It is kept with the
 * container's state, since the kernel does not give back what a BPF program means, nor
 * what a v1 deny-list denies; a list that was changed since the start in `devices` beside it.
 */
#ifndef SAMPAN_DEVLIST_H
#define SAMPAN_DEVLIST_H

#include "conf.h"
#include "limits.h"
#include "rules.h"

struct devlist {
	struct dev_rules rules;
	bool own_dev;                   /* the container's /dev is ours to fill */
	char asked[DEVTEXT_MAX];        /* lines "+VALUE" and "-VALUE"; "" when all are numbers */
	char nodes[DEVTEXT_MAX];        /* lines "c 188:0 ttyUSB0", names below /dev */
};

/* The lines of a configuration, on this kernel; refuses numbers that are not what was expected. */
int devlist_of(struct devlist *l, const struct conf *c, bool own_dev);

/* One more line; NULL: none, but the kernel's devices have changed. */
int devlist_change(struct devlist *l, enum rule_verb verb, const char *value);

const char *devlist_text(const struct devlist *l);      /* good until the next call of these; "": not `set` */
int devlist_save(int statedir, const struct devlist *l);
int devlist_restore(int statedir, struct devlist *l);   /* as it is in force */

#endif
