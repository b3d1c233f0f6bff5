/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_NAMES_H
#define SAMPAN_NAMES_H

enum { CONTAINERS_MAX = 512 };

/* Folders of LXCPATH with a `config`, sorted by name; how many, or -1 when it cannot be read. */
int names_of(const char *lxcpath, char *list[CONTAINERS_MAX]);

#endif
