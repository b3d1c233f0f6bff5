/* SPDX-License-Identifier: MIT */
/* A program that the host wants run: its words and variables, as they come piece by piece. */
#ifndef SAMPAN_REQUEST_H
#define SAMPAN_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One at a time: a piece of another owner's begins anew. */
void request_add(const void *owner, const uint8_t *bytes, size_t n);

/* The words, behind `sampan` for a verb of ours, and in `variables` those behind an empty word. NULL: damaged. */
char **request_words(const void *owner, bool own_verb, char **variables);

void request_end(void);

#endif
