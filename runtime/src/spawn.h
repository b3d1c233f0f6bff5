/* SPDX-License-Identifier: MIT */
/* The container's first process: its namespaces, its cgroup, and the socket to it. */
#ifndef SAMPAN_SPAWN_H
#define SAMPAN_SPAWN_H

#include "start.h"

/* The socket. Before anything else is opened: as 3 it is what PID 1 of an app container keeps. */
int spawn_prepare(struct start *s);

/* `s->pid` is above 0 when there is a process, even if it fails after that. */
int spawn(struct start *s);

#endif
