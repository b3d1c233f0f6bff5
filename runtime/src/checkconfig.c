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
enum probe { PATH, CONTROLLER, FS, LINK, BPF, SECCOMP };

struct row {
	const char *title, *option;     /* option: without "CONFIG_"; NULL: the title of a group */
	const char *arg;                /* of the probe */
	unsigned char need, probe;
};

static const struct row rows[] = {
	{ "Namespaces", NULL, NULL, 0, 0 },
	{ "Namespaces", "NAMESPACES", "/proc/self/ns/mnt", NEED_MUST, PATH },
	{ "Utsname namespace", "UTS_NS", "/proc/self/ns/uts", NEED_MUST, PATH },
	{ "Ipc namespace", "IPC_NS", "/proc/self/ns/ipc", NEED_MUST, PATH },
	{ "Pid namespace", "PID_NS", "/proc/self/ns/pid", NEED_MUST, PATH },
	{ "Network namespace", "NET_NS", "/proc/self/ns/net", NEED_MUST, PATH },
	{ "User namespace", "USER_NS", "/proc/self/ns/user", NEED_NICE, PATH },
	{ "Cgroup namespace", "CGROUPS", "/proc/self/ns/cgroup", NEED_NICE, PATH },
	{ "Control groups", NULL, NULL, 0, 0 },
	{ "Cgroups", "CGROUPS", "/proc/self/cgroup", NEED_MUST, PATH },
	{ "Cgroup v1 devices", "CGROUP_DEVICE", "devices", NEED_V1, CONTROLLER },
	{ "Cgroup v1 freezer", "CGROUP_FREEZER", "freezer", NEED_V1, CONTROLLER },
	{ "Cgroup v2 devices (BPF)", "CGROUP_BPF", NULL, NEED_V2, BPF },
	{ "BPF system call", "BPF_SYSCALL", NULL, NEED_V2, BPF },
	{ "Cgroup memory", "MEMCG", "memory", NEED_NICE, CONTROLLER },
	{ "Cgroup cpu", "CGROUP_SCHED", "cpu", NEED_NICE, CONTROLLER },
	{ "Cgroup cpuset", "CPUSETS", "cpuset", NEED_NICE, CONTROLLER },
	{ "Cgroup pids", "CGROUP_PIDS", "pids", NEED_NICE, CONTROLLER },
	{ "File systems", NULL, NULL, 0, 0 },
	{ "tmpfs", "TMPFS", "tmpfs", NEED_MUST, FS },
	{ "devpts", "UNIX98_PTYS", "devpts", NEED_MUST, FS },
	{ "Overlay", "OVERLAY_FS", "overlay", NEED_NICE, FS },
	{ "Squashfs", "SQUASHFS", "squashfs", NEED_NICE, FS },
	{ "POSIX message queues", "POSIX_MQUEUE", "mqueue", NEED_NICE, FS },
	{ "Network", NULL, NULL, 0, 0 },
	{ "Unix sockets", "UNIX", "/proc/net/unix", NEED_MUST, PATH },
	{ "Veth pair device", "VETH", "veth", NEED_NICE, LINK },
	{ "Bridges", "BRIDGE", "bridge", NEED_NICE, LINK },
	{ "Macvlan", "MACVLAN", "macvlan", NEED_NICE, LINK },
	{ "Vlan", "VLAN_8021Q", "vlan", NEED_NICE, LINK },
	{ "Security", NULL, NULL, 0, 0 },
	{ "Seccomp filter", "SECCOMP_FILTER", NULL, NEED_NICE, SECCOMP },
	{ "AppArmor", "SECURITY_APPARMOR", "/sys/module/apparmor", NEED_NICE, PATH },
	{ "SELinux", "SECURITY_SELINUX", "selinuxfs", NEED_NICE, FS },
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
	static enum kstate (*const probes[])(const char *arg) = {
		[PATH] = probe_path, [CONTROLLER] = probe_controller, [FS] = probe_fs,
		[LINK] = probe_link, [BPF] = probe_bpf, [SECCOMP] = probe_seccomp,
	};

	return r->have_conf ? kconf_get(row->option) : probes[row->probe](row->arg);
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
		printf("%s\n    {\"name\": \"%s\", \"option\": \"CONFIG_%s\", \"need\": \"%s\", \"state\": \"%s\"}",
		       r->printed++ ? "," : "", row->title, row->option, need_words[row->need],
		       state_words[s]);
		return;
	}
	printf("%s: %s%s%s%s\n", row->title, state_words[s],
	       s == K_MISSING && row->need != NEED_NICE ? " (" : "",
	       s == K_MISSING && row->need != NEED_NICE ? need_words[row->need] : "",
	       s == K_MISSING && row->need != NEED_NICE ? ")" : "");
}

static void check_row(struct report *r, const struct row *row)
{
	enum kstate s = state_of_row(r, row);

	judge(r, row, s);
	print_row(r, row, s);
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
		if (rows[i].option)
			check_row(&r, &rows[i]);
		else if (!r.json)
			printf("\n--- %s ---\n", rows[i].title);
	}
	print_end(&r);
	return can_run(&r) ? 0 : 1;
}
