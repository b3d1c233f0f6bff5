/* SPDX-License-Identifier: MIT */
/* Between the commands start and execute (launch.c) and the supervisor (start.c). */
#ifndef SAMPAN_LAUNCH_H
#define SAMPAN_LAUNCH_H

struct start;

/*
 * Starts the container and stays with it. `running` is called once it runs. The exit
 * code of PID 1, or -1 when it could not be started (nothing is left behind then).
 */
int supervise(struct start *s, void (*running)(struct start *s));

/* What kept the container from starting had this exit code (126, 127). */
void launch_code(int code);

#endif
