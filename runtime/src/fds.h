/* SPDX-License-Identifier: MIT */
/* Descriptors: sent from process to process, and closed all at once. */
#ifndef SAMPAN_FDS_H
#define SAMPAN_FDS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { FDS_MAX = 32 };                  /* in one packet */

/* One packet of `size` bytes with `n` descriptors; 0 or -1. */
int fds_send(int sock, const void *data, size_t size, const int *fds, size_t n);

/* The other end: bytes received (0: closed), and at most FDS_MAX descriptors in `fds`. */
ssize_t fds_receive(int sock, void *data, size_t size, int *fds, size_t *n);

/* Closes every descriptor from `first` on, or marks it close-on-exec. */
void close_from(int first, bool cloexec);

#endif
