/* SPDX-License-Identifier: MIT */
/* Mounts, from descriptor to descriptor. All of it runs in the container's own mount
 * namespace, before pivot_root. */
#ifndef SAMPAN_MOUNT_H
#define SAMPAN_MOUNT_H

#include <stdbool.h>
#include "cgroup.h"
#include "sampan.h"

/* mount(2) on what the descriptor is. -1 and errno. */
int mnt_on(const char *source, int dst, const char *type, unsigned long flags, const char *data);

/* A new file system on the directory `dst`. `where` is for messages. */
int mnt_fs(const char *source, int dst, const char *type, unsigned long flags, const char *data,
	   const char *where);

/* Binds `src` on `dst`; `flags` are MS_REC and the attributes the new mount gets. */
int mnt_bind(int src, int dst, unsigned long flags, const char *where);

/* The same; a descriptor of the new mount, which one of `dst` is not. */
int mnt_bind_top(int src, int dst, unsigned long flags, const char *where);

/* The mount that lies on the directory `dst` by now: an O_PATH descriptor, or -1 and errno. */
int mnt_top(int dst);

/* Adds attributes (MS_RDONLY ...) to the mount at `place`. -1 and errno. */
int mnt_flags(const char *place, unsigned long flags);

/* Where a configured target lies inside the root: no leading or trailing slashes. */
void mnt_inside(const struct ctr *ctr, const struct conf *conf, const char *target, char *out,
		size_t size);

/* Does some lxc.mount.entry have this place inside the root ("dev") as its target? */
bool mnt_covers(const struct ctr *ctr, const struct conf *conf, const char *place);

/* For a tree that is mounted nowhere yet: owners become what the namespace maps them to; flags. */
int mnt_owners(int tree, int userns, const char *what);
int mnt_tree_flags(int tree, unsigned long flags);

/* All of lxc.mount.entry, in order. */
int mnt_entries(int root, const struct ctr *ctr, const struct conf *conf);

/*
 * lxc.mount.auto: proc, sys, cgroup; `dev` is our /dev, with a `null`, or -1, `cg` are the
 * container's own directories. The working folder may lie in one of them then.
 */
int mnt_auto(int root, int dev, const struct conf *conf, const struct cg_host *host, const struct cg *cg);
int mnt_auto_cgroup(int root, const struct conf *conf, const struct cg_host *host,
		    const struct cg *cg);

/* A procfs of our pid namespace on /proc unless one is there (execute). */
int mnt_proc_if_none(int root);

#endif
