/* SPDX-License-Identifier: MIT */
/* One start, from the claim of the name to the end of the container. */
#ifndef SAMPAN_START_H
#define SAMPAN_START_H

#include <signal.h>
#include "conf.h"
#include "dev.h"
#include "state.h"

struct start {
	const struct ctr *ctr;
	char **argv;                    /* the command, or NULL: lxc.init.cmd */
	bool app;                       /* our own PID 1, which runs the command */
	bool foreground;
	bool reboot_asked;              /* by `stop -r`: its end means a restart */
	bool quiet_conf;                /* no warnings: -q, or they have been shown (reboot) */
	struct conf *conf;              /* mapped, given back once the container runs */
	struct cg_host host;
	struct state st;
	struct ptys ptys;
	char logfile[PATH_LEN_MAX];     /* lxc.console.logfile, or "" */
	int statedir, sync, socket;
	sigset_t signals;               /* blocked, for the signalfd */
	unsigned undo;
	pid_t pid;
};

/* What the new process and its parent say to each other: one packet each. */
struct sync_msg {
	char kind;                      /* 'R' ready, with ptys; 'G' go; 'E' error */
	int code;                       /* exit code of an error */
	unsigned nttys;
	bool console;
	char text[1100], hint[600];
};

/* Everything the new process does; ends in exec or in an 'E' message. */
_Noreturn void child_main(struct start *s, int sync);

/* PID 1 of an app container: runs the command, forwards signals, reaps. */
_Noreturn void init_main(struct start *s, int sync, char **argv);

/* Reports the current error to the parent and ends this process. */
_Noreturn void child_fail(int sync, int code);

/* The supervisor's loop: until the container's PID 1 is gone. Its wait status. */
int monitor_run(struct start *s);

/* Listens on /run/sampan/NAME/socket. */
int monitor_listen(struct start *s);

#endif
