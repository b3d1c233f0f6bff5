/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_TREE_H
#define SAMPAN_TREE_H

/*
 * Deletes a folder and all below it. Never follows a link, never crosses onto another
 * mount, not even one of the same file system. 0, or -1 with the error set.
 */
int tree_remove(const char *path);

/*
 * The first place at or below `path` where something is mounted, in `found`: 1; 0 when
 * there is none; -1 on error.
 */
int tree_mounted(const char *path, char *found, unsigned long size);

#endif
