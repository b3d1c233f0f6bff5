/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_LAUNCH_H
#define SAMPAN_LAUNCH_H

#include <stdbool.h>

/* The command start from within another one: its exit code. */
int launch_new(const char *name, const char *lxcpath, bool foreground);

#endif
