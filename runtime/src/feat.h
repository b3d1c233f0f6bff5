/* SPDX-License-Identifier: MIT */
/*
 * What this kernel can do. A feature counts as there until its system call says
 * ENOSYS (or the like); from then on its fallback is used. SAMPAN_DISABLE=NAME,...
 * switches features off, so that each fallback can be tested on a new kernel.
 */
#ifndef SAMPAN_FEAT_H
#define SAMPAN_FEAT_H

#include <stdbool.h>

enum feat {
	FEAT_CLONE3, FEAT_OPENAT2, FEAT_OPEN_TREE, FEAT_MOUNT_SETATTR, FEAT_PIDFD,
	FEAT_CLOSE_RANGE, FEAT_CGROUP_KILL, FEAT_CGROUP_NS, FEAT_PTPEER, FEAT_SETNS_PIDFD,
	FEAT_LOOP_CONFIGURE, FEAT_SET_MM,
	FEAT_COUNT,
};

/* Reads SAMPAN_DISABLE; ends the process on an unknown name. */
void feat_init(void);

bool feat_on(enum feat f);

/* Was a failed call of this feature the kernel lacking it? Then never ask again. */
bool feat_lost(enum feat f);

const char *feat_name(enum feat f);

#endif
