/* SPDX-License-Identifier: MIT */
/* The agent's channels: programs, their streams, and who may send when. */
#ifndef SAMPAN_CHAN_H
#define SAMPAN_CHAN_H

#include <poll.h>

enum { CHANNELS = 8, CHAN_POLLS = 3 * CHANNELS };

/* Fills CHAN_POLLS entries: what the channels wait for. */
void chan_poll(struct pollfd *p);

/* Looks at what poll() said and passes on what there is for stdin. */
void chan_step(const struct pollfd *p);

/* After SIGCHLD. */
void chan_reap(void);

/* All programs get SIGHUP and lose their channels. */
void chan_hang_up(void);

#endif
