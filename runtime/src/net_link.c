/* SPDX-License-Identifier: MIT */
/* The links: found, made, taken from the host and brought up. */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include "net.h"
#include "util.h"

static const struct ifinfomsg any = { 0 };

int nic_error(const struct nic_job *j, const char *what, const char *name)
{
	return err_set("%s:%u: lxc.net.%u: %s %s", j->nic->at.file, j->nic->at.line, j->n, what, name);
}

/* A request about one link; with IFF_UP it is also brought up. */
static void about(struct nl_msg *m, unsigned type, int index, unsigned up)
{
	struct ifinfomsg i = { .ifi_index = index, .ifi_flags = up, .ifi_change = up };

	nl_begin(m, type, 0, &i, sizeof(i));
}

/* ---- finding ------------------------------------------------------------------------ */

static void take_link(const struct nlmsghdr *h, void *arg)
{
	const struct ifinfomsg *i = NLMSG_DATA(h);
	const unsigned *mtu = nl_attr(h, sizeof(*i), IFLA_MTU, sizeof(*mtu));
	const void *mac = nl_attr(h, sizeof(*i), IFLA_ADDRESS, 6);
	struct link *l = arg;

	l->index = i->ifi_index;
	l->mtu = mtu ? *mtu : 0;
	if (mac)
		memcpy(l->mac, mac, sizeof(l->mac));
}

int link_find(int fd, const char *name, struct link *l)
{
	struct nl_msg m;

	snprintf(l->name, sizeof(l->name), "%s", name);
	nl_begin(&m, RTM_GETLINK, 0, &any, sizeof(any));
	nl_text(&m, IFLA_IFNAME, l->name);
	return nl_talk(fd, &m, take_link, l);
}

static void add_name(const struct nlmsghdr *h, void *arg)
{
	const char *name = nl_attr(h, sizeof(struct ifinfomsg), IFLA_IFNAME, 2);
	size_t used = strlen(arg);

	if (name && used < 200)
		snprintf((char *)arg + used, IF_NAMESIZE + 1, " %.15s", name);
}

int link_parent(struct nic_job *j)
{
	char names[256] = "";
	struct nl_msg m;

	if (!j->nic->link || link_find(j->host, j->nic->link, &j->parent) == 0)
		return 0;
	nic_error(j, "link =", j->nic->link);
	nl_begin(&m, RTM_GETLINK, NLM_F_DUMP, &any, sizeof(any));
	if (nl_talk(j->host, &m, add_name, names) == 0)
		err_hint("the host has%s", names);
	return -1;
}

/* ---- making --------------------------------------------------------------------------- */

static int get_random(void *bytes, size_t n)
{
	return getrandom(bytes, n, 0) == (ssize_t)n ? 0 : err_set("getrandom");
}

/* Names that nobody has: of the host's end, and of the inner one until it gets its own. */
static int random_name(char *name)
{
	unsigned number;

	if (get_random(&number, sizeof(number)) < 0)
		return -1;
	snprintf(name, IF_NAMESIZE, "veth%08x", number);
	return 0;
}

/* The digits that are x; the first pair stays even, the address of one interface. */
static int fill_mac(struct nic_job *j)
{
	uint8_t random[6];

	memcpy(j->inner.mac, j->nic->mac, sizeof(random));
	if (get_random(random, sizeof(random)) < 0)
		return -1;
	for (int i = 0; i < 12; i++) {
		int shift = i % 2 ? 0 : 4, mask = i == 1 ? 14 : 15;

		if (j->nic->mac_random >> i & 1)
			j->inner.mac[i / 2] |= (uint8_t)((random[i / 2] >> shift & mask) << shift);
	}
	return 0;
}

static void put_queues(const struct nic_job *j, struct nl_msg *m)
{
	if (j->nic->rxqueues > 0)
		nl_u32(m, IFLA_NUM_RX_QUEUES, (uint32_t)j->nic->rxqueues);
	if (j->nic->txqueues > 0)
		nl_u32(m, IFLA_NUM_TX_QUEUES, (uint32_t)j->nic->txqueues);
}

