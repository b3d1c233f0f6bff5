/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conlog.h"
#include "ring.h"
#include "state.h"

enum { RING_BYTES = 16384 };

static struct {
	int master, peer;
	size_t at, filled, size;
	bool active;
	char *bytes;                    /* mapped with the first byte, kept over a restart */
} ring;

void ring_begin(int master, size_t size)
{
	ring.master = master;
	ring.peer = -1;
	ring.active = true;
	if (!ring.bytes)
		ring.size = size ? size : RING_BYTES;
}

static void keep(const char *text, size_t n)
{
	if (!ring.bytes)
		ring.bytes = mmap(NULL, ring.size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ring.bytes == MAP_FAILED)
		ring.bytes = NULL;
	if (!ring.bytes)
		return;
	for (size_t i = 0; i < n; i++) {
		ring.bytes[ring.at] = text[i];
		ring.at = (ring.at + 1) % ring.size;
	}
	ring.filled = ring.filled + n < ring.size ? ring.filled + n : ring.size;
}

static void to_peer(const char *text, size_t n)
{
	if (ring.peer >= 0 && n > 0)
		send(ring.peer, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void ring_peer(int fd)
{
	ring.peer = fd;
	if (!ring.bytes)
		return;
	if (ring.filled == ring.size)
		to_peer(ring.bytes + ring.at, ring.size - ring.at);
	to_peer(ring.bytes, ring.at);
}

void ring_take(const char *text, size_t n)
{
	keep(text, n);
	to_peer(text, n);
	conlog_put(text, n);
}

bool ring_drain(void)
{
	char buf[1024];
	ssize_t n = read(ring.master, buf, sizeof(buf));

	if (n > 0)
		ring_take(buf, (size_t)n);
	return n > 0;
}

/* ---- after the end ------------------------------------------------------------- */

#define FOLDER ".console"

static int folder(bool make)
{
	CLEAN_FD int root = state_root();

	if (root < 0 || (make && mkdirat(root, FOLDER, 0700) < 0 && errno != EEXIST))
		return -1;
	return openat(root, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void save(const char *name)
{
	CLEAN_FD int dir = folder(true), fd = -1;
	char temporary[NAME_LEN_MAX + 2];
	size_t first = ring.filled == ring.size ? ring.at : 0;

	snprintf(temporary, sizeof(temporary), ".%s", name);
	fd = dir < 0 ? -1 : openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW |
				   O_CLOEXEC, 0600);
	if (fd >= 0 && (!write_all(fd, ring.bytes + first, ring.filled - first) ||
			!write_all(fd, ring.bytes, first) || renameat(dir, temporary, dir, name) < 0))
		unlinkat(dir, temporary, 0);
}

void ring_end(const char *name)
{
	if (!ring.active)
		return;
	while (ring_drain())
		;
	conlog_end();
	if (ring.filled > 0)
		save(name);
	ring.active = false;
}

bool ring_show(const char *name)
{
	CLEAN_FD int dir = folder(false);
	CLEAN_FD int fd = dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char buf[4096];
	ssize_t n;

	if (fd < 0)
		return false;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		write_all(STDOUT_FILENO, buf, (size_t)n);
	return true;
}

void ring_forget(const char *name)
{
	CLEAN_FD int dir = folder(false);

	if (dir >= 0)
		unlinkat(dir, name, 0);
}
