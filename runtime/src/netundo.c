/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "netlink.h"
#include "netundo.h"
#include "util.h"

#define PIN "net"

unsigned long net_ns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) < 0 ? 0 : (unsigned long)st.st_ino;
}

int net_note(struct net_undo *u, const struct nl_msg *m)
{
	if (m->head.nlmsg_len > sizeof(u->bytes) - u->used)
		return err_plain("too many things to take back on the host (NET_UNDO_MAX)");
	memcpy(u->bytes + u->used, m, m->head.nlmsg_len);
	u->used += m->head.nlmsg_len;
	return 0;
}

struct pin_path {
	char s[48];
};

static struct pin_path pin_path(int statedir)
{
	struct pin_path p;

	snprintf(p.s, sizeof(p.s), "/proc/self/fd/%d/" PIN, statedir);
	return p;
}

int net_pin(int statedir, int pid)
{
	CLEAN_FD int fd = openat(statedir, PIN, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	char ns[32];

	if (fd < 0 && errno == EEXIST)
		return 0;               /* by an interface before this one */
	snprintf(ns, sizeof(ns), "/proc/%d/ns/net", pid);
	if (fd < 0 || mount(ns, pin_path(statedir).s, NULL, MS_BIND, NULL) < 0)
		return err_set("keep the network namespace");
	return 0;
}

static void unpin(int statedir)
{
	umount2(pin_path(statedir).s, MNT_DETACH);
	unlinkat(statedir, PIN, 0);
}

/* Sent from where the interface is; what moves it back names us at its end. */
static void send_inside(int statedir, struct nl_msg *m)
{
	CLEAN_FD int ns = openat(statedir, PIN, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	CLEAN_FD int in = ns < 0 ? -1 : nl_open(ns);

	if (m->head.nlmsg_type == RTM_NEWLINK)
		nl_u32(m, IFLA_NET_NS_PID, (uint32_t)getpid());
	if (in >= 0)
		nl_talk(in, m, NULL, NULL);
}

void net_end(int statedir, struct net_undo *u)
{
	CLEAN_FD int host = u->used > 0 && u->ns == net_ns() ? nl_open(-1) : -1;
	size_t at = 0;

	while (host >= 0 && at < u->used) {
		struct nl_msg m;

		memcpy(&m.head, u->bytes + at, sizeof(m.head));
		memcpy(m.body, u->bytes + at + sizeof(m.head), m.head.nlmsg_len - sizeof(m.head));
		at += m.head.nlmsg_len;
		if (m.head.nlmsg_pid == NET_INSIDE)
			send_inside(statedir, &m);
		else
			nl_talk(host, &m, NULL, NULL);  /* what is gone already is well */
	}
	if (u->used > 0)
		unpin(statedir);
	u->used = 0;
}

size_t net_undo_text(const struct net_undo *u, char *buf, size_t size)
{
	size_t n = (size_t)snprintf(buf, size, "%lu ", u->ns);

	for (size_t i = 0; i < u->used && n + 2 < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%02x", u->bytes[i]);
	return n;
}

/* Whole requests, each with its own length: nothing else is ever sent. */
static bool whole(const struct net_undo *u)
{
	struct nlmsghdr h;

	for (size_t at = 0; at < u->used; at += h.nlmsg_len) {
		if (u->used - at < sizeof(h))
			return false;
		memcpy(&h, u->bytes + at, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_len % NLMSG_ALIGNTO != 0 || h.nlmsg_len > u->used - at)
			return false;
	}
	return true;
}

bool net_undo_parse(const char *text, struct net_undo *u)
{
	char *digits;

	u->ns = strtoul(text, &digits, 10);
	if (*digits++ != ' ')
		return false;
	text = digits;
	for (u->used = 0; text[0] != '\0'; text += 2) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0 || u->used == sizeof(u->bytes))
			return false;
		u->bytes[u->used++] = (unsigned char)(high << 4 | low);
	}
	return whole(u);
}
