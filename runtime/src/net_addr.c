/* SPDX-License-Identifier: MIT */
/* Addresses, gateways, and what the host must know to reach them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "ip.h"
#include "net.h"
#include "util.h"

enum { LOOPBACK = 1 };                  /* the first interface of every network namespace */

static size_t bytes(int family)
{
	return family == AF_INET ? 4 : 16;
}

static int ip_error(const struct nic_job *j, const char *what, const struct conf_ip *ip)
{
	char text[IP_TEXT_MAX] = "";

	inet_ntop(ip->family, ip->bytes, text, sizeof(text));
	nic_error(j, what, text);
	if (errno == EOPNOTSUPP || errno == EAFNOSUPPORT)
		err_hint("is IPv6 switched off (net.ipv6.conf.*.disable_ipv6), or not in this kernel?");
	return -1;
}

static int add_address(const struct nic_job *j, const struct conf_addr *a)
{
	static const uint8_t none[4];
	struct ifaddrmsg f = { .ifa_family = a->ip.family, .ifa_prefixlen = a->ip.prefix,
			       .ifa_index = (unsigned)j->inner.index };
	struct nl_msg m;

	nl_begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &f, sizeof(f));
	nl_put(&m, IFA_LOCAL, a->ip.bytes, bytes(a->ip.family));
	nl_put(&m, IFA_ADDRESS, a->ip.bytes, bytes(a->ip.family));
	if (memcmp(a->broadcast, none, sizeof(none)) != 0)
		nl_put(&m, IFA_BROADCAST, a->broadcast, sizeof(a->broadcast));
	return nl_talk(j->in, &m, NULL, NULL) < 0 ? ip_error(j, "add address", &a->ip) : 0;
}

/* ---- routes ------------------------------------------------------------------------- */

