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

/* Makes `root` the `/` of this process, with the flags of lxc.rootfs.options. */
int root_enter(int root, const struct conf *conf);

#endif
