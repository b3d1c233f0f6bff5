/* SPDX-License-Identifier: MIT */
/* What a container without a spectator writes to its console: read always, so that it
 * never blocks; the last of it is kept, and lxc.console.logfile gets it too. */
#ifndef SAMPAN_RING_H
#define SAMPAN_RING_H

#include <stdbool.h>

void ring_begin(int master, const char *logfile);       /* logfile "" : none */
bool ring_drain(void);                  /* false when there is nothing more to read */
void ring_end(void);

/* Somebody looks at the console: gets what is kept, then all that comes; -1: nobody. What
 * it does not take at once it misses, for the container must not wait for it. */
void ring_peer(int fd);

#endif
