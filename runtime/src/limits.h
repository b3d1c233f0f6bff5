/* SPDX-License-Identifier: MIT */
/*
 * Every limit of the runtime, in one place. Nothing is allocated after the
 * configuration has been parsed, so each table has a fixed size; going past one
 * of them is an error that names the limit. Each has a test.
 */
#ifndef SAMPAN_LIMITS_H
#define SAMPAN_LIMITS_H

#define NAME_LEN_MAX     64      /* a container's name, [A-Za-z0-9][A-Za-z0-9_.-]* */
#define CONF_LINE_MAX    4096    /* bytes of one configuration line */
#define CONF_BYTES_MAX   65536   /* all strings of one configuration, flattened */
#define CONF_DEPTH_MAX   8       /* nesting of lxc.include */
#define CONF_ERRORS_MAX  32      /* errors reported before the reader gives up */
#define MOUNTS_MAX       128     /* lxc.mount.entry and fstab lines */
#define LAYERS_MAX       8       /* lower layers of an overlay root */
#define CGVALUES_MAX     64      /* lxc.cgroup.* values that are not device rules */
#define DEVRULES_MAX     512     /* device rules, after merging and before */
#define DEVTEXT_MAX      16384   /* devices by name, and the nodes of a device list */
#define RULE_TEXT_MAX    40      /* one device rule as text, "c 4294967295:4294967295 rwm" */
#define DEVLIST_TEXT_MAX (8 + DEVRULES_MAX * RULE_TEXT_MAX + 2 * DEVTEXT_MAX)
#define NICS_MAX         8       /* lxc.net.N */
#define ADDRS_MAX        32      /* addresses and routes of all interfaces */
#define NET_UNDO_MAX     1024    /* bytes of requests that take back a network */
#define ENVS_MAX         64      /* lxc.environment */
#define WORDS_MAX        64      /* words of lxc.init.cmd and lxc.execute.cmd */
#define SETS_MAX         64      /* lxc.prlimit.*, lxc.sysctl.* and lxc.proc.* together */
#define HOOKS_MAX        64      /* lxc.hook.* of all stages */
#define GROUPS_MAX       32      /* lxc.group */
#define GIDS_MAX         32      /* lxc.init.groups */
#define IDMAPS_MAX       32      /* lxc.idmap */
#define DEFINES_MAX      64      /* start -s and what other options stand for */
#define TTYS_MAX         16      /* lxc.tty.max */
#define PATH_LEN_MAX     1024    /* any path the runtime builds */

#endif
