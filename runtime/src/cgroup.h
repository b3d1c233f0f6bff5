/* SPDX-License-Identifier: MIT */
/*
 * Cgroups: v2, v1 in separate hierarchies or all controllers in one, and hybrid.
 * A container lives in /sampan/NAME below the root of each hierarchy it needs (the
 * root as mounted here, so a runtime inside a container nests by itself; /sampan stays,
 * and with it what a person has set there for all containers together): the v2
 * hierarchy, or v1 `freezer`, to keep track of its processes; v1 `devices` when
 * there are device rules; and whatever has a value set. Nothing else is touched.
 */
#ifndef SAMPAN_CGROUP_H
#define SAMPAN_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include "conf.h"
#include "limits.h"

enum { CG_MAX = 16, CG_PATH_MAX = 192, CG_CTRL_MAX = 160 };

struct cg_host {                        /* the hierarchies mounted on this system */
	unsigned n;
	struct cg_hier {
		bool v2;
		char mount[CG_PATH_MAX];
		char below[CG_PATH_MAX];        /* of it: where /sampan is, "" or "/DIR" */
		char ctrl[CG_CTRL_MAX];         /* v1: ",cpu,cpuacct," */
	} hier[CG_MAX];
};

struct cg_dir {
	bool v2, track;                 /* track: its cgroup.procs lists the container */
	unsigned hier;
	char path[CG_PATH_MAX];
};

struct cg {
	unsigned n;
	int v2fd;                       /* directory, for CLONE_INTO_CGROUP and bpf(2), or -1 */
	int program;                    /* device policy on v2, loaded but not in force, or -1 */
	struct cg_dir dir[CG_MAX];
};

void cg_init(struct cg *cg);

/* Finds what is mounted (below $SAMPAN_CGROUP_ROOT when that is set). */
int cg_detect(struct cg_host *host);
bool cg_quick(struct cg_host *host, bool all);  /* faster; false: ask cg_detect(). `all`: none may lack */
const struct cg_hier *cg_find(const struct cg_host *host, const char *ctrl);    /* v1 */
const struct cg_hier *cg_find_v2(const struct cg_host *host);

/* Sets `below`, as lxc.cgroup.relative and lxc.cgroup.dir say. */
int cg_place(struct cg_host *host, const struct conf *conf);
const char *cg_layout(const struct cg_host *host);      /* "v1", "v2", "hybrid", "none" */

/* Decides which directories `conf` needs; refuses what this system cannot do. */
int cg_plan(struct cg *cg, const struct cg_host *host, const struct conf *conf, const char *name);

/* Makes the directories, sets the values, opens the v2 one. */
int cg_make(struct cg *cg, const struct cg_host *host, const struct conf *conf);

/* The container's root may make groups of its own below; the limits stay the host's. */
int cg_give(const struct cg *cg, uid_t uid, gid_t gid);

/* The new process joins by itself; with `all` also v2 (no CLONE_INTO_CGROUP). */
int cg_join(const struct cg *cg, bool all);
int cg_open_v2(struct cg *cg);          /* v2fd, when there is such a directory */
void cg_close(struct cg *cg);

/* Loads the program of a policy that v2 has to hold: slow, and nothing need wait for it. */
int cg_policy_load(struct cg *cg, const struct dev_rules *rules, const struct cg_host *host);
int cg_policy(const struct cg *cg, const struct dev_rules *rules, const struct cg_host *host);

/* Processes in the container, counted up to `most`. */
unsigned cg_count(const struct cg *cg, unsigned most);

void cg_kill(const struct cg *cg);      /* everything inside, as far as cgroups can */
void cg_remove(struct cg *cg);          /* the directories, also below them */
void cg_end(struct cg *cg);             /* both, without a kill when nothing is left */
void cg_sweep(const char *name);        /* empty directories of this name, wherever they are */

/* Waits until all of it stands still, or runs again; -1 where there is no freezer. */
int cg_freeze(const struct cg *cg, bool freeze);
bool cg_frozen(const struct cg *cg);

/*
 * Sets a file of the container's cgroup, turning its controller on where that takes it (v2).
 * Refuses files that no hierarchy of the container has.
 */
int cg_set(const struct cg *cg, const char *file, const char *value);

/* A number from a file of the v2 or v1 directory, e.g. "memory.current"; -1 if none. */
long long cg_value(const struct cg *cg, const char *file);

#endif
