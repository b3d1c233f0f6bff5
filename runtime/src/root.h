/* SPDX-License-Identifier: MIT */
/* The root file system: made a mount of its own, then entered. */
#ifndef SAMPAN_ROOT_H
#define SAMPAN_ROOT_H

#include "conf.h"

/* Cuts propagation to the host, binds the rootfs; a descriptor of it, or -1. */
int root_prepare(const struct conf *conf);

/* pivot_root into it and lets go of the host's tree; then the flags of lxc.rootfs.options. */
int root_enter(int root, const struct conf *conf);

#endif
