/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_AGENT_H
#define SAMPAN_AGENT_H

#include <stdbool.h>

/* `sampan agent sums|patch ...`: the agent's programs for files. False: the words mean something else. */
bool delta_command(char **words, int n);

#endif
