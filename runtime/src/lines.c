/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <string.h>
#include "lines.h"
#include "util.h"

bool lines_open(struct lines *l, const char *path)
{
	l->at = l->used = 0;
	l->fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	return l->fd >= 0;
}

char *lines_next(struct lines *l)
{
	char *line, *end;

	while (!(end = memchr(l->buf + l->at, '\n', l->used - l->at))) {
		ssize_t n;

		memmove(l->buf, l->buf + l->at, l->used - l->at);
		l->used -= l->at;
		l->at = 0;
		if (l->used == sizeof(l->buf) - 1)
			break;
		n = l->fd < 0 ? 0 : read(l->fd, l->buf + l->used, sizeof(l->buf) - 1 - l->used);
		if (n <= 0)
			break;
		l->used += (size_t)n;
	}
	if (!end && l->used == 0)
		return NULL;
	line = l->buf + l->at;
	if (end) {
		*end = '\0';
		l->at = (size_t)(end - l->buf) + 1;
	} else {
		l->buf[l->used] = '\0';
		l->at = l->used;
	}
	return line;
}

void lines_close(struct lines *l)
{
	close_fd(&l->fd);
	l->fd = -1;
}
