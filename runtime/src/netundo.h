/* SPDX-License-Identifier: MIT */
/*
 * How to take back what a container's network has of the host: ready netlink requests,
 * kept with the state, so that whoever cleans up needs no configuration.
 */
#ifndef SAMPAN_NETUNDO_H
#define SAMPAN_NETUNDO_H

#include <stdbool.h>
#include <stddef.h>
#include "limits.h"

struct nl_msg;

struct net_undo {
	unsigned long ns;               /* the inode of the host's namespace: numbers are of there */
	size_t used;
	_Alignas(4) unsigned char bytes[NET_UNDO_MAX];
};

unsigned long net_ns(void);             /* of this process */
enum { NET_INSIDE = 1 };                /* in nlmsg_pid: for the pinned namespace */
int net_note(struct net_undo *u, const struct nl_msg *m);

/* The namespace of `pid` stays, below the folder of the state, until net_end(). */
int net_pin(int statedir, int pid);

/*
 * Sends all of it; `statedir` is the folder it was pinned in (-1: there is none). From
 * another namespace nothing is sent: the kernel does what it can.
 */
void net_end(int statedir, struct net_undo *u);

/* One line each way: the namespace, a blank, hexadecimal digits. */
size_t net_undo_text(const struct net_undo *u, char *buf, size_t size);
bool net_undo_parse(const char *text, struct net_undo *u);

#endif
