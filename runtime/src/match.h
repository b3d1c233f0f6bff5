/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_MATCH_H
#define SAMPAN_MATCH_H

#include <stdbool.h>

/*
 * Extended regular expressions as names need them: . [a-z] [^x] ( | ) * + ? \x, always
 * against the whole text. libc's regcomp would be a tenth of the binary.
 */
bool match_ok(const char *re);          /* is it one? */
bool match(const char *re, const char *text);

#endif
