/* SPDX-License-Identifier: MIT */
/* The file /run/sampan/NAME/state: its text, both ways. `dir` is the container's folder. */
#ifndef SAMPAN_STATE_FILE_H
#define SAMPAN_STATE_FILE_H

#include "state.h"

int state_write(int dir, const struct state *st);       /* the new file, or -1 */

/* 1: read; 0: there is none; -1: error. `st` is empty before. */
int state_read(int dir, const char *name, struct state *st);

#endif
