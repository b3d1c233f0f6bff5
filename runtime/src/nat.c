/* SPDX-License-Identifier: MIT */
/* The bridge of containers that have no network of their own on the wire: made, and masqueraded. */
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "ip.h"
#include "net.h"
#include "opts.h"
#include "sampan.h"

/* ---- nf_tables ------------------------------------------------------------------- */

enum { POSTROUTING = 4, PRIORITY = 100, SADDR = 12, DADDR = 16, BATCH_BYTES = 4096 };

static struct batch {
	unsigned char bytes[BATCH_BYTES];
	size_t used;
	struct nl_msg m;
} batch;

static void begin(unsigned type, unsigned flags, uint8_t family, uint16_t subsystem)
{
	const struct nfgenmsg f = { .nfgen_family = family, .res_id = htons(subsystem) };

	nl_begin(&batch.m, type, flags, &f, sizeof(f));
	if (!(flags & NLM_F_APPEND))            /* only the last one is answered, or what is wrong */
		batch.m.head.nlmsg_flags &= (uint16_t)~NLM_F_ACK;
}

static void end(void)
{
	memcpy(batch.bytes + batch.used, &batch.m, batch.m.head.nlmsg_len);
	batch.used += batch.m.head.nlmsg_len;
}

static void table(unsigned what, unsigned flags, const char *name)
{
	begin(NFNL_SUBSYS_NFTABLES << 8 | what, flags, AF_INET, 0);
	nl_text(&batch.m, NFTA_TABLE_NAME, name);
	end();
}

static void number(unsigned type, uint32_t value)
{
	nl_u32(&batch.m, type, htonl(value));
}

static void value(unsigned type, uint32_t bytes)
{
	void *nest = nl_nest(&batch.m, type);

	nl_u32(&batch.m, NFTA_DATA_VALUE, bytes);
	nl_end(&batch.m, nest);
}

static void *expression(const char *name, void **element)
{
	*element = nl_nest(&batch.m, NFTA_LIST_ELEM);
	nl_text(&batch.m, NFTA_EXPR_NAME, name);
	return nl_nest(&batch.m, NFTA_EXPR_DATA);
}

static void close_expression(void *data, void *element)
{
	nl_end(&batch.m, data);
	nl_end(&batch.m, element);
}

