/* SPDX-License-Identifier: MIT */
/* <fcntl.h>, whose functions of any number of arguments are ten times those of four (calls.c). */
#ifndef SAMPAN_FCNTL_H
#define SAMPAN_FCNTL_H

#include_next <fcntl.h>

int call_openat(int dir, const char *path, int flags, mode_t mode);
int call_fcntl(int fd, int command, int value);

#define openat(dir, path, flags, ...) call_openat(dir, path, flags, 0 __VA_OPT__(+(__VA_ARGS__)))
#define open(path, flags, ...) openat(AT_FDCWD, path, flags __VA_OPT__(, ) __VA_ARGS__)
#define fcntl(fd, command, value) call_fcntl(fd, command, value)

#endif