/* A request about the route to `to` (prefix 0: the default) through interface `oif`. */
static void route(struct nl_msg *m, unsigned type, const struct conf_ip *to, int oif, const struct conf_ip *via)
{
	struct rtmsg r = {
		.rtm_family = to->family, .rtm_dst_len = to->prefix, .rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT, .rtm_type = RTN_UNICAST,
		.rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
	};
	struct conf_ip net = *to;

	for (unsigned bit = to->prefix; bit < sizeof(net.bytes) * 8; bit++)
		net.bytes[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
	nl_begin(m, type, type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0, &r, sizeof(r));
	if (to->prefix > 0)
		nl_put(m, RTA_DST, net.bytes, bytes(to->family));
	if (via)
		nl_put(m, RTA_GATEWAY, via->bytes, bytes(via->family));
	nl_u32(m, RTA_OIF, (uint32_t)oif);
}

static int add_route(int fd, const struct conf_ip *to, int oif, const struct conf_ip *via)
{
	struct nl_msg m;

	route(&m, RTM_NEWROUTE, to, oif, via);
	return nl_talk(fd, &m, NULL, NULL);
}

static struct conf_ip alone(const struct conf_ip *ip)
{
	struct conf_ip one = *ip;

	one.prefix = (uint8_t)(8 * bytes(ip->family));
	return one;
}

/* ---- gateways ----------------------------------------------------------------------- */

struct search {
	int index;
	struct conf_ip ip;              /* family: what is looked for; prefix: found */
};

static void take_address(const struct nlmsghdr *h, void *arg)
{
	const struct ifaddrmsg *a = NLMSG_DATA(h);
	struct search *s = arg;
	const void *raw = nl_attr(h, sizeof(*a), s->ip.family == AF_INET ? IFA_LOCAL : IFA_ADDRESS,
				  bytes(s->ip.family));

	if (a->ifa_index != (unsigned)s->index || a->ifa_family != s->ip.family || !raw || s->ip.prefix)
		return;
	memcpy(s->ip.bytes, raw, bytes(s->ip.family));
	s->ip.prefix = a->ifa_prefixlen;
}

static int auto_gateway(const struct nic_job *j, uint8_t family, struct conf_ip *ip)
{
	struct search s = { .index = j->parent.index, .ip.family = family };
	struct ifaddrmsg f = { .ifa_family = family };
	struct nl_msg m;

	nl_begin(&m, RTM_GETADDR, NLM_F_DUMP, &f, sizeof(f));
	if (nl_talk(j->host, &m, take_address, &s) < 0 || s.ip.prefix == 0) {
		errno = EADDRNOTAVAIL;
		nic_error(j, "gateway = auto: address of", j->nic->link);
		err_hint("give it one, or write the gateway down");
		return -1;
	}
	*ip = s.ip;
	return 0;
}

/* A gateway outside of the container's networks is reached through its interface, as in LXC. */
static int add_gateway(const struct nic_job *j, const struct conf_gateway *g, uint8_t family)
{
	struct conf_ip all = { .family = family }, gateway = g->ip, single;
	const struct conf_ip *via = g->kind == GATEWAY_DEV ? NULL : &gateway;
	int rc;

	if (g->kind == GATEWAY_NONE)
		return 0;
	if (g->kind == GATEWAY_AUTO && auto_gateway(j, family, &gateway) < 0)
		return -1;
	rc = add_route(j->in, &all, j->inner.index, via);
	if (rc < 0 && via && (errno == ENETUNREACH || errno == EHOSTUNREACH || errno == EINVAL)) {
		single = alone(&gateway);
		rc = add_route(j->in, &single, j->inner.index, NULL);
		if (rc == 0)
			rc = add_route(j->in, &all, j->inner.index, via);
	}
	return rc < 0 ? ip_error(j, "route through", via ? via : &all) : 0;
}

int addr_inside(const struct nic_job *j)
{
	for (unsigned i = 0; i < j->conf->naddrs; i++) {
		const struct conf_addr *a = &j->conf->addr[i];

		if (a->nic == j->n && !a->route && add_address(j, a) < 0)
			return -1;
	}
	if (add_gateway(j, &j->nic->gateway4, AF_INET) < 0)
		return -1;
	return add_gateway(j, &j->nic->gateway6, AF_INET6);
}

/* ---- the host's side -------------------------------------------------------------------- */

static void proxy(struct nl_msg *m, unsigned type, const struct conf_ip *ip, int index)
{
	struct ndmsg n = { .ndm_family = ip->family, .ndm_ifindex = index, .ndm_state = NUD_PERMANENT,
			   .ndm_flags = NTF_PROXY };

	nl_begin(m, type, type == RTM_NEWNEIGH ? NLM_F_CREATE : 0, &n, sizeof(n));
	nl_put(m, NDA_DST, ip->bytes, bytes(ip->family));
}

static int add_proxy(const struct nic_job *j, const struct conf_ip *ip, int index)
{
	struct nl_msg m;

	proxy(&m, RTM_NEWNEIGH, ip, index);
	return nl_talk(j->host, &m, NULL, NULL) < 0 ? ip_error(j, "proxy for", ip) : 0;
}

/* /proc/sys/net/ipv4/conf/LINK/WHAT: written, or (value 0) asked whether it is 1. */
static int sysctl(const struct nic_job *j, int family, const char *link, const char *what, bool set)
{
	char path[96], is = '0';
	CLEAN_FD int fd = -1;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv%d/conf/%s/%s", family == AF_INET ? 4 : 6, link, what);
	fd = openat(AT_FDCWD, path, (set ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	if (fd < 0 || (set ? write(fd, "1", 1) : read(fd, &is, 1)) != 1)
		return nic_error(j, set ? "set" : "read", path);
	if (set || is == '1')
		return 0;
	err_plain("%s:%u: lxc.net.%u.l2proxy needs %s to be 1", j->nic->at.file, j->nic->at.line, j->n, path);
	return -1;
}

/* The link forwards, and answers for others in IPv6 (in IPv4 it does, once it forwards). */
static int forwards(const struct nic_job *j, int family, const char *link, bool set)
{
	return sysctl(j, family, link, "forwarding", set) < 0 ||
	       (family == AF_INET6 && sysctl(j, family, link, "proxy_ndp", set) < 0) ? -1 : 0;
}

/* The link answers for the container's address; it outlives the container, so that is noted. */
static int add_l2proxy(const struct nic_job *j, const struct conf_ip *ip)
{
	struct conf_ip one = alone(ip);
	struct nl_msg m;

	if (forwards(j, ip->family, j->nic->link, false) < 0)
		return -1;
	proxy(&m, RTM_DELNEIGH, ip, j->parent.index);
	if (net_note(j->undo, &m) < 0 || add_proxy(j, ip, j->parent.index) < 0)
		return -1;
	if (j->nic->type != NET_IPVLAN)
		return 0;
	/* An ipvlan of mode l3s sends to the host what the host routes to its loopback. */
	route(&m, RTM_DELROUTE, &one, LOOPBACK, NULL);
	if (net_note(j->undo, &m) < 0)
		return -1;
	return add_route(j->host, &one, LOOPBACK, NULL) < 0 ? ip_error(j, "route on the host to", &one) : 0;
}

/* The host answers for the gateway at its end, and forwards what comes there. */
static int answer_for(const struct nic_job *j, const struct conf_gateway *g)
{
	if (g->kind != GATEWAY_IP)
		return 0;
	if (forwards(j, g->ip.family, j->outer.name, true) < 0)
		return -1;
	return add_proxy(j, &g->ip, j->outer.index);
}

int addr_outside(const struct nic_job *j)
{
	bool router = j->nic->type == NET_VETH && j->nic->veth_mode == VETH_ROUTER;

	for (unsigned i = 0; i < j->conf->naddrs; i++) {
		const struct conf_addr *a = &j->conf->addr[i];
		struct conf_ip to = a->route ? a->ip : alone(&a->ip);

		if (a->nic != j->n)
			continue;
		if ((a->route || router) && add_route(j->host, &to, j->outer.index, NULL) < 0)
			return ip_error(j, "route on the host to", &to);
		if (!a->route && j->nic->l2proxy && add_l2proxy(j, &a->ip) < 0)
			return -1;
	}
	if (router && (answer_for(j, &j->nic->gateway4) < 0 || answer_for(j, &j->nic->gateway6) < 0))
		return -1;
	return 0;
}
