/* SPDX-License-Identifier: MIT */
/* lxc.prlimit, lxc.sysctl and lxc.proc: from the new process, in its namespaces. */
#ifndef SAMPAN_KNOBS_H
#define SAMPAN_KNOBS_H

#include <sys/resource.h>
#include "conf.h"

/*
 * sysctl and proc values, through the host's /proc, which the image cannot fake: what is
 * written is the caller's own, for the kernel looks at who opens the file. Before the pivot.
 * With `pid` the values of that process alone, which has not the rights in its user namespace.
 */
int knobs_write(const struct conf *c, pid_t pid);

/* Resource limits, while there is the capability to raise them. */
int knobs_limit(const struct conf *c, pid_t pid);

enum { RLIMITS = 16 };                  /* RLIMIT_* there are */

/* The limits of another process, and taking them over. */
int knobs_limits_of(pid_t pid, struct rlimit limits[RLIMITS]);
int knobs_limits_as(const struct rlimit limits[RLIMITS]);

#endif
