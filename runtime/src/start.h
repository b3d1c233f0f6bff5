/* SPDX-License-Identifier: MIT */
/* One start, from the claim of the name to the end of the container. */
#ifndef SAMPAN_START_H
#define SAMPAN_START_H

#include <signal.h>
#include "conf.h"
#include "dev.h"
#include "devlist.h"
#include "pty.h"
#include "seccomp.h"
#include "state.h"

enum { NS_FDS = 6 };

struct start {
	const struct ctr *ctr;
	char **argv;                    /* the command, or NULL: lxc.init.cmd */
	bool rcfile;                    /* its configuration is a file named to us */
	bool app;                       /* our own PID 1, which runs the command */
	bool foreground;
	bool again;                     /* this end is a restart */
	bool pid1;                      /* in a pid namespace of its own */
	bool reboot_asked;              /* by `stop -r`: its end means a restart */
	bool stop_asked;                /* its end is no reason for sampan.restart */
	uint8_t restart;                /* enum restart; and what the keys beside it say */
	int restart_delay, restart_max, start_timeout, stop_timeout;
	int restarts;                   /* in a row */
	long long began;                /* RUNNING since, now_ms() */
	enum stdio stdio[3];            /* what the caller's descriptors are */
	bool quiet_conf;                /* no warnings: -q, or they have been shown (reboot) */
	struct conf *conf;              /* given back once the container runs */
	struct devlist *devices;
	struct seccomp *filter;
	unsigned log_size, ring_size;   /* of the console; 0: the usual */
	bool log_rotate, unshared;
	uint32_t ignored;               /* signals that the caller ignored; bit 0 is signal 1 */
	int sig_stop;                   /* of lxc.signal.stop, or 0 */
	int spaces[NS_FDS];             /* of a container with stop hooks, else -1 */
	int statedir, sync, sync_child, socket;
	int net;                        /* a socket of the new network, to bring lo up with, or -1 */
	int tree;                       /* of the root, when there is a user namespace, or -1 */
	int file;                       /* the state file, for its digit */
	int uevents;                    /* netlink, when its list names devices, or -1 */
	int pin;                        /* keeps the root's disk writable, see root.h */
	int signalfd;
	unsigned undo;
	int status;                     /* the container's exit code, -1 while it has none */
	int failure;                    /* exit code of what kept it from starting, or 0 */
	pid_t pid;
	sigset_t signals;               /* blocked, for the signalfd */
	struct ptys ptys;
	struct state st;
	char logfile[PATH_LEN_MAX];     /* lxc.console.logfile, or "" */
	struct cg_host host;
};

/*
 * Starts the container and stays with it. `running` is called once it runs. The exit
 * code of PID 1, or -1 when it could not be started (nothing is left behind then).
 */
int supervise(struct start *s, void (*running)(struct start *s));

/*
 * Listens and lets the state be seen. After the clone; a start that does something slow
 * before that (a hook) may call it earlier, too, and says so.
 */
int start_publish(struct start *s, bool slow);

/* Writes the new state down and tells those who watch. */
int set_state(struct start *s, enum run_state state);

#endif
