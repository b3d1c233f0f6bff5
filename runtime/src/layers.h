/* SPDX-License-Identifier: MIT */
/* Root file systems that have to be mounted first: images, block devices, overlays. */
#ifndef SAMPAN_LAYERS_H
#define SAMPAN_LAYERS_H

#include "conf.h"

/* Does the root file system stand in a folder of the host, which it is bound from? */
bool layers_none(const struct conf *conf);

/*
 * Mounts what lxc.rootfs.path names on the directory `place`, in our own mount
 * namespace: with its end all of it is gone, loop devices too.
 */
int layers_mount(const struct conf *conf, int place);

/* The same for a tmpfs, `options` those of its own, on which what is written lands, over `lower`. */
int layers_cover(int lower, int place);

#endif
