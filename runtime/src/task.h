/* SPDX-License-Identifier: MIT */
/*
 * Processes that are remembered. A pid counts only together with its start time, so a
 * recycled pid is never taken for ours.
 */
#ifndef SAMPAN_TASK_H
#define SAMPAN_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct task {
	pid_t pid;                      /* 0: none */
	uint64_t start;                 /* clock ticks after boot, field 22 of /proc/PID/stat */
};

struct task task_of(pid_t pid);
struct task task_self(uint32_t *ignored);       /* with its ignored signals: bit 0 is signal 1 */
bool task_alive(const struct task *t);          /* a zombie is not alive */

/* A pidfd of a task that is still the one meant, or -1. */
int task_pidfd(const struct task *t);

/* Signals exactly this task, never a successor of its pid. 0 or -1. */
int task_signal(const struct task *t, int sig);

#endif
