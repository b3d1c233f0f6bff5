/* SPDX-License-Identifier: MIT */
/* Errors, cleanup attributes and number parsing: what every file of the runtime uses. */
#ifndef SAMPAN_UTIL_H
#define SAMPAN_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Exit codes (docs/runtime.md): the runtime's own failure, exec failed, not found. */
enum { EXIT_OWN = 125, EXIT_CANNOT_EXEC = 126, EXIT_NOT_FOUND = 127 };

/*
 * One error at a time: the function that fails says what it was doing to what, its
 * callers only return -1, and whoever gives up prints it once. err_set() appends
 * strerror(errno) when errno is not 0 on entry; err_hint() adds a second line.
 */
PRINTF(1, 2) int err_set(const char *fmt, ...);         /* always returns -1 */
PRINTF(1, 2) int err_plain(const char *fmt, ...);       /* the same without errno */
PRINTF(1, 2) void err_hint(const char *fmt, ...);
int err_where(const char *file, unsigned line);         /* puts FILE:LINE in front of the error */
const char *err_text(void);
const char *err_hint_text(void);

/* Called with every error that die() prints; log.c sets it. */
extern void (*err_note)(int level, const char *text);

/* Whose errors these are: the container's name once it is known. Not copied. */
void err_subject(const char *name);

/* Prints "sampan: NAME: text", the hint below it, and exits with `code`. */
_Noreturn void die(int code);

/* Writes all of `text` to `fd`, through short writes and EINTR; false on error. */
bool write_all(int fd, const char *text, size_t size);

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define CLEAN_FD __attribute__((cleanup(close_fd)))

/* Gives up ownership: `return take_fd(&fd);` */
static inline int take_fd(int *fd)
{
	int value = *fd;

	*fd = -1;
	return value;
}

/* How many digits the string begins with; 0: none, or their number is above `max`. */
size_t parse_digits(const char *text, uint64_t max, uint64_t *value);

/* The whole string is a decimal number in [min, max]: no sign, blank, hex or wrap. */
bool parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value);

int hex_digit(char c);                  /* 0 to 15, or -1 */

/* [A-Za-z0-9][A-Za-z0-9_.-]{0,63} */
bool name_ok(const char *name);

#endif
