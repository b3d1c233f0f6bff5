/* SPDX-License-Identifier: MIT */
/* Requests byte by byte, answers that are cut or lie, and the notes kept with the state. */
#include <linux/rtnetlink.h>
#include <string.h>
#include "check.h"
#include "ip.h"
#include "netlink.h"
#include "netundo.h"
#include "util.h"

static void requests(void)
{
	const struct ifinfomsg any = { .ifi_index = 7 };
	const struct rtattr *a;
	struct nl_msg m;
	void *outer, *inner;

	nl_begin(&m, RTM_NEWLINK, NLM_F_CREATE, &any, sizeof(any));
	CHECK(m.head.nlmsg_len == 32 && m.head.nlmsg_type == RTM_NEWLINK);
	CHECK(m.head.nlmsg_flags == (NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE));
	nl_text(&m, IFLA_IFNAME, "eth0");       /* 4 + 5, padded to 12 */
	CHECK(m.head.nlmsg_len == 44);
	a = (const void *)(m.body + 16);
	CHECK(a->rta_type == IFLA_IFNAME && a->rta_len == 9);
	CHECK(memcmp(m.body + 20, "eth0\0\0\0\0", 8) == 0);
	outer = nl_nest(&m, IFLA_LINKINFO);
	inner = nl_nest(&m, IFLA_INFO_DATA);
	nl_u32(&m, 1, 0x01020304);
	nl_end(&m, inner);
	nl_end(&m, outer);
	CHECK(((const struct rtattr *)outer)->rta_len == 16);
	CHECK(((const struct rtattr *)inner)->rta_len == 12);
	CHECK(m.head.nlmsg_len == 60);
	CHECK_TEXT(nl_attr(&m.head, sizeof(any), IFLA_IFNAME, 2), "eth0");
	CHECK(nl_attr(&m.head, sizeof(any), IFLA_IFNAME, 6) == NULL);
	CHECK(nl_attr(&m.head, sizeof(any), IFLA_MTU, 1) == NULL);
}

static void answers_that_lie(void)
{
	const struct ifinfomsg any = { 0 };
	struct rtattr *a;
	struct nl_msg m;

	nl_begin(&m, RTM_NEWLINK, 0, &any, sizeof(any));
	a = nl_put(&m, IFLA_IFNAME, "abc", 4);
	nl_u32(&m, IFLA_MTU, 1500);
	a->rta_len = 3;                         /* shorter than itself */
	CHECK(nl_attr(&m.head, sizeof(any), IFLA_MTU, 4) == NULL);
	a->rta_len = 400;                       /* longer than the message */
	CHECK(nl_attr(&m.head, sizeof(any), IFLA_IFNAME, 1) == NULL);
	a->rta_len = 8;
	CHECK(nl_attr(&m.head, sizeof(any), IFLA_MTU, 4) != NULL);
	m.head.nlmsg_len -= 2;                  /* the last one is cut */
	CHECK(nl_attr(&m.head, sizeof(any), IFLA_MTU, 4) == NULL);
}