/* MAC and MTU, where they are not left to the kernel. */
static void put_values(const struct nic_job *j, struct nl_msg *m)
{
	if (j->nic->mac_set)
		nl_put(m, IFLA_ADDRESS, j->inner.mac, sizeof(j->inner.mac));
	if (j->inner.mtu > 0)
		nl_u32(m, IFLA_MTU, j->inner.mtu);
}

static void put_inner(const struct nic_job *j, struct nl_msg *m)
{
	nl_text(m, IFLA_IFNAME, j->inner.name);
	put_queues(j, m);
	nl_u32(m, IFLA_NET_NS_FD, (uint32_t)j->ns);
}

/*
 * A bridge takes the lowest MAC of its ports for its own. With fe in front the host's end
 * of a veth is never that, so the bridge keeps its address when containers come and go.
 */
static int put_outer(struct nic_job *j, struct nl_msg *m)
{
	if (get_random(j->outer.mac + 1, 5) < 0)
		return -1;
	j->outer.mac[0] = 0xfe;
	nl_text(m, IFLA_IFNAME, j->outer.name);
	nl_put(m, IFLA_ADDRESS, j->outer.mac, sizeof(j->outer.mac));
	if (j->inner.mtu > 0)
		nl_u32(m, IFLA_MTU, j->inner.mtu);
	put_queues(j, m);
	return 0;
}

static void put_kind(const struct nic_job *j, struct nl_msg *m)
{
	const struct conf_nic *nic = j->nic;
	uint16_t ipvlan = nic->ipvlan_mode, vlan = (uint16_t)nic->vlan_id, flags = nic->isolation;
	void *peer;

	switch (nic->type) {
	case NET_VETH:
		peer = nl_nest(m, VETH_INFO_PEER);
		nl_fixed(m, &any, sizeof(any));
		put_inner(j, m);
		nl_end(m, peer);
		break;
	case NET_MACVLAN:
		nl_u32(m, IFLA_MACVLAN_MODE, 1u << nic->macvlan_mode);
		break;
	case NET_IPVLAN:
		nl_put(m, IFLA_IPVLAN_MODE, &ipvlan, sizeof(ipvlan));
		if (flags != 0)         /* since 4.14 */
			nl_put(m, IFLA_IPVLAN_FLAGS, &flags, sizeof(flags));
		break;
	default:
		nl_put(m, IFLA_VLAN_ID, &vlan, sizeof(vlan));
	}
}

static int note_removal(struct nic_job *j, int index, unsigned where)
{
	struct nl_msg m;

	about(&m, RTM_DELLINK, index, 0);
	m.head.nlmsg_pid = where;
	return net_note(j->undo, &m);
}

/* The host's end of a veth goes by itself only when the namespace of the other one has gone. */
static int note_outer(struct nic_job *j)
{
	if (link_find(j->host, j->outer.name, &j->outer) < 0)
		return nic_error(j, "find", j->outer.name);
	return note_removal(j, j->outer.index, 0);
}

/* A link that has but one macvlan is free for the next when that is gone, not some time later. */
static int note_inner(struct nic_job *j)
{
	if (!link_passthru(j->nic))
		return 0;
	return note_removal(j, j->inner.index, NET_INSIDE);
}

