/* SPDX-License-Identifier: MIT */
/* Who the payload is: capabilities, ids, environment; and the exec itself. */
#ifndef SAMPAN_IDS_H
#define SAMPAN_IDS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "conf.h"
#include "seccomp.h"

#define ENV_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ALL_CAPS UINT64_MAX
#define CAP_SYS_ADMIN_BIT (UINT64_C(1) << 21)

/* The capabilities a configuration leaves: everything but drop, or exactly keep. */
uint64_t caps_left(const struct conf *conf);

/*
 * Limits the bounding set and the own sets to `keep`; inheritable and ambient end
 * empty. Then gid, uid and the `n` supplementary groups, then no_new_privs. The filter is
 * loaded where there is still privilege for it, as late as that allows.
 */
int ids_become(uint64_t keep, uid_t uid, gid_t gid, const gid_t *groups, unsigned n,
	       bool no_new_privs, const struct seccomp *filter);

int ids_root(void);                     /* root of the user namespace this process has entered */
int ids_keyring(void);                  /* leaves the caller's session keyring for an empty one */
int ids_personality(enum conf_arch arch);

/*
 * A clean environment: PATH, HOME, TERM, container=lxc and what is configured.
 */
int env_set(const struct conf *conf);

/*
 * Wipes the caller's variables where /proc/PID/environ shows them. For PID 1 of an app
 * container, which never executes anything: the container could read them there.
 */
void env_wipe(void);
void env_find(void);                    /* at the very start, before setenv moves things */

/* Signal state as a program expects it: none blocked, and none of `ignored` so (bit 0 is signal 1). */
void signals_default(uint32_t ignored);

/* For who does not know what its caller ignored: SIGHUP SIGINT SIGQUIT SIGPIPE SIGTERM SIGCHLD. */
#define SIGNALS_OFTEN_IGNORED \
	(1u << (SIGHUP - 1) | 1u << (SIGINT - 1) | 1u << (SIGQUIT - 1) | 1u << (SIGPIPE - 1) | \
	 1u << (SIGTERM - 1) | 1u << (SIGCHLD - 1))

/*
 * execvp; on failure sets the error and returns the exit code that says why:
 * 127 when there is no such file, 126 when it cannot be executed.
 */
int exec_program(char *const argv[]);

#endif
