/* SPDX-License-Identifier: MIT */
/* Device nodes inside of a container. */
#ifndef SAMPAN_NODES_H
#define SAMPAN_NODES_H

#include <sys/types.h>
#include "devlist.h"
#include "state.h"

/* The nodes of `l` in the directory `dev`. What is there already stays as it is. */
int nodes_make(int dev, const struct devlist *l);

/*
 * Makes `path`, with its parents, the node of this device (S_IFCHR or S_IFBLK), with the
 * owner and mode of the host's node `like`. EEXIST when something else is there.
 */
int node_make(int root, const char *path, const char *like, mode_t type, dev_t number);

/* Removes `path` when it is the node of this device, and nothing else. */
void node_remove(int root, const char *path, mode_t type, dev_t number);

/* The root directory of a running container, in its mount namespace. */
int nodes_root(const struct task *init);

/* After a change of its list: nodes of `before` alone go, those of `after` come. */
int nodes_sync(const struct state *st, const struct devlist *before, const struct devlist *after);

#endif
