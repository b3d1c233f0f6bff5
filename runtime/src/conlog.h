/* SPDX-License-Identifier: MIT */
/*
 * The console's log file: written by a process of its own, for a write to slow or full flash
 * waits, whatever a descriptor's flags say. The supervisor hands bytes over by a pipe and
 * drops, with a mark, what the pipe does not take. FILE and FILE.1 together hold two sizes.
 */
#ifndef SAMPAN_CONLOG_H
#define SAMPAN_CONLOG_H

#include <stdbool.h>
#include <stddef.h>

/* `size` 0: 128 KiB. Without rotation a full file begins anew. -1: the log cannot be made. */
int conlog_begin(const char *file, size_t size, bool rotate);
void conlog_put(const char *text, size_t n);
void conlog_end(void);                  /* waits for the writer, two seconds at most */

#endif
