/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_JSON_H
#define SAMPAN_JSON_H

/* Prints a JSON string, quotes and escapes included; NULL is null. */
void json_string(const char *text);

/* What stands before it, too: `, "config": `. */
void json_field(const char *before, const char *text);

#endif
