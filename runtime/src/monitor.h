/* SPDX-License-Identifier: MIT */
/* The supervisor's state while its container runs; monitor.c, serve.c and halt.c share it. */
#ifndef SAMPAN_MONITOR_H
#define SAMPAN_MONITOR_H

#include "pty.h"
#include "start.h"

enum { CLIENTS_MAX = 20, REQUEST_MAX = 64 };

struct client {
	int fd;
	int tty;                        /* it sits at: 0 console, -1 none */
	size_t used;
	char line[REQUEST_MAX];
};

struct monitor {
	struct start *s;
	bool proxying;
	bool watch_alone;               /* busybox init was told to end */
	bool over;                      /* PID 1 has ended, and is to be started again */
	long long kill_at;              /* now_ms(): then a halt has taken too long; 0: never */
	unsigned alone;                 /* ticks PID 1 has been without company */
	pid_t looker;                   /* our child that makes nodes of new devices, or 0 */
	bool look_again;                /* something came while it made some */
	struct proxy proxy;
	struct client client[CLIENTS_MAX];
};

/* The loop: until the container's PID 1 is gone. Its wait status. */
int monitor_run(struct start *s);

/* The delay of sampan.restart; false when it is to end meanwhile. */
bool monitor_pause(struct start *s);

/* halt.c */
void monitor_halt(struct monitor *m);
void monitor_reboot(struct monitor *m);
void monitor_kill(struct monitor *m);
void monitor_alone_tick(struct monitor *m);     /* ends a busybox init that is left alone */
void monitor_late_tick(struct monitor *m);      /* kills what takes too long to halt */

/* serve.c */
void serve_accept(struct monitor *m);
void serve_drop(struct client *c);
void serve_read(struct monitor *m, struct client *c);

#endif
