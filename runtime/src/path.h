/* SPDX-License-Identifier: MIT */
/*
 * Every object inside a root file system is reached through root_open(): symbolic
 * links are followed as the container would, never out of the root and never
 * through a magic link. No path of an image is used twice: take the descriptor.
 */
#ifndef SAMPAN_PATH_H
#define SAMPAN_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include "util.h"

/* An O_PATH descriptor; `flags` may add O_DIRECTORY. -1 and errno. */
int root_open(int root, const char *path, int flags);

/*
 * Makes the directory with its parents, or an empty file in an existing or made
 * directory; an O_PATH descriptor of it. What exists is taken as it is. -1 and errno.
 */
int root_mkdirs(int root, const char *path);
int root_mkfile(int root, const char *path);

/* "/proc/self/fd/N": the only way old mount(2) takes a descriptor. */
struct fdpath {
	char s[32];
};
struct fdpath fd_path(int fd);

/* Opens the path that `fmt` makes, of a process in /proc and the like; -1, the error set and errno. */
PRINTF(2, 3) int open_path(int flags, const char *fmt, ...);

/* The path of what the descriptor is; -1 and errno. */
long fd_name(int fd, char *buf, size_t size);

/* Reads a small file; the text ends in NUL. Bytes read, or -1 and errno. */
long read_small(int dir, const char *path, char *buf, size_t size);

#endif
