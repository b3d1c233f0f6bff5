/* SPDX-License-Identifier: MIT */
/* What the files of the configuration reader (conf*.c) share; nobody else includes it. */
#ifndef SAMPAN_CONF_LOAD_H
#define SAMPAN_CONF_LOAD_H

#include "conf.h"
#include "conf_list.h"
#include "util.h"

#define VALUE_SHOWN_MAX 160             /* bytes of a value repeated in a message */

enum { KEY_PREFIX = 1, KEY_INDEXED = 2, KEY_LEGACY = 4, KEY_LIST = 8, KEY_IGNORED = 16, KEY_UNSUPPORTED = 32 };

enum conf_kind {                        /* one reader each, in conf_values.c and its neighbours */
	KIND_ARCH, KIND_BACKEND, KIND_BOOL, KIND_CAPS, KIND_CGROUP, KIND_CGROUP2, KIND_COMMAND, KIND_CONSOLE, KIND_COUNT,
	KIND_DEVICES_ALLOW, KIND_DEVICES_DENY, KIND_DEVICES_EXPECT, KIND_ENVIRONMENT, KIND_FSTAB, KIND_GIDS, KIND_GROUP,
	KIND_HOOK, KIND_HOOK_CLEAR, KIND_HOSTNAME, KIND_ID, KIND_IDMAP, KIND_INCLUDE, KIND_LABEL, KIND_LOG_FACILITY,
	KIND_LOG_LEVEL, KIND_MOUNT, KIND_MOUNT_AUTO, KIND_NET_CLEAR, KIND_NIC_ADDRESS, KIND_NIC_CLEAR,
	KIND_NIC_FLAGS, KIND_NIC_GATEWAY, KIND_NIC_HWADDR, KIND_NIC_NAME, KIND_NIC_ROUTE, KIND_NIC_TYPE,
	KIND_CHOICE, KIND_OFFSET, KIND_ONLY, KIND_PATH, KIND_PRLIMIT, KIND_PROC, KIND_ROOTFS,
	KIND_ROOTFS_OPTIONS, KIND_SHARE, KIND_SIGNAL, KIND_SIZE, KIND_SPACES, KIND_STRING, KIND_SUBDIR, KIND_SYSCTL, KINDS
};

struct conf_key {                       /* one row of the generated table */
	uint16_t text;                  /* which of key_text: the reason or the largest number; values may follow */
	uint16_t field;                 /* offset in struct conf; the row a legacy name stands for */
	uint8_t kind, flags;
};

/* A key as found in a line: its row, and what stood for `N` and `*` in it. */
struct conf_match {
	const struct conf_key *key;     /* the modern one */
	const char *reason, *only;      /* reason: or the largest number; only: strings, an empty one ends them */
	const char *rest;               /* behind a prefix, NULL otherwise */
	bool legacy;
	int nic;                        /* index written in the key, -1: none; then the one meant */
};

struct load {                           /* one conf_load() */
	struct conf *c;
	struct conf_list *list;         /* NULL: nobody asked */
	conf_sink *sink;
	void *arg;
	struct where at;
	const char *key;                /* of the line being read, for messages */
	const char *value;
	struct conf_match m;
	int nic;                        /* interface of the last lxc.network.type */
	bool legacy_noted, stop;
	unsigned depth;                 /* of includes */
	const char *fstab;
	struct where fstab_at;
	struct { dev_t dev; ino_t ino; } open[CONF_DEPTH_MAX];
	char text[512], hint[CONF_LINE_MAX + 64];
};

/* conf_msg.c */
void load_error(struct load *l, const char *text);      /* about the current line */
void load_say(struct load *l, enum conf_level level, const char *text);  /* not an error */
PRINTF(2, 3) const char *load_text(struct load *l, const char *fmt, ...);  /* returns l->text */
PRINTF(2, 3) void load_hint(struct load *l, const char *fmt, ...);
const char *load_keep(struct load *l, const char *text);        /* NULL: it is empty, or the arena full, reported */

