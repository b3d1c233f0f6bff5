/* SPDX-License-Identifier: MIT */
/* New container folders out of old ones: what copy and snapshot have in common. */
#ifndef SAMPAN_CLONE_H
#define SAMPAN_CLONE_H

#include "sampan.h"

/* How the configuration of the copy differs. */
struct clone_edit {
	const char *old_dir, *new_dir;  /* in paths, the one becomes the other */
	const char *utsname;            /* NULL: as it is */
	bool new_macs;
	const char *rootfs;             /* the value of lxc.rootfs.path, NULL: as it is */
	bool ephemeral;
};

/*
 * A new folder PARENT/.NAME.new, locked: nobody else makes the same one, and what a killed
 * process left of it is deleted first. Its descriptor, or -1.
 */
int clone_begin(const char *parent, const char *name, char path[PATH_LEN_MAX]);

/* All of folder `from` (but `skip`) with the edited configuration. */
int clone_fill(int dir, const char *from, const char *skip, const struct clone_edit *edit);

/* PARENT/.NAME.new becomes PARENT/NAME, which must not exist. */
int clone_commit(int dir, const char *path, const char *final);

/* Deletes it; the error that led here stays set. */
void clone_abort(const char *path);

/* The container is stopped and nothing is mounted in its folder; fails otherwise. */
void clone_source(struct ctr *ctr, const char *name, const char *lxcpath, bool running_too);

/* Writes the edited text of `from` as `name` in folder `dir`. */
int clone_config(const char *from, int dir, const char *name, const struct clone_edit *edit);

#endif
