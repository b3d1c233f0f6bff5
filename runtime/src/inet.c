/* SPDX-License-Identifier: MIT */
/*
 * In the place of libc's functions, with the same names and contracts for what this program
 * uses. They leave out: the dotted form of an IPv6 address that holds one of IPv4, when it
 * is printed; a buffer that is too small for any address.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "util.h"

static int parse4(const char *text, uint8_t *bytes)
{
	for (int i = 0; i < 4; i++) {
		uint64_t value;
		size_t n = parse_digits(text, 255, &value);

		if (n == 0 || (n > 1 && *text == '0') || text[n] != (i < 3 ? '.' : '\0'))
			return 0;
		bytes[i] = (uint8_t)value;
		text += n + 1;
	}
	return 1;
}

static int parse6(const char *text, uint8_t bytes[16])
{
	int used = 0, gap = -1;         /* gap: where the two colons are */

	if (text[0] == ':' && *++text != ':')
		return 0;
	for (;;) {
		const char *first;
		unsigned value = 0;

		if (*text == ':') {
			if (gap >= 0)
				return 0;
			gap = used;
			if (*++text == '\0')
				break;
		}
		for (first = text; hex_digit(*text) >= 0; text++)
			value = value << 4 | (unsigned)hex_digit(*text);
		if (*text == '.' && used <= 12 && parse4(first, bytes + used)) {
			used += 4;
			break;
		}
		if (text == first || text > first + 4 || used == 16)
			return 0;
		bytes[used++] = (uint8_t)(value >> 8);
		bytes[used++] = (uint8_t)value;
		if (*text == '\0')
			break;
		if (*text++ != ':')
			return 0;
	}
	if (gap < 0 || used == 16)
		return gap < 0 && used == 16;
	memmove(bytes + gap + 16 - used, bytes + gap, (size_t)(used - gap));
	memset(bytes + gap, 0, (size_t)(16 - used));
	return 1;
}

int inet_pton(int family, const char *restrict text, void *restrict bytes)
{
	return family == AF_INET ? parse4(text, bytes) : parse6(text, bytes);
}

const char *inet_ntop(int family, const void *restrict bytes, char *restrict buf, socklen_t size)
{
	const uint8_t *b = bytes;
	int gap = -1, length = 1;       /* the longest run of zeros, of two at least */
	size_t used = 0;

	if (family == AF_INET) {
		snprintf(buf, size, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
		return buf;
	}
	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && (b[2 * (i + n)] | b[2 * (i + n) + 1]) == 0)
			n++;
		if (n > length) {
			gap = i;
			length = n;
		}
	}
	for (int i = 0; i < 8; i++) {
		if (i == gap) {
			i += length - 1;
			used += (size_t)snprintf(buf + used, size - used, i == 7 ? "::" : ":");
		} else {
			used += (size_t)snprintf(buf + used, size - used, "%s%x", i > 0 ? ":" : "",
						 b[2 * i] << 8 | b[2 * i + 1]);
		}
	}
	return buf;
}
