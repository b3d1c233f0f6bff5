/* SPDX-License-Identifier: MIT */
/*
 * Changes of state as messages: whoever watches has a datagram socket of its own in
 * /run/sampan/.watch/, and a supervisor sends each change to all of them. The folder
 * is there only while somebody watches, so that nobody pays otherwise.
 */
#ifndef SAMPAN_NOTIFY_H
#define SAMPAN_NOTIFY_H

#include <poll.h>
#include "state.h"

struct event {
	char name[NAME_LEN_MAX + 1];
	enum run_state state;
	int status;                     /* exit code, with ST_STOPPED; -1: not known */
};

/* Tells all watchers; `status` counts for ST_STOPPED alone. Never waits, never fails. */
void notify(const char *name, enum run_state state, int status);

/* The same together with the next one: for a state that is left again at once. */
void notify_soon(const char *name, enum run_state state);

/* A non-blocking socket that gets all events from now on, or -1. */
int watch_open(void);

/*
 * poll(2), in which alone a signal can end the watch: watch_rest() then leaves with it,
 * once everything that had come before has been read.
 */
int watch_poll(struct pollfd *p, unsigned n, int milliseconds);
void watch_rest(void);

bool watch_next(int fd, struct event *e);       /* false: nothing there now */
void watch_close(void);

#endif