static void notes(void)
{
	static struct net_undo u, back;
	const struct ifinfomsg i = { .ifi_index = 300 };
	char text[2 * NET_UNDO_MAX + 32];
	struct nl_msg m;
	size_t n;

	nl_begin(&m, RTM_DELLINK, 0, &i, sizeof(i));
	u.ns = 4026531833ul;
	CHECK(net_note(&u, &m) == 0 && net_note(&u, &m) == 0 && u.used == 64);
	n = net_undo_text(&u, text, sizeof(text));
	CHECK(n == strlen("4026531833 ") + 128 && text[n] == '\0');
	CHECK(net_undo_parse(text, &back) && back.used == 64 && back.ns == u.ns);
	CHECK(memcmp(u.bytes, back.bytes, 64) == 0);
	text[n - 1] = '\0';                     /* half a byte */
	CHECK(!net_undo_parse(text, &back));
	text[n - 2] = '\0';                     /* half a request */
	CHECK(!net_undo_parse(text, &back));
	CHECK(net_undo_parse("1 ", &back) && back.used == 0);
	CHECK(!net_undo_parse("", &back) && !net_undo_parse("1", &back) && !net_undo_parse("1 zz", &back));
	CHECK(!net_undo_parse("1 00000000000000000000000000000000", &back));    /* of no length */
	while (net_note(&u, &m) == 0)
		CHECK(u.used <= NET_UNDO_MAX);
	CHECK(u.used == NET_UNDO_MAX);
	n = net_undo_text(&u, text, sizeof(text));
	CHECK(net_undo_parse(text, &back) && back.used == NET_UNDO_MAX);
	strcpy(text + n, "00");                 /* one byte more than there is room */
	CHECK(!net_undo_parse(text, &back));
}

static void addresses(void)
{
	struct conf_ip ip;
	uint8_t b[4];
	bool prefix;

	for (unsigned length = 0; length <= 32; length++) {
		const uint32_t address = 0x0a4d0205, host = length == 0 ? ~0u : (1u << (32 - length)) - 1u;
		uint32_t want = length > 30 ? 0 : address | host;
		char text[32];

		snprintf(text, sizeof(text), "10.77.2.5/%u", length);
		CHECK(ip_parse(text, AF_INET, &ip, &prefix) && prefix && ip.prefix == length);
		ip_broadcast(&ip, b);
		CHECK(((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]) == want);
	}
	CHECK(ip_parse("::", AF_INET6, &ip, &prefix) && !prefix && ip.prefix == 128);
	CHECK(!ip_parse("", AF_INET, &ip, &prefix) && !ip_parse("/8", AF_INET, &ip, &prefix));
	CHECK(!ip_parse("1.2.3.4/", AF_INET, &ip, &prefix) && !ip_parse("1.2.3.4/-1", AF_INET, &ip, &prefix));
	CHECK(!ip_parse("1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111", AF_INET6, &ip, &prefix));
}

/* As the standards have them: what is read, printed again. NULL: refused. */
static void texts(void)
{
	static const struct {
		const char *text, *printed;
	} cases[] = {
		{ "10.0.3.255", "10.0.3.255" }, { "10.0.3", NULL }, { "10.0.3.256", NULL }, { "10.0.3.05", NULL },
		{ "10.0.3.5.", NULL }, { "::", "::" }, { "::1", "::1" }, { "1::", "1::" }, { ":1", NULL }, { "1:", NULL },
		{ "1::2::3", NULL }, { ":::", NULL }, { "FD00:0:0:1:0:0:0:5", "fd00:0:0:1::5" },
		{ "0:0:1:0:0:1:0:0", "::1:0:0:1:0:0" }, { "1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8" },
		{ "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" }, { "1:2:3:4:5:6:7", NULL }, { "1:2:3:4:5:6:7:8::", NULL },
		{ "1:2:3:4:5:6:7:8:9", NULL }, { "12345::", NULL }, { "g::", NULL }, { "64:ff9b::1.2.3.4", "64:ff9b::102:304" },
		{ "1:2:3:4:5:6:7:1.2.3.4", NULL }, { "::1.2.3", NULL }, { "::1.2.3.4:5", NULL },
	};
	char text[INET6_ADDRSTRLEN];
	uint8_t bytes[16];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int family = strchr(cases[i].text, ':') ? AF_INET6 : AF_INET;
		bool read = inet_pton(family, cases[i].text, bytes) == 1;

		CHECK(read == (cases[i].printed != NULL));
		CHECK(!read || strcmp(inet_ntop(family, bytes, text, sizeof(text)), cases[i].printed) == 0);
	}
}

int main(void)
{
	requests();
	answers_that_lie();
	notes();
	addresses();
	texts();
	return check_end();
}
