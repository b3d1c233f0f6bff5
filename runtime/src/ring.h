/* SPDX-License-Identifier: MIT */
/* What a container without a spectator writes to its console: read always, so that it
 * never blocks; the last of it is kept, and lxc.console.logfile gets it too. */
#ifndef SAMPAN_RING_H
#define SAMPAN_RING_H

#include <stdbool.h>
#include <stddef.h>

void ring_begin(int master, size_t size);        /* size 0: 16 KiB */
bool ring_drain(void);                  /* false when there is nothing more to read */
void ring_take(const char *text, size_t n);     /* what somebody else has read */

/* The last of the console becomes RUN/.console/NAME, which stays after the container. */
void ring_end(const char *name);

/* Prints what ring_end() kept; false when there is nothing. */
bool ring_show(const char *name);
void ring_forget(const char *name);

/* Somebody looks at the console: gets what is kept, then all that comes; -1: nobody. What
 * it does not take at once it misses, for the container must not wait for it. */
void ring_peer(int fd);

#endif
