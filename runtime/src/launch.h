/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_LAUNCH_H
#define SAMPAN_LAUNCH_H

/* Starts a system container in the background; 0 once it runs, else the exit code of `start`. */
int launch_daemon(const char *name, const char *lxcpath);

#endif
