/* SPDX-License-Identifier: MIT */
/*
 * What a host needs of the target to move only what changed of a file: sums of blocks,
 * bytes of ranges, and a new file put together from an old one (docs/serial-protocol.md).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent.h"
#include "frame.h"
#include "ids.h"
#include "sampan.h"
#include "sys.h"

enum { STEP = 4096, SUMS_LEN = 8, PIECE_LEN = 12 };

static uint8_t buf[STEP];
static const char *unfinished;  /* on a full disk it must not stay */

_Noreturn static void give_up(const char *what)
{
	err_set("%s", what);
	fail();
}

static void put(int fd, const uint8_t *bytes, size_t n)
{
	errno = 0;
	if (!write_all(fd, (const char *)bytes, n)) {
		err_set("write");
		if (unfinished)
			unlink(unfinished);
		fail();
	}
}

/* Sums of each block of a range, or with a block of 0 the bytes themselves. */
static void range(int fd, uint64_t at, uint64_t left, uint64_t block)
{
	while (left > 0) {
		uint64_t part = block && block < left ? block : left;
		uint32_t weak = 0, weaker = 0, strong = ~0u;
		uint8_t out[SUMS_LEN];

		left -= part;
		while (part > 0) {
			ssize_t n = pread(fd, buf, part < STEP ? part : STEP, (off_t)at);

			if (n <= 0)
				give_up("the file became shorter");
			at += (uint64_t)n;
			part -= (uint64_t)n;
			if (!block) {
				put(1, buf, (size_t)n);
				continue;
			}
			for (ssize_t i = 0; i < n; i++) {
				weak += buf[i];
				weaker += weak;
			}
			strong = frame_crc(strong, buf, (size_t)n);
		}
		put16(out, weak);
		put16(out + 2, weaker);
		put32(out + 4, ~strong);
		if (block)
			put(1, out, SUMS_LEN);
	}
}

static uint64_t number(const char *text)
{
	uint64_t value;

	if (!text || !parse_uint(text, 0, INT64_MAX, &value)) {
		err_plain("agent: a number is missing");
		fail();
	}
	return value;
}

/* FILE BLOCK [OFFSET LENGTH]...: without a range the file's size (8 bytes) and all of it. */
static void sums(char **words)
{
	CLEAN_FD int fd = open(words[0], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint64_t block = number(words[1]);
	struct stat st = { .st_size = 0 };
	uint8_t size[8];

	if (fd < 0 ? errno != ENOENT : fstat(fd, &st) < 0)
		give_up(words[0]);
	if (fd >= 0 && !S_ISREG(st.st_mode)) {
		err_plain("%s: not a regular file", words[0]);
		fail();
	}
	if (!words[2]) {
		put32(size, (uint32_t)st.st_size);
		put32(size + 4, (uint32_t)((uint64_t)st.st_size >> 32));
		put(1, size, sizeof(size));
		range(fd, 0, (uint64_t)st.st_size, block);
	}
	for (words += 2; words[0]; words += 2)
		range(fd, number(words[0]), number(words[1]), block);
}

/* All of `n` bytes of stdin; false at its end, when none of them came. */
static bool take(uint8_t *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t got = read(0, p + at, n - at);

		if (got <= 0 && at == 0 && got == 0)
			return false;
		if (got <= 0)
			give_up("the pieces end early");
		at += (size_t)got;
	}
	return true;
}

/*
 * OLD PART OFFSET COMMAND...: PART from OFFSET on, of pieces of OLD and of new bytes as
 * stdin says. The command puts it in place; the lock on PART lasts as long as it runs.
 */
static void patch(char **words)
{
	int old = open(words[0], O_RDONLY | O_CLOEXEC);
	int part = open(words[1], O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	uint64_t at, left, from = number(words[2]);
	uint8_t piece[PIECE_LEN];
	struct stat st, there;

	if (part < 0 || flock(part, LOCK_EX | LOCK_NB) < 0 || fstat(part, &st) < 0 ||
	    stat(words[1], &there) < 0 || st.st_ino != there.st_ino ||
	    ftruncate(part, (off_t)from) < 0 || lseek(part, 0, SEEK_END) < 0)
		give_up(words[1]);
	unfinished = words[1];
	while (take(piece, PIECE_LEN)) {
		at = get32(piece) | (uint64_t)get32(piece + 4) << 32;
		for (left = get32(piece + 8); left > 0;) {
			size_t n = left < STEP ? left : STEP;

			if (at == UINT64_MAX ? !take(buf, n) : pread(old, buf, n, (off_t)at) != (ssize_t)n)
				give_up("the pieces end early");
			put(part, buf, n);
			at += at == UINT64_MAX ? 0 : n;
			left -= n;
		}
	}
	if (fsync(part) < 0)
		give_up(words[1]);
	die(exec_program(words + 3));
}

bool delta_command(char **words, int n)
{
	if (n >= 3 && strcmp(words[0], "sums") == 0)
		sums(words + 1);
	else if (n >= 5 && strcmp(words[0], "patch") == 0)
		patch(words + 1);
	else
		return false;
	return true;
}
