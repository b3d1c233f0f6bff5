/* SPDX-License-Identifier: MIT */
/* What all commands share: the container they are about and how they give up. */
#ifndef SAMPAN_SAMPAN_H
#define SAMPAN_SAMPAN_H

#include <stdbool.h>
#include <sys/types.h>
#include "limits.h"
#include "util.h"

#define SAMPAN_VERSION  "0.1"
#define LXCPATH_DEFAULT "/var/lib/lxc"
#define RUN_DEFAULT     "/run/sampan"           /* SAMPAN_RUN moves it, for tests */

struct ctr {                                    /* a container as the command line names it */
	const char *name;
	char lxcpath[PATH_LEN_MAX];             /* absolute */
	char dir[PATH_LEN_MAX];                 /* LXCPATH/NAME */
	char config[PATH_LEN_MAX];              /* LXCPATH/NAME/config, or what -f said */
};

extern char **own_argv;                         /* as the process got it */

/* Gives up: prints the error and exits with the command's own failure code. */
_Noreturn void fail(void);
void fail_code(int code);               /* which code that is; 1 at first */

/* --rcfile: what is read in place of LXCPATH/NAME/config, or NULL. */
extern const char *ctr_rcfile;

/* Checks the name, builds the paths, names the subject of errors; fails otherwise. */
void ctr_init(struct ctr *c, const char *name, const char *lxcpath);

/* Is there a configuration? (LXC: "is the container defined") */
bool ctr_defined(const struct ctr *c);

uid_t own_uid(void);                    /* as at the exec */
void need_root(void);

/* snprintf that fails the command instead of cutting a path short. */
PRINTF(3, 4) void path_fmt(char *buf, size_t size, const char *fmt, ...);

int cmd_create(int argc, char **argv);
int cmd_destroy(int argc, char **argv);
int cmd_autostart(int argc, char **argv);
int cmd_copy(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_ls(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_start(int argc, char **argv);
int cmd_execute(int argc, char **argv);
int cmd_attach(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_freeze(int argc, char **argv);
int cmd_unfreeze(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_device(int argc, char **argv);
int cmd_cgroup(int argc, char **argv);
int cmd_wait(int argc, char **argv);
int cmd_monitor(int argc, char **argv);
int cmd_net(int argc, char **argv);
int cmd_checkconfig(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_update_config(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_agent(int argc, char **argv);

#endif
