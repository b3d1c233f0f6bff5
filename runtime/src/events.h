/* SPDX-License-Identifier: MIT */
/* What the kernel tells while somebody watches: devices that come and go, kills for want of memory. */
#ifndef SAMPAN_EVENTS_H
#define SAMPAN_EVENTS_H

#include <poll.h>
#include <stdbool.h>

enum { EVENT_FDS = 2 };

void events_open(struct pollfd *p);             /* EVENT_FDS of them; exits when it cannot listen */

/* Prints what has come; of containers those whose name matches. */
void events_print(const struct pollfd *p, const char *name, bool json);

#endif
