/* SPDX-License-Identifier: MIT */
/*
 * What a start's new process and its parent say to each other over a socket pair, one
 * packet each: "ready" with the terminals, "go" when the policy is set, or an error.
 * The exec closes the child's end: that is RUNNING.
 */
#ifndef SAMPAN_SYNC_H
#define SAMPAN_SYNC_H

#include "dev.h"

/* The new process: reports the current error and ends with `code`. */
_Noreturn void sync_fail(int sync, int code);

/*
 * The new process: sends the terminals and a socket of its network, or -1; what touches a
 * device must have been done.
 */
int sync_ready(int sync, const struct ptys *ptys, int net);

/*
 * The new process: returns once the parent has set the policy, or ends with it. The signals
 * that the caller of the start ignored, bit 0 is signal 1.
 */
uint32_t sync_wait(int sync);

/*
 * The parent: 1 when the child is ready (`ptys` and `net` filled), 0 when its end is closed,
 * -1 with its error, whose exit code goes to `code`.
 */
int sync_hear(int sync, struct ptys *ptys, int *net, int *code);
int sync_go(int sync, uint32_t ignored);

#endif
