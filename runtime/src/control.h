/* SPDX-License-Identifier: MIT */
/*
 * Asking a running container's supervisor over /run/sampan/NAME/socket. One request
 * is one line; the answer is one line, "ok ..." or "error TEXT". The connection stays
 * open, and its end says that the container is gone and cleaned up.
 *
 *   state    ok RUNNING PID         halt     send the halt signal
 *   reboot   send the reboot signal kill     kill everything at once
 *   look     it was frozen or thawed
 *   tty N    ok N, with the terminal's master (0: console, whose output follows here)
 */
#ifndef SAMPAN_CONTROL_H
#define SAMPAN_CONTROL_H

/* The supervisor's end; the caller holds the claim on `name`. */
int control_listen(const char *name);

/* A connection, or -1 when there is no supervisor. */
int control_connect(const char *name);

/* Sends `request`, waits for the answer; 0 for "ok". */
int control_ask(int fd, const char *request);

/* Waits until the container is gone: 1; 0 when `milliseconds` (-1: no limit) are over. */
int control_wait_end(int fd, int milliseconds);

#endif
