/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "limits.h"
#include "ring.h"

enum { RING_BYTES = 16384, LOG_BYTES_MAX = 131072 };

static struct {
	int master, log, peer;
	size_t at, filled;
	off_t logged;
	bool active;
	const char *logfile;
	char bytes[RING_BYTES];
} ring;                                 /* zero at first: no page of it is in the binary */

static void log_open(int extra)
{
	struct stat st;

	ring.log = openat(AT_FDCWD, ring.logfile, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOFOLLOW |
			O_CLOEXEC | O_NOCTTY | extra, 0600);
	ring.logged = ring.log >= 0 && fstat(ring.log, &st) == 0 ? st.st_size : 0;
}

void ring_begin(int master, const char *logfile)
{
	ring.master = master;
	ring.logfile = logfile;
	ring.log = ring.peer = -1;
	ring.active = true;
	if (logfile[0])
		log_open(0);
}

/* FILE becomes FILE.1: flash holds twice the limit at most. */
static void log_rotate(void)
{
	char old[PATH_LEN_MAX + 4];

	snprintf(old, sizeof(old), "%s.1", ring.logfile);
	close(ring.log);
	rename(ring.logfile, old);
	log_open(O_TRUNC);
}

static void keep(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		ring.bytes[ring.at] = text[i];
		ring.at = (ring.at + 1) % RING_BYTES;
	}
	ring.filled = ring.filled + n < RING_BYTES ? ring.filled + n : RING_BYTES;
}

static void to_peer(const char *text, size_t n)
{
	if (ring.peer >= 0 && n > 0)
		send(ring.peer, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void ring_peer(int fd)
{
	ring.peer = fd;
	if (ring.filled == RING_BYTES)
		to_peer(ring.bytes + ring.at, RING_BYTES - ring.at);
	to_peer(ring.bytes, ring.at);
}

bool ring_drain(void)
{
	char buf[1024];
	ssize_t n = read(ring.master, buf, sizeof(buf));

	if (n <= 0)
		return false;
	keep(buf, (size_t)n);
	to_peer(buf, (size_t)n);
	if (ring.log >= 0 && ring.logged + n > LOG_BYTES_MAX)
		log_rotate();
	/* Never waits for a slow medium; what it does not take is in the ring. */
	if (ring.log >= 0 && write(ring.log, buf, (size_t)n) > 0)
		ring.logged += n;
	return true;
}

void ring_end(void)
{
	if (!ring.active)
		return;
	while (ring_drain())
		;
	if (ring.log >= 0)
		close(ring.log);
	ring.active = false;
}
