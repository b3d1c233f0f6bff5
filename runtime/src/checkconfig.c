/* SPDX-License-Identifier: MIT */
/*
 * lxc-checkconfig: what the kernel was built with, and what the running system gives.
 * Kernels of distributions often carry no configuration: then each thing is tried.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include "cgroup.h"
#include "json.h"
#include "kconf.h"
#include "opts.h"
#include "path.h"
#include "probe.h"
#include "sampan.h"
#include "sys.h"

enum need { NEED_MUST, NEED_V1, NEED_V2, NEED_NICE };

struct row {
	const char *group, *title, *option;     /* group NULL: the one before */
	enum need need;
	enum kstate (*probe)(const char *arg);
	const char *arg;
};

static const struct row rows[] = {
	{ "Namespaces", "Namespaces", "CONFIG_NAMESPACES", NEED_MUST, probe_path, "/proc/self/ns/mnt" },
	{ NULL, "Utsname namespace", "CONFIG_UTS_NS", NEED_MUST, probe_path, "/proc/self/ns/uts" },
	{ NULL, "Ipc namespace", "CONFIG_IPC_NS", NEED_MUST, probe_path, "/proc/self/ns/ipc" },
	{ NULL, "Pid namespace", "CONFIG_PID_NS", NEED_MUST, probe_path, "/proc/self/ns/pid" },
	{ NULL, "Network namespace", "CONFIG_NET_NS", NEED_MUST, probe_path, "/proc/self/ns/net" },
	{ NULL, "User namespace", "CONFIG_USER_NS", NEED_NICE, probe_path, "/proc/self/ns/user" },
	{ NULL, "Cgroup namespace", "CONFIG_CGROUPS", NEED_NICE, probe_path, "/proc/self/ns/cgroup" },
	{ "Control groups", "Cgroups", "CONFIG_CGROUPS", NEED_MUST, probe_path, "/proc/self/cgroup" },
	{ NULL, "Cgroup v1 devices", "CONFIG_CGROUP_DEVICE", NEED_V1, probe_controller, "devices" },
	{ NULL, "Cgroup v1 freezer", "CONFIG_CGROUP_FREEZER", NEED_V1, probe_controller, "freezer" },
	{ NULL, "Cgroup v2 devices (BPF)", "CONFIG_CGROUP_BPF", NEED_V2, probe_bpf, NULL },
	{ NULL, "BPF system call", "CONFIG_BPF_SYSCALL", NEED_V2, probe_bpf, NULL },
	{ NULL, "Cgroup memory", "CONFIG_MEMCG", NEED_NICE, probe_controller, "memory" },
	{ NULL, "Cgroup cpu", "CONFIG_CGROUP_SCHED", NEED_NICE, probe_controller, "cpu" },
	{ NULL, "Cgroup cpuset", "CONFIG_CPUSETS", NEED_NICE, probe_controller, "cpuset" },
	{ NULL, "Cgroup pids", "CONFIG_CGROUP_PIDS", NEED_NICE, probe_controller, "pids" },
	{ "File systems", "tmpfs", "CONFIG_TMPFS", NEED_MUST, probe_fs, "tmpfs" },
	{ NULL, "devpts", "CONFIG_UNIX98_PTYS", NEED_MUST, probe_fs, "devpts" },
	{ NULL, "Overlay", "CONFIG_OVERLAY_FS", NEED_NICE, probe_fs, "overlay" },
	{ NULL, "Squashfs", "CONFIG_SQUASHFS", NEED_NICE, probe_fs, "squashfs" },
	{ NULL, "POSIX message queues", "CONFIG_POSIX_MQUEUE", NEED_NICE, probe_fs, "mqueue" },
	{ "Network", "Unix sockets", "CONFIG_UNIX", NEED_MUST, probe_path, "/proc/net/unix" },
	{ NULL, "Veth pair device", "CONFIG_VETH", NEED_NICE, probe_link, "veth" },
	{ NULL, "Bridges", "CONFIG_BRIDGE", NEED_NICE, probe_link, "bridge" },
	{ NULL, "Macvlan", "CONFIG_MACVLAN", NEED_NICE, probe_link, "macvlan" },
	{ NULL, "Vlan", "CONFIG_VLAN_8021Q", NEED_NICE, probe_link, "vlan" },
	{ "Security", "Seccomp filter", "CONFIG_SECCOMP_FILTER", NEED_NICE, probe_seccomp, NULL },
	{ NULL, "AppArmor", "CONFIG_SECURITY_APPARMOR", NEED_NICE, probe_path, "/sys/module/apparmor" },
	{ NULL, "SELinux", "CONFIG_SECURITY_SELINUX", NEED_NICE, probe_fs, "selinuxfs" },
};

static const char need_words[][20] = { "required", "needed for v1", "needed for v2", "optional" };
static const char state_words[][9] = { "missing", "enabled", "module", "unknown" };

