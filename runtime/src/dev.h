/* SPDX-License-Identifier: MIT */
/* /dev of the container: the tmpfs with the standard nodes, devpts, console and ttys. */
#ifndef SAMPAN_DEV_H
#define SAMPAN_DEV_H

#include "conf.h"
#include "sampan.h"

struct ptys {                           /* masters, for the supervisor */
	int console;                    /* or -1 */
	int console_peer;               /* its slave, for the payload's stdio, or -1 */
	unsigned nttys;
	int tty[TTYS_MAX];
};

/* Is /dev ours to fill? Not when it is configured off or a mount entry brings one. */
bool dev_wanted(const struct ctr *ctr, const struct conf *conf);

/* For the host's side of a user namespace, where mknod(2) is nobody's right: all of /dev but the ptys. */
struct devlist;
int dev_make(int root, const struct ctr *ctr, const struct conf *conf, const struct devlist *l);

struct dev {
	int fd;                         /* our /dev, or -1 */
	bool pts;                       /* the devpts on its `pts` is ours, and nothing can have come over it */
};

/* Before the mount entries: tmpfs, directories, nodes that every /dev has, devpts. */
int dev_mount(int root, const struct ctr *ctr, const struct conf *conf, struct dev *dev);

/*
 * After them: links in our /dev, the nodes of the device list, then ptys on /dev/console
 * and /dev/ttyN.
 */
int dev_fill(int root, const struct dev *dev, const struct ctr *ctr, const struct conf *conf,
	     const struct devlist *l, struct ptys *p);

#endif
