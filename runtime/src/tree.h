/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_TREE_H
#define SAMPAN_TREE_H

/*
 * Deletes a folder and all below it. Never follows a link, never crosses onto another
 * mount, not even one of the same file system. 0, or -1 with the error set.
 */
int tree_remove(const char *path);

/*
 * Copies what is in the folder `from`, but for its entry `skip`, and the folder's own
 * owner, mode and times, to the empty folder `to`. Ends soon on SIGINT and its like. -1:
 * the caller deletes what is there by then.
 */
int tree_copy(const char *from, int to, const char *skip);

/*
 * The first place at or below `path` where something is mounted, in `found`: 1; 0 when
 * there is none; -1 on error.
 */
int tree_mounted(const char *path, char *found, unsigned long size);

#endif