/* The address at `offset` of the IP header is (or, with NEQ, is not) one of the network's. */
static void compare(uint32_t offset, uint32_t op, uint32_t net, uint32_t mask)
{
	void *element, *data = expression("payload", &element);

	number(NFTA_PAYLOAD_DREG, NFT_REG_1);
	number(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
	number(NFTA_PAYLOAD_OFFSET, offset);
	number(NFTA_PAYLOAD_LEN, 4);
	close_expression(data, element);
	data = expression("bitwise", &element);
	number(NFTA_BITWISE_SREG, NFT_REG_1);
	number(NFTA_BITWISE_DREG, NFT_REG_1);
	number(NFTA_BITWISE_LEN, 4);
	value(NFTA_BITWISE_MASK, mask);
	value(NFTA_BITWISE_XOR, 0);
	close_expression(data, element);
	data = expression("cmp", &element);
	number(NFTA_CMP_SREG, NFT_REG_1);
	number(NFTA_CMP_OP, op);
	value(NFTA_CMP_DATA, net & mask);
	close_expression(data, element);
}

static void rule(const char *name, uint32_t net, uint32_t mask)
{
	void *nest, *element, *data;

	begin(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN, NLM_F_CREATE, AF_INET, 0);
	nl_text(&batch.m, NFTA_CHAIN_TABLE, name);
	nl_text(&batch.m, NFTA_CHAIN_NAME, name);
	nest = nl_nest(&batch.m, NFTA_CHAIN_HOOK);
	number(NFTA_HOOK_HOOKNUM, POSTROUTING);
	number(NFTA_HOOK_PRIORITY, PRIORITY);
	nl_end(&batch.m, nest);
	nl_text(&batch.m, NFTA_CHAIN_TYPE, "nat");
	end();
	begin(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, AF_INET, 0);
	nl_text(&batch.m, NFTA_RULE_TABLE, name);
	nl_text(&batch.m, NFTA_RULE_CHAIN, name);
	nest = nl_nest(&batch.m, NFTA_RULE_EXPRESSIONS);
	compare(SADDR, NFT_CMP_EQ, net, mask);
	compare(DADDR, NFT_CMP_NEQ, net, mask);
	data = expression("masq", &element);
	close_expression(data, element);
	nl_end(&batch.m, nest);
	end();
}

/* One batch: all of it or nothing. The table is made first, so that removing it never fails. */
static int masquerade(const char *name, uint32_t net, uint32_t mask, bool on)
{
	CLEAN_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct { struct nlmsghdr head; struct nlmsgerr error; unsigned char more[2048]; } in;

	if (fd < 0)
		return -1;
	batch.used = 0;
	begin(NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	end();
	table(NFT_MSG_NEWTABLE, NLM_F_CREATE, name);
	table(NFT_MSG_DELTABLE, on ? 0 : NLM_F_APPEND, name);
	if (on) {
		table(NFT_MSG_NEWTABLE, NLM_F_CREATE, name);
		rule(name, net, mask);
	}
	begin(NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	end();
	if (send(fd, batch.bytes, batch.used, 0) < 0 || recv(fd, &in, sizeof(in), 0) < 0)
		return -1;
	errno = -in.error.error;
	return in.error.error == 0 ? 0 : -1;
}

/* ---- the bridge ------------------------------------------------------------------ */

static int make_bridge(int fd, const char *name, const struct conf_ip *ip)
{
	struct ifinfomsg up = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct ifaddrmsg address = { .ifa_family = AF_INET, .ifa_prefixlen = ip->prefix };
	struct link l = { .index = 0 };
	struct nl_msg m;
	void *nest;

	nl_begin(&m, RTM_NEWLINK, NLM_F_CREATE, &up, sizeof(up));
	nl_text(&m, IFLA_IFNAME, name);
	nest = nl_nest(&m, IFLA_LINKINFO);
	nl_text(&m, IFLA_INFO_KIND, "bridge");
	nl_end(&m, nest);
	if (nl_talk(fd, &m, NULL, NULL) < 0 || link_find(fd, name, &l) < 0)
		return err_set("make the bridge %s", name);
	address.ifa_index = (unsigned)l.index;
	nl_begin(&m, RTM_NEWADDR, NLM_F_CREATE, &address, sizeof(address));
	nl_put(&m, IFA_LOCAL, ip->bytes, 4);
	nl_put(&m, IFA_ADDRESS, ip->bytes, 4);
	return nl_talk(fd, &m, NULL, NULL) < 0 && errno != EEXIST ? err_set("give %s its address", name) : 0;
}

static int remove_bridge(int fd, const char *name)
{
	struct ifinfomsg f = { .ifi_index = 0 };
	struct nl_msg m;

	nl_begin(&m, RTM_DELLINK, 0, &f, sizeof(f));
	nl_text(&m, IFLA_IFNAME, name);
	return nl_talk(fd, &m, NULL, NULL) < 0 && errno != ENODEV ? err_set("remove %s", name) : 0;
}

static int forward(void)
{
	CLEAN_FD int fd = openat(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, "1", 1) != 1 ? err_set("switch on forwarding") : 0;
}

int cmd_net(int argc, char **argv)
{
	static const char *bridge, *address;
	static const struct opt opts[] = {
		{ OPT("-b, --bridge=NAME", "the bridge (lxcbr0)"), &bridge },
		{ OPT("-a, --address=IP/LENGTH", "its address (10.0.3.1/24)"), &address },
	};
	static const struct optset set = {
		"net [-b NAME] [-a IP/LENGTH] start|stop",
		"A bridge for containers, with an address that is their gateway, masqueraded\n"
		"towards every other network; or the end of it.",
		opts, ARRAY_SIZE(opts), 0,
	};
	struct args a = opts_parse(&set, argc, argv);
	struct conf_ip ip = { .family = AF_INET };
	bool on = a.nrest == 1 && strcmp(a.rest[0], "start") == 0;
	CLEAN_FD int fd = -1;
	uint32_t net, mask;
	bool prefix;

	if (!on && (a.nrest != 1 || strcmp(a.rest[0], "stop") != 0))
		usage_error("start or stop must be given");
	if (!bridge)
		bridge = "lxcbr0";
	if (!address)
		address = "10.0.3.1/24";
	if (!ip_parse(address, AF_INET, &ip, &prefix) || !prefix || ip.prefix == 0)
		usage_error("-a %s: not an address as 10.0.3.1/24", address);
	need_root();
	memcpy(&net, ip.bytes, sizeof(net));
	mask = htonl(UINT32_MAX << (32 - ip.prefix));
	if ((fd = nl_open(-1)) < 0)
		fail();
	if (on && (make_bridge(fd, bridge, &ip) < 0 || forward() < 0))
		fail();
	if (masquerade(bridge, net, mask, on) < 0 && (on || (errno != EPROTONOSUPPORT && errno != EOPNOTSUPP))) {
		err_set("masquerade %s", address);
		err_hint("it takes the kernel's nf_tables, nft_chain_nat and nft_masq");
		fail();
	}
	if (!on && remove_bridge(fd, bridge) < 0)
		fail();
	return 0;
}
