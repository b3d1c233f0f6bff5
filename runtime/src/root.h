/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_ROOT_H
#define SAMPAN_ROOT_H

#include "conf.h"
#include "sampan.h"

/*
 * Cuts propagation to the host and mounts the root file system: on itself, on
 * lxc.rootfs.mount, or on the state folder `statedir`; an O_PATH descriptor of it. Nobody
 * outside of this mount namespace sees the mount. Sets MS_RDONLY in `conf` for a root that
 * cannot be written and has been covered by an overlay.
 */
int root_prepare(const struct ctr *ctr, struct conf *conf, bool app, int statedir);

/*
 * For the host's side, before: an open file without a name that keeps the file system of
 * the root folder busy, so that a container with CAP_SYS_ADMIN that remounts its `/`
 * read-only, as busybox does at shutdown, gets EBUSY and does not stop the host's disk.
 * -1 where there is nothing to protect, or no such files.
 */
int root_pin(const struct conf *conf);

/* Makes `root` the `/` of this process, with the flags of lxc.rootfs.options. */
int root_enter(int root, const struct conf *conf);

#endif
