/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_CHILD_H
#define SAMPAN_CHILD_H

#include "start.h"

/* Everything the new process does; ends in exec or in an error sent over `sync`. */
_Noreturn void child_main(struct start *s, int sync);

#endif
