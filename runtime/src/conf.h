/* SPDX-License-Identifier: MIT */
/*
 * A container's configuration: LXC's `key = value` language, both generations of
 * keys. The key table is generated from runtime/keys.toml; conf.c owns the reader,
 * conf_values.c the handlers. All strings live in one arena inside struct conf.
 */
#ifndef SAMPAN_CONF_H
#define SAMPAN_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include "limits.h"
#include "rules.h"

struct where {                          /* where a value came from, for messages */
	const char *file;
	unsigned line;
};

enum mnt_create { CREATE_NONE, CREATE_DIR, CREATE_FILE };

struct conf_mount {
	struct where at;
	const char *source, *target;    /* target as written; root.c makes it relative to the rootfs */
	const char *type;               /* "none" or "bind" for binds */
	const char *data;               /* options the kernel's file system gets, comma separated */
	unsigned long flags;            /* MS_* for the first mount(2), without propagation */
	unsigned long propagation;      /* MS_{SHARED,SLAVE,PRIVATE,UNBINDABLE}[|MS_REC], 0 = none */
	enum mnt_create create;
	bool optional, relative;
	const char *idmap;              /* "container", or the path of a user namespace */
	int tree;                       /* what a user namespace binds, or 0 */
};

struct conf_cgvalue {                   /* lxc.cgroup.FILE or lxc.cgroup2.FILE, not devices.* */
	struct where at;
	bool v2;
	const char *file, *value;
};

enum net_type { NET_UNSET, NET_EMPTY, NET_NONE, NET_VETH, NET_MACVLAN, NET_IPVLAN, NET_VLAN, NET_PHYS };

enum { VETH_BRIDGE, VETH_ROUTER };

const char *net_type_word(enum net_type type);

struct conf_ip {
	uint8_t family;                 /* AF_INET, AF_INET6; 0: none */
	uint8_t prefix;
	uint8_t bytes[16];              /* network order */
};

enum gateway_kind { GATEWAY_NONE, GATEWAY_IP, GATEWAY_AUTO, GATEWAY_DEV };

struct conf_gateway {
	enum gateway_kind kind;
	struct conf_ip ip;
};

struct conf_addr {                      /* of the interface `nic`: an address of it, or a route on the host */
	uint8_t nic;
	bool route;
	struct conf_ip ip;
	uint8_t broadcast[4];           /* 0.0.0.0: none */
};

struct conf_nic {
	struct where at;
	bool used, up, l2proxy;
	enum net_type type;
	uint8_t veth_mode, ipvlan_mode, isolation;      /* as the kernel counts them, too */
	uint8_t macvlan_mode;           /* 1 << this */
	bool mac_set;
	uint8_t mac[6];
	uint16_t mac_random;            /* bit N: its digit N is random */
	int mtu, vlan_id, rxqueues, txqueues;   /* -1: not said */
	const char *link, *name, *pair, *script_up, *script_down;
	struct conf_gateway gateway4, gateway6;
};

enum root_kind {                        /* PLAIN: what stands at the path decides */
	ROOT_PLAIN, ROOT_DIR, ROOT_IMAGE, ROOT_OVERLAY,
};

enum auto_mode { AUTO_OFF, AUTO_RO, AUTO_MIXED, AUTO_RW, AUTO_DEFAULT };

enum conf_arch { ARCH_UNSET, ARCH_32, ARCH_64 };         /* personality(2) */

struct conf_device {                    /* one line of devices.allow or .deny, in file order */
	struct where at;
	enum rule_verb verb;
	const char *value;
};

enum set_kind { SET_PRLIMIT, SET_SYSCTL, SET_PROC };

struct conf_set {                       /* lxc.prlimit.NAME, lxc.sysctl.NAME, lxc.proc.NAME */
	struct where at;
	enum set_kind kind;
	int number;                     /* RLIMIT_* */
	const char *name, *value;
	uint64_t soft, hard;            /* of a limit; UINT64_MAX: unlimited */
};

enum hook_stage { HOOK_PRE_START, HOOK_PRE_MOUNT, HOOK_MOUNT, HOOK_AUTODEV, HOOK_START_HOST,
		  HOOK_START, HOOK_STOP, HOOK_POST_STOP, HOOK_CLONE, HOOK_DESTROY, HOOK_STAGES };

struct conf_hook {                      /* in file order */
	enum hook_stage stage;
	const char *command;
};

enum { MAP_USERS = 1, MAP_GROUPS = 2 };

struct conf_idmap {                     /* a range of ids, of users, groups or both */
	struct where at;
	uint8_t kinds;
	uint32_t inside, outside, count;
};

/* Namespaces by their bits of clone(2). */
enum { NS_KINDS = 8, SPACE_TIME = 0x80, SPACE_CGROUP = 0x02000000 };

extern const struct space {
	char file[8], word[10];         /* in /proc/PID/ns; as in attach -s */
	uint32_t flag;
} space_table[NS_KINDS];

int space_index(const char *name);      /* of such a file, or -1 */

enum restart { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS };

enum { ENV_INIT = 1, ENV_HOOKS = 2 };   /* who gets a variable */

/*
 * Numbers and pointers first, then tables, the largest last: what lies near the start of a
 * struct takes the shorter instructions.
 */
