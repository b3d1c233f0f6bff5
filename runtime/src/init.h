/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_INIT_H
#define SAMPAN_INIT_H

#include "payload.h"

/* PID 1 of an app container: runs the command, forwards signals, reaps. `terminal`:
 * a person sits at it. All signals are blocked already. */
_Noreturn void init_main(int sync, const struct payload *p, bool terminal);

#endif
