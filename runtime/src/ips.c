/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include "ips.h"
#include "netlink.h"
#include "path.h"

enum { LOOPBACK = 1 };                  /* the first interface of every network namespace */

static void add(const struct nlmsghdr *h, void *arg)
{
	const struct ifaddrmsg *a = NLMSG_DATA(h);
	bool six = a->ifa_family == AF_INET6;
	/* The far end of a point-to-point link is its IFA_ADDRESS. */
	const void *raw = nl_attr(h, sizeof(*a), six ? IFA_ADDRESS : IFA_LOCAL, six ? 16 : 4);
	struct ips *ips = arg;

	if (h->nlmsg_type != RTM_NEWADDR || !raw || a->ifa_index == LOOPBACK || ips->n == IPS_MAX ||
	    (!six && a->ifa_family != AF_INET) || (six && a->ifa_scope == RT_SCOPE_LINK))
		return;
	ips->ip[ips->n].family = a->ifa_family;
	if (inet_ntop(a->ifa_family, raw, ips->ip[ips->n].text, IP_LEN))
		ips->n++;
}

void ips_of(pid_t pid, struct ips *ips)
{
	const struct ifaddrmsg all = { 0 };
	CLEAN_FD int ns = -1, fd = -1;
	struct nl_msg m;

	ips->n = 0;
	ns = open_path(O_RDONLY, "/proc/%d/ns/net", pid);
	fd = ns < 0 ? -1 : nl_open(ns);
	nl_begin(&m, RTM_GETADDR, NLM_F_DUMP, &all, sizeof(all));
	if (fd >= 0)
		nl_talk(fd, &m, add, ips);
}
