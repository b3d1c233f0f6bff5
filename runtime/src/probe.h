/* SPDX-License-Identifier: MIT */
/* Trying what a kernel can do, for those that carry no configuration. */
#ifndef SAMPAN_PROBE_H
#define SAMPAN_PROBE_H

#include <stdbool.h>
#include "kconf.h"

enum kstate probe_path(const char *path);
enum kstate probe_controller(const char *name);         /* v1 or v2 */
enum kstate probe_fs(const char *name);                 /* /proc/filesystems, then modules */
enum kstate probe_module(const char *name);
enum kstate probe_link(const char *kind);               /* asks rtnetlink for one */
enum kstate probe_bpf(const char *unused);              /* loads a cgroup device program */
enum kstate probe_seccomp(const char *unused);
bool probe_call(int number);

#endif