static const struct {
	const char *name;
	int number;
} calls[] = {
	{ "pidfd_open", NR_PIDFD_OPEN }, { "clone3", NR_CLONE3 }, { "open_tree", NR_OPEN_TREE },
	{ "openat2", NR_OPENAT2 }, { "close_range", NR_CLOSE_RANGE },
	{ "mount_setattr", NR_MOUNT_SETATTR },
};

struct report {
	bool have_conf, json, must_ok, v1_ok, v2_ok;
	unsigned printed;
	struct cg_host host;
};

static enum kstate state_of_row(const struct report *r, const struct row *row)
{
	return r->have_conf ? kconf_get(row->option) : row->probe(row->arg);
}

static void judge(struct report *r, const struct row *row, enum kstate s)
{
	if (s != K_MISSING)
		return;
	if (row->need == NEED_MUST)
		r->must_ok = false;
	if (row->need == NEED_V1)
		r->v1_ok = false;
	if (row->need == NEED_V2)
		r->v2_ok = false;
}

static void print_row(struct report *r, const struct row *row, enum kstate s)
{
	if (r->json) {
		printf("%s\n    {\"name\": \"%s\", \"option\": \"%s\", \"need\": \"%s\", \"state\": \"%s\"}",
		       r->printed++ ? "," : "", row->title, row->option, need_words[row->need],
		       state_words[s]);
		return;
	}
	if (row->group)
		printf("\n--- %s ---\n", row->group);
	printf("%s: %s%s%s%s\n", row->title, state_words[s],
	       s == K_MISSING && row->need != NEED_NICE ? " (" : "",
	       s == K_MISSING && row->need != NEED_NICE ? need_words[row->need] : "",
	       s == K_MISSING && row->need != NEED_NICE ? ")" : "");
}

static const char *policy_by(const struct report *r)
{
	if (cg_find(&r->host, "devices"))
		return "the v1 devices controller";
	if (cg_find_v2(&r->host) && probe_bpf(NULL) == K_ENABLED)
		return "BPF on cgroup v2";
	return "none";
}

static bool can_run(const struct report *r)
{
	return r->must_ok && strcmp(policy_by(r), "none") != 0;
}

static void print_system(const struct report *r)
{
	printf("\n--- This system ---\nCgroup layout: %s\n", cg_layout(&r->host));
	for (unsigned i = 0; i < r->host.n; i++) {
		const struct cg_hier *h = &r->host.hier[i];

		if (h->v2)
			printf(" - %s (v2)\n", h->mount);
		else                            /* ",cpu,cpuacct," without its ends */
			printf(" - %s (v1: %.*s)\n", h->mount, (int)strlen(h->ctrl) - 2, h->ctrl + 1);
	}
	printf("Device rules enforced by: %s\n", policy_by(r));
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		printf("System call %s: %s\n", calls[i].name,
		       probe_call(calls[i].number) ? "enabled" : "missing (a fallback is used)");
}

static void print_end(const struct report *r)
{
	if (r->json) {
		printf("\n  ],\n  \"layout\": \"%s\", \"device_policy\": \"%s\", \"v1\": %s, \"v2\": %s, \"verdict\": %s\n}\n",
		       cg_layout(&r->host), policy_by(r), r->v1_ok ? "true" : "false",
		       r->v2_ok ? "true" : "false", can_run(r) ? "true" : "false");
		return;
	}
	print_system(r);
	printf("\nKernel for cgroup v1: %s\nKernel for cgroup v2: %s\n",
	       r->must_ok && r->v1_ok ? "good" : "not enough",
	       r->must_ok && r->v2_ok ? "good" : "not enough");
	if (can_run(r))
		puts("Containers can run here.");
	else
		printf("Containers cannot run here: %s.\n", r->must_ok ?
		       "no mounted cgroup hierarchy can enforce device rules" :
		       "the kernel lacks what is marked (required)");
}

int cmd_checkconfig(int argc, char **argv)
{
	static const struct optset set = {
		"checkconfig", "Shows what containers need of the kernel and whether it is there: from\n"
		"$CONFIG, /proc/config.gz or /boot/config-RELEASE, else by trying. Exit code 1 when\n"
		"containers cannot run.",
		NULL, 0, OPTS_JSON,
	};
	struct args a = opts_parse(&set, argc, argv);
	struct report r = { .json = a.json, .must_ok = true, .v1_ok = true, .v2_ok = true };
	const char *conf = kconf_open();
	struct utsname u;

	r.have_conf = conf != NULL;
	uname(&u);
	if (cg_detect(&r.host) < 0)
		fail();
	if (r.json) {
		printf("{\n  \"kernel\": \"%s\", \"source\": ", u.release);
		json_string(conf);
		fputs(",\n  \"options\": [", stdout);
	} else if (conf) {
		printf("Kernel %s, configuration found at %s\n", u.release, conf);
	} else {
		printf("Kernel %s, no configuration found: everything is tried instead\n", u.release);
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enum kstate s = state_of_row(&r, &rows[i]);

		judge(&r, &rows[i], s);
		print_row(&r, &rows[i], s);
	}
	print_end(&r);
	return can_run(&r) ? 0 : 1;
}
