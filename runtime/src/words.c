/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include "util.h"
#include "words.h"

enum { WORD_LEN_MAX = 63 };

static int index_of(const char *words, const char *word, size_t n,
		    int (*compare)(const char *, const char *, size_t))
{
	for (int i = 0; *words != '\0'; i++, words += strlen(words) + 1)
		if (strlen(words) == n && compare(words, word, n) == 0)
			return i;
	return -1;
}

int word_index(const char *words, const char *word, size_t n)
{
	return index_of(words, word, n, strncmp);
}

int name_index(const char *names, const char *name)
{
	return index_of(names, name, strlen(name), strncasecmp);
}

const char *word_at(const char *words, unsigned index)
{
	for (; index > 0; words++)
		if (*words == '\0')
			index--;
	return words;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned word_distance(const char *a, const char *b)
{
	unsigned row[WORD_LEN_MAX + 1], n = (unsigned)strlen(b);

	if (n > WORD_LEN_MAX)
		return ~0u;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1] != '\0'; i++) {
		unsigned corner = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			unsigned change = corner + (a[i - 1] != b[j - 1]);

			corner = row[j];
			row[j] = least(change, least(row[j], row[j - 1]) + 1);
		}
	}
	return row[n];
}

const char *nearest(const char *word, const char *const *first, size_t n, size_t stride)
{
	const char *best = NULL, *at = (const char *)first;
	unsigned best_distance = 3;

	for (size_t i = 0; i < n && strlen(word) < 64; i++) {
		const char *name = *(const char *const *)(const void *)(at + i * stride);
		unsigned d = word_distance(word, name);

		if (d < best_distance || (!best && strlen(word) > 2 &&
					  strncmp(name, word, strlen(word)) == 0)) {
			best_distance = least(d, best_distance);
			best = name;
		}
	}
	return best;
}

bool nth_word(const char *line, unsigned n, char *buf, size_t size)
{
	size_t length;

	line += strspn(line, " ");
	while (n-- > 0) {
		line += strcspn(line, " \n");
		line += strspn(line, " ");
	}
	length = strcspn(line, " \n");
	if (length == 0 || length >= size)
		return false;
	memcpy(buf, line, length);
	buf[length] = '\0';
	return true;
}

bool split_command(char *text, char *argv[WORDS_MAX + 1])
{
	unsigned n = 0;
	char quote = 0;

	for (;;) {
		char *to;

		text += strspn(text, " \t");
		if (*text == '\0')
			break;
		if (n == WORDS_MAX)
			return false;
		argv[n++] = to = text;
		for (; *text != '\0' && (quote || (*text != ' ' && *text != '\t')); text++) {
			if (quote ? *text == quote : *text == '"' || *text == '\'')
				quote = quote ? 0 : *text;
			else
				*to++ = *text;
		}
		text += *text != '\0';
		*to = '\0';
	}
	argv[n] = NULL;
	return !quote && n > 0;
}

static bool octal(char c)
{
	return c >= '0' && c <= '7';
}

bool unescape(char *text)
{
	char *out = text;

	for (; *text != '\0'; text++, out++) {
		int c = *text;

		if (c == '\\' && octal(text[1]) && octal(text[2]) && octal(text[3]) && text[1] < '4') {
			c = (text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0');
			text += 3;
		}
		if (c == 0)
			return false;
		*out = (char)c;
	}
	*out = '\0';
	return true;
}
