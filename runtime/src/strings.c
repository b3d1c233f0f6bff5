/* SPDX-License-Identifier: MIT */
/*
 * In the place of libc's functions on strings, with the same names and contracts: those
 * compare and search by words or vectors, which texts of a few bytes do not need. What is
 * not here (strlen, memcpy and the like) the compiler calls by itself.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n > 0; a++, b++, n--)
		if (*a != *b || *a == '\0')
			return (unsigned char)*a - (unsigned char)*b;
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, (size_t)-1);
}

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

int strncasecmp(const char *a, const char *b, size_t n)
{
	for (; n > 0; a++, b++, n--)
		if (lower(*a) != lower(*b) || *a == '\0')
			return lower(*a) - lower(*b);
	return 0;
}

int strcasecmp(const char *a, const char *b)
{
	return strncasecmp(a, b, (size_t)-1);
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n] != '\0')
		n++;
	return n;
}

void *memchr(const void *bytes, int c, size_t n)
{
	const char *at = bytes;

	for (; n > 0; at++, n--)
		if (*at == (char)c)
			return (char *)at;
	return NULL;
}

char *strchr(const char *s, int c)
{
	while (*s != (char)c)
		if (*s++ == '\0')
			return NULL;
	return (char *)s;
}

char *strrchr(const char *s, int c)
{
	for (size_t n = strlen(s) + 1; n > 0; n--)
		if (s[n - 1] == (char)c)
			return (char *)s + n - 1;
	return NULL;
}

void *memmem(const void *bytes, size_t size, const void *what, size_t n)
{
	for (const char *at = bytes; size >= n; at++, size--)
		if (memcmp(at, what, n) == 0)
			return (char *)at;
	return NULL;
}

char *strstr(const char *s, const char *what)
{
	return memmem(s, strlen(s), what, strlen(what));
}

/* How many bytes at the start of `s` are in `set`, or are not. */
static size_t span(const char *s, const char *set, bool in)
{
	size_t n = 0;

	while (s[n] != '\0' && (strchr(set, s[n]) != NULL) == in)
		n++;
	return n;
}

size_t strspn(const char *s, const char *set)
{
	return span(s, set, true);
}

size_t strcspn(const char *s, const char *set)
{
	return span(s, set, false);
}

char *strpbrk(const char *s, const char *set)
{
	s += strcspn(s, set);
	return *s != '\0' ? (char *)s : NULL;
}

char *strsep(char **rest, const char *set)
{
	char *word = *rest;

	if (word) {
		*rest = strpbrk(word, set);
		if (*rest)
			*(*rest)++ = '\0';
	}
	return word;
}

char *strtok_r(char *restrict s, const char *restrict set, char **restrict rest)
{
	if (s)
		*rest = s;
	if (*rest)
		*rest += strspn(*rest, set);
	if (!*rest || **rest == '\0')
		return NULL;
	return strsep(rest, set);
}
