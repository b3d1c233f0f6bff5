/* SPDX-License-Identifier: MIT */
/* Changes of the device list while the container runs. */
#ifndef SAMPAN_LIVE_H
#define SAMPAN_LIVE_H

#include "devlist.h"
#include "state.h"

/*
 * One more line, or with NULL a look at the kernel's devices for the names asked for. In
 * force when this returns 0, the nodes not; on -1 what was in force still is.
 */
struct devlist *live_list(const char *name);    /* as it is now: the one "before"; NULL: error */
int live_device(const struct state *st, const char *name, enum rule_verb verb, const char *value);

/* Then the nodes, which a container could stall: makes and removes what is not as listed. */
int live_nodes(const struct state *st, const char *name);

#endif
