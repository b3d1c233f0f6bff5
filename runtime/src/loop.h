/* SPDX-License-Identifier: MIT */
/* Loop devices: an image file as a block device. */
#ifndef SAMPAN_LOOP_H
#define SAMPAN_LOOP_H

#include <stdbool.h>

struct loop {
	int fd;                         /* keep it open until the device is mounted */
	char dev[24];                   /* "/dev/loop3" */
};

/*
 * A free loop device that reads, or also writes, `image`. The kernel gives it back by
 * itself with its last user: after the last close, or when its mount is gone.
 */
int loop_attach(int image, bool readonly, struct loop *loop);

#endif
