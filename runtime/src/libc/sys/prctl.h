/* SPDX-License-Identifier: MIT */
/* <sys/prctl.h>; see fcntl.h here. */
#ifndef SAMPAN_PRCTL_H
#define SAMPAN_PRCTL_H

#include_next <sys/prctl.h>
#include <stdint.h>

int call_prctl(int what, uintptr_t value, uintptr_t more);

/* What follows is 0 in all of ours. */
#define prctl(what, a, b, c, d) call_prctl(what, (uintptr_t)(a), (uintptr_t)(b))

#endif
