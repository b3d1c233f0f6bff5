/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_JSON_H
#define SAMPAN_JSON_H

/* Prints a JSON string, quotes and escapes included; NULL is null. */
void json_string(const char *text);

#endif
