/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_STOP_H
#define SAMPAN_STOP_H

#include "state.h"

enum { STOP_SIGNAL_MS = 10000 };        /* what lxc.signal.stop has before SIGKILL */

struct stop_how {
	bool kill, reboot, nowait, nokill;
	int timeout;                    /* milliseconds until it is killed */
};

/* Stops a running container and waits until nothing of it is left. 0 or -1. */
int stop_container(const struct ctr *ctr, struct state *st, const struct stop_how *how);

#endif
