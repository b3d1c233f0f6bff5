/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_STAGES_H
#define SAMPAN_STAGES_H

#include "start.h"

/* The supervisor: before anything is made (log, pre-start); before the payload runs
 * (start-host); when its PID 1 has ended (stop). What post-stop needs is written down. */
int stage_begin(struct start *s);
int stage_host(struct start *s);
void stage_stop(struct start *s);

/* The new process: pre-mount (root -1), mount and autodev. */
int stage_mount(enum hook_stage stage, int root);

/*
 * With hooks that need a finished root file system or the device list in force, the new
 * process waits for the policy behind the pivot: `ready` a second time, then `go`.
 */
bool stages_late(void);
int stage_inside(struct start *s, int sync);

#endif
