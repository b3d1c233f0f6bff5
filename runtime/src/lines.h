/* SPDX-License-Identifier: MIT */
/* A text file line by line, without libc's streams and their memory. */
#ifndef SAMPAN_LINES_H
#define SAMPAN_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct lines {
	int fd;
	size_t at, used;                /* of `buf`: what is not read yet, what is there */
	char buf[4096];                 /* a longer line comes in pieces of this size */
};

#define CLEAN_LINES __attribute__((cleanup(lines_close)))

bool lines_open(struct lines *l, const char *path);     /* false and errno */
char *lines_next(struct lines *l);      /* without its newline, valid until the next; NULL: end */
void lines_close(struct lines *l);

#endif