/* Both ends, down, the inner one under a name of its own in the container's namespace. */
int link_make(struct nic_job *j)
{
	static const char kinds[][8] = { "veth", "macvlan", "ipvlan", "vlan" };
	const char *kind = kinds[j->nic->type - NET_VETH];
	bool veth = j->nic->type == NET_VETH;
	void *info, *data;
	struct nl_msg m;

	j->inner.mtu = j->nic->mtu > 0 ? (unsigned)j->nic->mtu : veth ? j->parent.mtu : 0;
	if (random_name(j->inner.name) < 0 || fill_mac(j) < 0)
		return -1;
	snprintf(j->outer.name, sizeof(j->outer.name), "%s", j->nic->pair ? j->nic->pair : j->inner.name);
	nl_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &any, sizeof(any));
	if (!veth) {
		put_inner(j, &m);
		nl_u32(&m, IFLA_LINK, (uint32_t)j->parent.index);
	} else if (put_outer(j, &m) < 0) {
		return -1;
	}
	info = nl_nest(&m, IFLA_LINKINFO);
	nl_text(&m, IFLA_INFO_KIND, kind);
	data = nl_nest(&m, IFLA_INFO_DATA);
	put_kind(j, &m);
	nl_end(&m, data);
	nl_end(&m, info);
	if (nl_talk(j->host, &m, NULL, NULL) < 0) {
		nic_error(j, "make", veth ? j->outer.name : kind);
		if (errno == EOPNOTSUPP)
			err_hint("does this kernel have the type %s, as a module or built in?", kind);
		return -1;
	}
	return veth ? note_outer(j) : 0;
}

/* ---- taking --------------------------------------------------------------------------- */

static int note_home(struct nic_job *j)
{
	struct nl_msg m;

	about(&m, RTM_NEWLINK, j->inner.index, 0);
	nl_text(&m, IFLA_IFNAME, j->parent.name);
	nl_u32(&m, IFLA_MTU, j->parent.mtu);
	if (j->nic->mac_set)
		nl_put(&m, IFLA_ADDRESS, j->parent.mac, sizeof(j->parent.mac));
	m.head.nlmsg_pid = NET_INSIDE;
	return net_note(j->undo, &m);
}

/* Its name stays until it is noted how to bring it back: dying before, the kernel does that. */
int link_take(struct nic_job *j)
{
	struct link now;
	struct nl_msg m;

	j->inner.mtu = j->nic->mtu > 0 ? (unsigned)j->nic->mtu : 0;
	about(&m, RTM_NEWLINK, j->parent.index, 0);
	nl_u32(&m, IFLA_NET_NS_FD, (uint32_t)j->ns);
	if (fill_mac(j) < 0)
		return -1;
	if (nl_talk(j->host, &m, NULL, NULL) < 0) {
		nic_error(j, "take", j->parent.name);
		if (errno == EINVAL)
			err_hint("the kernel keeps some interfaces where they are: loopback, bridges, wireless");
		return -1;
	}
	if (link_find(j->in, j->parent.name, &now) < 0)
		return nic_error(j, "find", j->parent.name);
	j->inner.index = now.index;
	return note_home(j);
}

/* ---- up --------------------------------------------------------------------------------- */

static int set_outer(struct nic_job *j)
{
	bool port = j->nic->link && j->nic->veth_mode == VETH_BRIDGE;
	struct nl_msg m;

	about(&m, RTM_NEWLINK, j->outer.index, IFF_UP);
	if (port)
		nl_u32(&m, IFLA_MASTER, (uint32_t)j->parent.index);
	if (nl_talk(j->host, &m, NULL, NULL) == 0)
		return 0;
	nic_error(j, "bring up", j->outer.name);
	if (errno == EOPNOTSUPP && port)
		err_hint("lxc.net.%u.link = %s is no bridge", j->n, j->nic->link);
	return -1;
}

int link_ready(struct nic_job *j)
{
	bool phys = j->nic->type == NET_PHYS;
	const char *name = j->nic->name ? j->nic->name : phys ? j->parent.name : "eth%d";
	struct link now;
	struct nl_msg m;

	if (!phys && link_find(j->in, j->inner.name, &now) < 0)
		return nic_error(j, "find", j->inner.name);
	if (!phys)
		j->inner.index = now.index;
	if (note_inner(j) < 0)
		return -1;
	about(&m, RTM_NEWLINK, j->inner.index, j->nic->up ? IFF_UP : 0);
	nl_text(&m, IFLA_IFNAME, name);
	put_values(j, &m);
	if (nl_talk(j->in, &m, NULL, NULL) < 0) {
		nic_error(j, "set up", name);
		if (errno == ENETDOWN)
			err_hint("%s of the host must be up first", j->nic->link);
		return -1;
	}
	return j->nic->type == NET_VETH ? set_outer(j) : 0;
}
