/* SPDX-License-Identifier: MIT */
/* conftool FILE: reads a configuration and prints what it came to, for tests/image/test_runtime_conf.py. */
#include <stddef.h>
#include <stdio.h>
#include "conf.h"
#include "ip.h"

static struct conf c;

static void text(const char *name, const char *value)
{
	if (value != NULL)
		printf("%s=%s\n", name, value);
}

static void number(const char *name, long long value, long long unsaid)
{
	if (value != unsaid)
		printf("%s=%lld\n", name, value);
}

static void mounts(void)
{
	for (unsigned i = 0; i < c.nmounts; i++) {
		const struct conf_mount *m = &c.mount[i];

		printf("mount=%s|%s|%s|%s|%#lx|%#lx|%d|%s%s\n", m->source, m->target, m->type,
		       m->data ? m->data : "", m->flags, m->propagation, m->create,
		       m->optional ? "optional" : "", m->relative ? "relative" : "");
	}
}

static void devices(void)
{
	char rule[40];

	if (c.devices.set)
		printf("devices=%s\n", c.devices.allow_default ? "allow" : "deny");
	for (unsigned i = 0; i < c.devices.n; i++) {
		rule_text(&c.devices.rule[i], rule, sizeof(rule));
		printf("device=%s\n", rule);
	}
}

static void gateway(const char *name, const struct conf_gateway *g)
{
	static const char *const kinds[] = { "", "", "auto", "dev" };
	char ip[IP_TEXT_MAX];

	if (g->kind == GATEWAY_IP)
		printf(" %s=%s", name, inet_ntop(g->ip.family, g->ip.bytes, ip, sizeof(ip)));
	else if (g->kind != GATEWAY_NONE)
		printf(" %s=%s", name, kinds[g->kind]);
}

static void nic(unsigned i, const struct conf_nic *n)
{
	const uint8_t *m = n->mac;

	printf("nic%u=%d%s", i, n->type, n->up ? " up" : "");
	if (n->link || n->name || n->pair)
		printf(" link=%s name=%s pair=%s", n->link ? n->link : "", n->name ? n->name : "",
		       n->pair ? n->pair : "");
	if (n->mac_set)
		printf(" mac=%02x%02x%02x%02x%02x%02x/%x", m[0], m[1], m[2], m[3], m[4], m[5], n->mac_random);
	if (n->mtu >= 0 || n->vlan_id >= 0 || n->rxqueues >= 0 || n->txqueues >= 0)
		printf(" mtu=%d vlan=%d queues=%d,%d", n->mtu, n->vlan_id, n->rxqueues, n->txqueues);
	if (n->type >= NET_VETH)
		printf(" modes=%d,%d,%d,%d proxy=%d", n->veth_mode, n->macvlan_mode, n->ipvlan_mode,
		       n->isolation, n->l2proxy);
	gateway("gateway4", &n->gateway4);
	gateway("gateway6", &n->gateway6);
	putchar('\n');
}

static void address(const struct conf_addr *a)
{
	const uint8_t *b = a->broadcast;
	char ip[IP_TEXT_MAX];

	printf("%s%u=%s/%u", a->route ? "route" : "address", a->nic,
	       inet_ntop(a->ip.family, a->ip.bytes, ip, sizeof(ip)), a->ip.prefix);
	if (a->ip.family == AF_INET && !a->route)
		printf(" %u.%u.%u.%u", b[0], b[1], b[2], b[3]);
	putchar('\n');
}

static void rest(void)
{
	for (unsigned i = 0; i < c.nenv; i++)
		text("env", c.env[i]);
	for (unsigned i = 0; i < c.ncgvalues; i++)
		printf("cgroup%s=%s %s\n", c.cgvalue[i].v2 ? "2" : "", c.cgvalue[i].file, c.cgvalue[i].value);
	for (unsigned i = 0; i < c.nnics; i++)
		if (c.nic[i].used)
			nic(i, &c.nic[i]);
	for (unsigned i = 0; i < c.naddrs; i++)
		address(&c.addr[i]);
}

static void scalars(void)
{
	text("utsname", c.utsname);
	number("arch", (long long)c.arch, ARCH_UNSET);
	text("rootfs", c.rootfs);
	number("root_kind", c.root_kind, ROOT_PLAIN);
	number("root_backend", c.root_backend, ROOT_PLAIN);
	text("rootfs_mount", c.rootfs_mount);
	number("rootfs_flags", (long long)c.rootfs_flags, 0);
	number("rootfs_propagation", (long long)c.rootfs_propagation, 0);
	text("rootfs_data", c.rootfs_data);
	number("auto_proc", c.auto_proc, AUTO_OFF);
	number("auto_sys", c.auto_sys, AUTO_OFF);
	number("auto_cgroup", c.auto_cgroup, AUTO_OFF);
	number("auto_cgroup_full", c.auto_cgroup_full, 0);
	number("auto_cgroup_force", c.auto_cgroup_force, 0);
	text("apparmor", c.apparmor);
	text("selinux", c.selinux);
	text("selinux_keyring", c.selinux_keyring);
	number("keyring", c.keyring, -1);
	number("autodev", c.autodev, -1);
	number("pty_max", c.pty_max, -1);
	number("tty_max", c.tty_max, -1);
	text("tty_dir", c.tty_dir);
	text("console_path", c.console_path);
	text("console_logfile", c.console_logfile);
	text("init_cmd", c.init_cmd);
	text("execute_cmd", c.execute_cmd);
	text("init_cwd", c.init_cwd);
	number("init_uid", c.init_uid, 0);
	number("init_gid", c.init_gid, 0);
	number("sig_halt", c.sig_halt, 0);
	number("sig_reboot", c.sig_reboot, 0);
	number("cap_drop", (long long)c.cap_drop, 0);
	number("cap_keep_set", c.cap_keep_set, 0);
	number("cap_keep", (long long)c.cap_keep, 0);
	number("no_new_privs", c.no_new_privs, 0);
}

int main(int argc, char **argv)
{
	int failed;

	if (argc != 2)
		return 2;
	failed = conf_load(&c, argv[1], conf_print, NULL);
	number("errors", c.errors, 0);
	scalars();
	mounts();
	devices();
	rest();
	return failed != 0;
}
