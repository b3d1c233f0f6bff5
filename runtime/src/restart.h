/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_RESTART_H
#define SAMPAN_RESTART_H

#include "start.h"

/* Takes what the configuration says; the time of sampan.start.timeout runs from here. */
void restart_read(struct start *s);

/* Has it killed the first process, whose end looks like that of any program? */
bool restart_late(void);

/* The start is over, by an error or RUNNING; the error of one that took too long is that. */
void restart_started(struct start *s, bool good);

/* It has ended with `code` or could not be started again: is it to be restarted? */
bool restart_due(struct start *s, int code);

#endif
