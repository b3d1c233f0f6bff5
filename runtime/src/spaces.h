/* SPDX-License-Identifier: MIT */
/* Namespaces that are shared or set before there is anybody in them, and the user namespace. */
#ifndef SAMPAN_SPACES_H
#define SAMPAN_SPACES_H

#include "start.h"

/*
 * Brings this process into the namespaces the container shares, and makes the time
 * namespace, for the next clone; spaces_leave() brings it back. `home` remembers whence.
 */
int spaces_enter(const struct conf *c, int home[NS_KINDS]);
int spaces_leave(const int home[NS_KINDS]);

/*
 * For a container with a user namespace: what takes the host's rights is made before the
 * clone, as trees of mounts that are nowhere yet: the root with its /dev, binds with idmap=.
 */
int userns_prepare(struct start *s);

/* After the clone, which waits for it: maps, owners of the trees and of the cgroups. */
int userns_map(struct start *s);

/* In the new process: puts the root where it belongs; its descriptor, or -1. */
int userns_root(const struct start *s);

#endif