/* conf_read.c: `line` is called for each line, with the blanks at both ends removed */
typedef void load_line_fn(struct load *l, char *line);
void load_include(struct load *l, const char *path);
void load_fstab(struct load *l, const char *path, load_line_fn *line);
char *load_trim(char *text);            /* the same, in place */

/* conf.c */
void load_line(struct load *l, char *line);

/* conf_keys.c */
bool key_find(const char *name, struct conf_match *m);
void key_name(const struct conf_key *key, int nic, char *buf, size_t size);    /* no * at its end */
void key_nearest(const char *name, char *buf, size_t size);     /* "" when nothing is near */

/* conf_list.c: a line that was good goes into the list */
void load_list(struct load *l, const struct conf_match *m, const char *value);

/* conf_values.c: NULL, or why the value is refused; an empty value clears. */
const char *load_value(struct load *l, const char *value);
void *load_field(struct load *l);       /* where the key's value goes */
uint32_t load_max(const struct load *l);        /* the key's largest number */

/* conf_cgroup.c, conf_net.c: readers of the same kind */
const char *load_device(struct load *l, const char *value);
const char *load_cgroup(struct load *l, const char *value);
const char *load_net_clear(struct load *l, const char *value);
const char *load_nic_clear(struct load *l, const char *value);
const char *load_nic_type(struct load *l, const char *value);
const char *load_nic_flags(struct load *l, const char *value);
const char *load_nic_name(struct load *l, const char *value);
const char *load_choice(struct load *l, const char *value);
const char *load_nic_hwaddr(struct load *l, const char *value);
const char *load_nic_address(struct load *l, const char *value);
const char *load_nic_gateway(struct load *l, const char *value);
const char *load_nic(struct load *l);   /* finds the interface an indexed key is about */
void check_nics(struct load *l);        /* what the lines of each add up to */

/* conf_root.c: the same */
const char *load_rootfs(struct load *l, const char *value);
const char *load_label(struct load *l, const char *value);
const char *load_backend(struct load *l, const char *value);
const char *load_rootfs_options(struct load *l, const char *value);
const char *load_mount_auto(struct load *l, const char *value);
/* conf_life.c */
const char *load_environment(struct load *l, const char *value);
const char *load_gids(struct load *l, const char *value);
const char *load_group(struct load *l, const char *value);
const char *load_hook(struct load *l, const char *value);
const char *load_hook_clear(struct load *l, const char *value);
const char *load_log_facility(struct load *l, const char *value);
const char *load_log_level(struct load *l, const char *value);
const char *load_prlimit(struct load *l, const char *value);
const char *load_proc(struct load *l, const char *value);
const char *load_sysctl(struct load *l, const char *value);
void check_sysctls(struct load *l);     /* once all is read: is what they set the container's own? */

/* conf_ns.c */
enum { SPACES_USUAL = (int)0x6e020000 };        /* pid, mnt, uts, ipc, net, cgroup */
const char *load_spaces(struct load *l, const char *value);
const char *load_share(struct load *l, const char *value);
const char *load_idmap(struct load *l, const char *value);
const char *load_offset(struct load *l, const char *value);
void check_spaces(struct load *l);      /* once all is read: which are made, and can they be? */

/* Copies the next word of a list that blanks or `more` separate; NULL behind the last. */
const char *load_word(const char *list, const char *more, char *word, size_t size);
void *load_field(struct load *l);       /* what the key of the line fills */

/* conf_names.c: -1 when the name is unknown */
int rlimit_number(const char *name);
int capability_number(const char *name);
int signal_number(const char *name);
enum conf_arch arch_of(const char *name);               /* ARCH_UNSET: unknown */

/* conf_mount.c */
void load_mount(struct load *l, const char *line);      /* adds it, or reports why not */
/* Sorts options into flags, propagation, create, optional, relative and data of `m`. */
const char *load_options(struct load *l, const char *options, struct conf_mount *m);

#endif
