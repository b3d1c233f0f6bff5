/* SPDX-License-Identifier: MIT */
/* How every command gives up. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include "sampan.h"

static int own_failure;

void fail_code(int code)
{
	own_failure = code;
}

void fail(void)
{
	die(own_failure ? own_failure : EXIT_FAILURE);
}

uid_t own_uid(void)
{
	return (uid_t)getauxval(AT_EUID);
}

void need_root(void)
{
	if (own_uid() == 0)
		return;
	err_plain("this needs root");
	fail();
}

void path_fmt(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= size) {
		err_plain("a path is longer than %zu bytes: %.60s...", size - 1, buf);
		fail();
	}
}
