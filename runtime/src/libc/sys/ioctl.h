/* SPDX-License-Identifier: MIT */
/* <sys/ioctl.h>; see fcntl.h here. */
#ifndef SAMPAN_IOCTL_H
#define SAMPAN_IOCTL_H

#include_next <sys/ioctl.h>
#include <stdint.h>

int call_ioctl(int fd, unsigned request, uintptr_t value);

#define ioctl(fd, request, ...) \
	call_ioctl(fd, (unsigned)(request), (uintptr_t)(0 __VA_OPT__(+(__VA_ARGS__))))

#endif
