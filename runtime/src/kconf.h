/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_KCONF_H
#define SAMPAN_KCONF_H

enum kstate { K_MISSING, K_ENABLED, K_MODULE, K_UNKNOWN };

/*
 * Finds the running kernel's configuration: $CONFIG, /proc/config.gz (unpacked by
 * zcat), /boot/config-RELEASE. Returns its path, or NULL when this kernel has none.
 */
const char *kconf_open(void);

/* What the configuration says of CONFIG_X, given "X"; K_UNKNOWN when there is none. */
enum kstate kconf_get(const char *option);

#endif
