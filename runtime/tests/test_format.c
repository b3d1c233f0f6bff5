/* SPDX-License-Identifier: MIT */
/* The runtime's printf says what libc's says, for all forms the sources use. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "check.h"

#define vsnprintf own_vsnprintf
#define snprintf  own_snprintf
#define sprintf   own_sprintf
#define printf    own_printf
#define fprintf   own_fprintf
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
int own_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
#include "../src/format.c"
#pragma GCC diagnostic pop
#undef vsnprintf
#undef snprintf
#undef sprintf
#undef printf
#undef fprintf

static bool same(size_t size, const char *fmt, ...)
{
	char ours[64], libcs[64];
	va_list ap;
	int n, m;

	memset(ours, '#', sizeof(ours));
	memset(libcs, '#', sizeof(libcs));
	va_start(ap, fmt);
	n = own_vsnprintf(ours, size, fmt, ap);
	va_end(ap);
	va_start(ap, fmt);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	m = vsnprintf(libcs, size, fmt, ap);
#pragma GCC diagnostic pop
	va_end(ap);
	return n == m && memcmp(ours, libcs, sizeof(ours)) == 0;
}

int main(void)
{
	static const long long numbers[] = { 0, 1, -1, 9, 10, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN };

	for (size_t size = 0; size < 24; size++) {      /* cut at every place */
		CHECK(same(size, "a%%b %s|%c|%d", "text", 'x', -42));
		CHECK(same(size, "%-15s|%.3s|%.*s|%5s", "left", "cut short", 2, "two", "r"));
		CHECK(same(size, "%-*s|%*s", 7, "w", 7, "w"));
		CHECK(same(size, "%04x %x %02u", 0xabu, ~0u, 7u));
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		long long v = numbers[i];

		CHECK(same(64, "%d %u %lld %llu", (int)v, (unsigned)v, v, (unsigned long long)v));
		CHECK(same(64, "%ld %lu %zu", (long)v, (unsigned long)v, (size_t)v));
		CHECK(same(64, "%12d|%-12d|", (int)v, (int)v));
	}
	return check_end();
}