struct conf {
	const char *file;               /* outermost file */
	const char *utsname;
	enum conf_arch arch;
	const char *rootfs;             /* without its "dir:"; NULL: the host's root */
	enum root_kind root_kind, root_backend; /* by prefix; by lxc.rootfs.backend */
	const char *rootfs_mount;
	unsigned long rootfs_flags, rootfs_propagation;   /* MS_*, of lxc.rootfs.options */
	const char *rootfs_idmap;       /* as of a mount */
	const char *rootfs_data;        /* what is left of them, for the file system of an image */
	enum auto_mode auto_proc, auto_sys, auto_cgroup;
	bool auto_cgroup_full, auto_cgroup_force;
	int autodev;                    /* -1 not said, 0, 1 */
	int autodev_size;               /* bytes; not above 0: the usual */
	int pty_max, tty_max;           /* -1 not said */
	const char *tty_dir;            /* below /dev, no leading slash */
	const char *console_path;       /* "none" or absolute; NULL: a pty of ours */
	const char *console_logfile;
	uint32_t console_size, console_ring;    /* bytes; 0: not said */
	int console_rotate;             /* -1: not said */
	const char *init_cmd, *execute_cmd, *init_cwd;
	uid_t init_uid;
	gid_t init_gid;
	int sig_halt, sig_reboot, sig_stop, sig_pdeath;         /* 0: not said */
	const char *apparmor, *selinux, *selinux_keyring;       /* labels, NULL: not asked for */
	int keyring;                    /* a session keyring of its own: -1 not said, 0, 1 */
	uint64_t cap_drop;              /* bits by capability number */
	uint64_t cap_keep;
	uint32_t ns_clone, ns_keep;     /* as said; `spaces`: what is made */
	uint32_t spaces;
	int64_t offset_boot, offset_monotonic;  /* of the clocks inside, nanoseconds */
	const char *seccomp;            /* "none" or absolute; NULL: the built-in list */
	bool cap_keep_set, no_new_privs;        /* cap_keep counts only when set; "none" is set, 0 */
	bool ephemeral, monitor_unshare, start_auto;
	bool symbolic;                  /* some name a device: the start makes numbers of them */
	int hook_version;               /* -1: not said */
	int start_delay, start_order;   /* seconds; lower ones first */
	uint8_t restart;                /* enum restart */
	int restart_delay, restart_max, start_timeout, stop_timeout;    /* not above 0: the usual, none */
	const char *log_file;
	int log_level, log_facility;    /* enum log_level, LOG_* of syslog; -1: not said */
	const char *cgroup_dir;         /* no leading slash */
	bool cgroup_relative;
	unsigned nmounts, ngroups, nidmaps, nenv, nsets, nhooks, ngroup, ncgvalues, ndevices, naddrs;
	unsigned nnics;                 /* one more than the highest index in use */
	unsigned errors;                /* reported through the sink */
	size_t used;                    /* bytes of `bytes` in use */
	const char *share[NS_KINDS];
	gid_t groups[GIDS_MAX];         /* supplementary ones of PID 1 */
	uint8_t env_for[ENVS_MAX];      /* ENV_* */
	const char *group[GROUPS_MAX];
	const char *env[ENVS_MAX];      /* "K=V", or "K": taken from the caller's environment */
	struct conf_idmap idmap[IDMAPS_MAX];
	struct conf_hook hook[HOOKS_MAX];
	struct conf_nic nic[NICS_MAX];
	struct conf_addr addr[ADDRS_MAX];
	struct conf_cgvalue cgvalue[CGVALUES_MAX];
	struct conf_set set[SETS_MAX];
	struct dev_rules devices;       /* what the lines of `device` add up to */
	struct conf_mount mount[MOUNTS_MAX];
	struct conf_device device[DEVRULES_MAX];
	char bytes[CONF_BYTES_MAX];
};

/* The host's id of one inside (MAP_USERS or MAP_GROUPS); UINT32_MAX: it has none. */
uint32_t idmap_outside(const struct conf *c, unsigned kind, uint32_t id);

/* Is this last layer of an overlay a fresh tmpfs: "tmpfs" or "tmpfs,size=16m"? */
static inline bool root_upper_tmpfs(const char *layer)
{
	return strncmp(layer, "tmpfs", 5) == 0 && (layer[5] == '\0' || layer[5] == ',');
}

enum conf_level { CONF_NOTE, CONF_WARNING, CONF_ERROR };

/*
 * One message of the reader: `text` says what is wrong with `value` at file:line,
 * `hint` (may be NULL) what was probably meant. Warnings do not fail a load.
 */
struct conf_msg {
	enum conf_level level;
	struct where at;
	const char *key, *value, *text, *hint;
};
typedef void conf_sink(const struct conf_msg *msg, void *arg);

/*
 * Reads FILE and everything it includes into `c`, which is all zero or has been loaded
 * before. Returns 0, or -1 when there was an error
 * (each went to `sink`; reading goes on, so a person sees all of them at once) or
 * FILE could not be opened.
 */
int conf_load(struct conf *c, const char *file, conf_sink *sink, void *arg);

extern struct conf own_conf;            /* what a command reads into: one container's at a time */

/* Lines read behind those of every later conf_load(): start -s KEY=VALUE. At most 64. */
void conf_define(const char *line);

/* "pre-start", and the stage of such a word or -1. */
const char *hook_word(enum hook_stage stage);
int hook_stage(const char *word);

/* 0 to 8, of such a number or a word as ERROR; -1. */
int log_level_number(const char *text);

/* The default sink: "FILE:LINE: KEY = VALUE: text" and "  hint: ..." on stderr. */
void conf_print(const struct conf_msg *msg, void *arg);
void conf_print_errors(const struct conf_msg *msg, void *arg);  /* no warnings and notes */

#endif
