/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "limits.h"
#include "util.h"

static struct {
	const char *subject;
	char text[PATH_LEN_MAX + 256];
	char hint[PATH_LEN_MAX];
} error;

void (*err_note)(int level, const char *text);

PRINTF(3, 0) static void format(char *buf, size_t size, const char *fmt, va_list ap)
{
	if (vsnprintf(buf, size, fmt, ap) < 0)
		buf[0] = '\0';
}

int err_set(const char *fmt, ...)
{
	int number = errno;
	size_t used;
	va_list ap;

	va_start(ap, fmt);
	format(error.text, sizeof(error.text), fmt, ap);
	va_end(ap);
	error.hint[0] = '\0';
	if (number != 0) {
		used = strlen(error.text);
		snprintf(error.text + used, sizeof(error.text) - used, ": %s", strerror(number));
	}
	errno = number;
	return -1;
}

int err_plain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format(error.text, sizeof(error.text), fmt, ap);
	va_end(ap);
	error.hint[0] = '\0';
	return -1;
}

void err_hint(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format(error.hint, sizeof(error.hint), fmt, ap);
	va_end(ap);
}

int err_where(const char *file, unsigned line)
{
	char text[sizeof(error.text)];

	snprintf(text, sizeof(text), "%s:%u: %.900s", file, line, error.text);
	memcpy(error.text, text, sizeof(text));
	return -1;
}

const char *err_text(void)
{
	return error.text;
}

const char *err_hint_text(void)
{
	return error.hint;
}

void err_subject(const char *name)
{
	error.subject = name;
}

void die(int code)
{
	char line[sizeof(error.text) + sizeof(error.hint) + NAME_LEN_MAX + 32];
	bool hint = error.hint[0] != '\0';
	size_t n;

	snprintf(line, sizeof(line), "sampan: %.*s%s%s", NAME_LEN_MAX,
		 error.subject ? error.subject : "", error.subject ? ": " : "", error.text);
	if (err_note)
		err_note(5, line + 8);
	n = strlen(line);
	snprintf(line + n, sizeof(line) - n, "%s%s\n", hint ? "\n  hint: " : "", error.hint);
	/* one write: lines of two processes do not mix */
	write_all(STDERR_FILENO, line, strlen(line));
	_exit(code);
}

bool write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text += n;
		size -= (size_t)n;
	}
	return true;
}

size_t parse_digits(const char *text, uint64_t max, uint64_t *value)
{
	uint64_t sum = 0;
	size_t n = 0;

	for (; text[n] >= '0' && text[n] <= '9'; n++) {
		uint64_t digit = (uint64_t)(text[n] - '0');

		if (digit > max || sum > (max - digit) / 10)
			return 0;
		sum = sum * 10 + digit;
	}
	*value = sum;
	return n;
}

bool parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t sum;
	size_t n = parse_digits(text, max, &sum);

	if (n == 0 || text[n] != '\0' || sum < min)
		return false;
	*value = sum;
	return true;
}

int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

static bool alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool name_ok(const char *name)
{
	size_t n;

	if (!alnum(name[0]))
		return false;
	for (n = 1; name[n] != '\0'; n++)
		if (!alnum(name[n]) && name[n] != '_' && name[n] != '.' && name[n] != '-')
			return false;
	return n <= NAME_LEN_MAX;
}
