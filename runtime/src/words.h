/* SPDX-License-Identifier: MIT */
/* Words: of a list, the nth of a line, which one was probably meant, a command's. */
#ifndef SAMPAN_WORDS_H
#define SAMPAN_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include "limits.h"

/* Where the `n` bytes are in "A\0B\0", which an empty word ends, or -1; a whole name, whatever its case. */
int word_index(const char *words, const char *word, size_t n);
int name_index(const char *names, const char *name);
const char *word_at(const char *words, unsigned index);

/* Levenshtein's distance; without end when `b` is longer than any word of ours. */
unsigned word_distance(const char *a, const char *b);

/* The nearest of `n` words, or NULL. `stride` is the size of a table row. */
const char *nearest(const char *word, const char *const *first, size_t n, size_t stride);

/* The `n`th word of a line (from 0), words ending at blanks; false when there is none
 * or it does not fit. */
bool nth_word(const char *line, unsigned n, char *buf, size_t size);

/*
 * Splits a command line in place: blanks separate words, quotes of either kind keep them
 * together. False: a quote is not closed, nothing is there, or more than WORDS_MAX words.
 */
bool split_command(char *text, char *argv[WORDS_MAX + 1]);

/* \040 and its like, in place; false for \000, which no string can hold. */
bool unescape(char *text);

#endif
