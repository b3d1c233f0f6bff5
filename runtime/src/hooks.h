/* SPDX-License-Identifier: MIT */
/*
 * Programs at the stages of a container's life, with LXC's arguments and variables. What
 * they need is kept as text: the same in memory and in the state folder as `end`, so that
 * whoever cleans up after a killed supervisor runs the post-stop hooks, too. Lines:
 *
 *   env NAME=VALUE      version 0|1     STAGE COMMAND      remove DIR (ephemeral)
 */
#ifndef SAMPAN_HOOKS_H
#define SAMPAN_HOOKS_H

#include "conf.h"
#include "sampan.h"

enum { HOOK_MORE_MAX = 10 };

struct hook_more {                      /* what one stage has besides */
	const char *env[HOOK_MORE_MAX];         /* "NAME=VALUE", NULL ends */
	const char *args[HOOK_MORE_MAX];        /* of version 0, behind the stage */
	const char *section;            /* NULL: lxc */
	int (*prepare)(void *arg);      /* in the process that becomes the hook */
	void *arg;
};

/* Collects what `c` says; 0, or -1 when it does not fit. Nothing to run: an empty text. */
int hooks_load(const struct ctr *ctr, const struct conf *c);

bool hooks_any(enum hook_stage stage);
bool hooks_last(void);                  /* anything for hooks_end()? */

/* Runs those of a stage in their order until one fails. */
int hooks_run(enum hook_stage stage, const struct hook_more *more);

/*
 * A script of an interface: `when` is up or down; `link` and `peer` may be NULL. What a
 * script for its end will be told is noted, and all of those are run by the second one.
 */
int hooks_net(const char *when, const char *command, const char *type, const char *link, const char *peer);
int hooks_note_down(const char *command, const char *type, const char *link, const char *peer);
void hooks_down(void);
void hooks_kill(void);                  /* the one that runs; for a signal handler */

/* Writes the text down as `end` of the folder; and back. */
int hooks_save(int statedir);
bool hooks_restore(int statedir);       /* true: there is something to do; the file is gone */

/*
 * What is left to do when nothing of the container is there any more: post-stop, and the
 * end of an ephemeral one. A failure is printed; the end goes on.
 */
void hooks_end(bool reboot);

#endif
