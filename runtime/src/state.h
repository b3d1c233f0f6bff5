/* SPDX-License-Identifier: MIT */
/*
 * What is known about a running container: /run/sampan/NAME/state, a text file that
 * is written to a temporary name and renamed; a new state alone changes its one digit.
 * Beside it stands `socket`.
 */
#ifndef SAMPAN_STATE_H
#define SAMPAN_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "cgroup.h"
#include "netundo.h"
#include "sampan.h"
#include "task.h"

enum run_state { ST_STOPPED, ST_STARTING, ST_RUNNING, ST_STOPPING, ST_ABORTING, ST_FREEZING,
		 ST_FROZEN, ST_THAWED };

struct state {
	enum run_state state;
	struct task init, supervisor;
	bool app;
	bool unfiltered;                /* no filter of system calls */
	int sig_halt, sig_reboot;       /* 0: not configured */
	struct cg cg;
	struct net_undo net;            /* what its network has of the host */
	char lxcpath[PATH_LEN_MAX];
	char config[PATH_LEN_MAX];
	const char *devices;            /* of a start, to be written: devlist_text() */
};

const char *state_word(enum run_state s);       /* "RUNNING" */

/* The 0700 folder of all states; made when missing, refused when not ours. */
int state_root(void);

/*
 * Takes NAME for a new start: exactly one of many callers gets the folder, left-overs
 * of a dead container are cleaned up. The descriptor of the folder, or -1. The folder is
 * locked until state_publish(): whoever asks for the state waits for that.
 */
int state_claim(const struct ctr *ctr);
void state_clean(const char *name);     /* the left-overs alone, if there are any */

/* Writes the first state file, with this process as the supervisor. The file, or -1. */
int state_publish(int dir, struct state *st);

/* The folder of a running container, or -1. */
int state_dir(const char *name);

int state_set(int file, enum run_state s);

/* The device list that was written with the state; "" where there is none. 0 or -1. */
int state_devices(int dir, char text[DEVLIST_TEXT_MAX]);

/* 1: loaded; 0: no such container runs (st is STOPPED then); -1: error. */
int state_load(const char *name, struct state *st);

/* The container of this name under this lxcpath, as it really is now. */
int state_of(const struct ctr *ctr, struct state *st);

/*
 * How a command about one container begins: needs root, takes the name, finds the state
 * as state_of() does. Fails by itself.
 */
int state_open(struct ctr *ctr, struct state *st, const char *name, const char *lxcpath);

/* The same for a command that needs a running container: fails without one. */
struct args;
void state_running(struct ctr *ctr, struct state *st, const struct args *a);

/* Removes the folder of NAME and what is in it. */
void state_remove(const char *name);
void state_release(int dir, const char *name);   /* by who has claimed it: `dir` is its folder */

#endif
