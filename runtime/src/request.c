/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <string.h>
#include "request.h"

enum { REQUEST_LEN = 8192, WORDS = 250 };

static struct {
	const void *owner;
	size_t size;
	char text[REQUEST_LEN + 3];
} request;

void request_add(const void *owner, const uint8_t *bytes, size_t n)
{
	if (request.owner != owner) {
		request.owner = owner;
		request.size = 0;
	}
	if (request.size + n > REQUEST_LEN)
		request.owner = NULL;           /* too long: refused when it is opened */
	else
		memcpy(request.text + request.size, bytes, n);
	request.size += n;
}

char **request_words(const void *owner, bool own_verb, char **variables)
{
	static char *argv[WORDS + 2];
	char *p = request.text, *end = p + request.size;
	unsigned n = 0;

	if (request.owner != owner)
		return NULL;
	end[0] = end[1] = end[2] = '\0';
	if (own_verb)
		argv[n++] = (char *)(uintptr_t)"sampan";
	for (; *p && n < WORDS; p += strlen(p) + 1)
		argv[n++] = p;
	argv[n] = NULL;
	if (n == 0 || *p || p >= end)
		return NULL;
	*variables = p + 1;
	return argv;
}

void request_end(void)
{
	request.owner = NULL;
}
