/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include "feat.h"
#include "loop.h"
#include "util.h"

/* <linux/loop.h>; the toolchain's may be older than LOOP_CONFIGURE (5.8). */
enum {
	LOOP_SET_FD = 0x4c00, LOOP_CLR_FD = 0x4c01, LOOP_SET_STATUS64 = 0x4c04, LOOP_CONFIGURE = 0x4c0a,
	LOOP_CTL_GET_FREE = 0x4c82, LO_READ_ONLY = 1, LO_AUTOCLEAR = 4, TRIES = 64,
};

struct loop_info {
	uint64_t device, inode, rdevice, offset, sizelimit;
	uint32_t number, encrypt_type, encrypt_key_size, flags;
	uint8_t name[64], crypt_name[64], key[32];
	uint64_t init[2];
};
_Static_assert(sizeof(struct loop_info) == 232, "struct loop_info64");

struct loop_config {
	uint32_t fd, block_size;
	struct loop_info info;
	uint64_t reserved[8];
};
_Static_assert(sizeof(struct loop_config) == 304, "struct loop_config");

static int configure(int fd, int image, uint32_t flags)
{
	struct loop_config config = { .fd = (uint32_t)image, .info.flags = flags };

	if (feat_on(FEAT_LOOP_CONFIGURE)) {
		if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
			return 0;
		if (errno != EINVAL && errno != ENOTTY)         /* what old drivers say */
			return -1;
	}
	/* Read-only follows from how the image and the device have been opened. */
	if (ioctl(fd, LOOP_SET_FD, image) < 0)
		return -1;
	if (ioctl(fd, LOOP_SET_STATUS64, &config.info) == 0)
		return 0;
	ioctl(fd, LOOP_CLR_FD, 0);
	return -1;
}

int loop_attach(int image, bool readonly, struct loop *loop)
{
	CLEAN_FD int control = openat(AT_FDCWD, "/dev/loop-control", O_RDWR | O_CLOEXEC);

	if (control < 0) {
		err_set("open /dev/loop-control");
		err_hint("the kernel needs CONFIG_BLK_DEV_LOOP, or its module loop loaded");
		return -1;
	}
	for (int i = 0; i < TRIES; i++) {       /* EBUSY: somebody else was faster */
		int error, number = ioctl(control, LOOP_CTL_GET_FREE);

		snprintf(loop->dev, sizeof(loop->dev), "/dev/loop%d", number);
		loop->fd = number < 0 ? -1 : openat(AT_FDCWD, loop->dev,
						    (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (loop->fd < 0)
			return err_set("open %s", number < 0 ? "a free loop device" : loop->dev);
		if (configure(loop->fd, image, LO_AUTOCLEAR | (readonly ? LO_READ_ONLY : 0u)) == 0)
			return 0;
		error = errno;
		close(loop->fd);
		errno = error;
		if (error != EBUSY)
			break;
	}
	return err_set("attach the image to %s", loop->dev);
}
