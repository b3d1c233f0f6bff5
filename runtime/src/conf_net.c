/* SPDX-License-Identifier: MIT */
/* lxc.net.N.* and the older lxc.network.*: which interface a line is about, and its kind. */
#include <stdio.h>
#include <string.h>
#include "conf_load.h"
#include "ip.h"
#include "words.h"

/* In the order of enum net_type, behind NET_UNSET. */
static const char types[] = "empty\0none\0veth\0macvlan\0ipvlan\0vlan\0phys\0";

const char *net_type_word(enum net_type type)
{
	return word_at(types, type - NET_EMPTY);
}

/*
 * A key of one type alone, as lxc.net.0.veth.pair: the first type among its words. The
 * interface must be of that type already, as in LXC.
 */
static const char *check_type(struct load *l, const struct conf_nic *nic)
{
	enum net_type type = NET_EMPTY;

	for (const char *word = types; *word != '\0'; word += strlen(word) + 1, type++) {
		const char *at = strstr(l->key, word);

		if (at == NULL || at[-1] != '.' || at[strlen(word)] != '.')
			continue;
		return nic->type == type ? NULL :
		       load_text(l, "is for the type %s, which must be set before", word);
	}
	return NULL;
}

/*
 * lxc.network.type opens the next interface, the other keys of lxc.network are about the
 * one opened last.
 */
const char *load_nic(struct load *l)
{
	bool opens = l->m.key->kind == KIND_NIC_TYPE;
	struct conf *c = l->c;
	int index = l->m.nic;

	if (index < 0)
		index = opens ? l->nic + 1 : l->nic;
	if (index < 0)
		return "lxc.network.type must come first: it opens an interface";
	if (index >= NICS_MAX)
		return load_text(l, "interfaces are numbered from 0 to %d (NICS_MAX)", NICS_MAX - 1);
	if (opens && l->m.nic < 0)
		l->nic = index;
	l->m.nic = index;
	if (!c->nic[index].used && l->m.key->kind != KIND_NIC_CLEAR)
		c->nic[index] = (struct conf_nic){
			.at = l->at, .used = true, .mtu = -1, .vlan_id = -1, .rxqueues = -1,
			.txqueues = -1, .ipvlan_mode = 1,
		};
	if (c->nnics <= (unsigned)index)
		c->nnics = (unsigned)index + 1;
	return check_type(l, &c->nic[index]);
}

static struct conf_nic *nic_of(struct load *l)
{
	return &l->c->nic[l->m.nic];
}

/* The addresses of an interface (-1: of all) and one kind (0: of both families) go. */
static void drop_addrs(struct conf *c, int nic, int family, bool routes)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < c->naddrs; i++) {
		const struct conf_addr *a = &c->addr[i];

		if ((nic >= 0 && a->nic != nic) ||
		    (family != 0 && (a->ip.family != family || a->route != routes)))
			c->addr[kept++] = *a;
	}
	c->naddrs = kept;
}

const char *load_net_clear(struct load *l, const char *value)
{
	if (value[0] != '\0')
		return "takes only an empty value, which clears all interfaces";
	memset(l->c->nic, 0, sizeof(l->c->nic));
	drop_addrs(l->c, -1, 0, false);
	l->c->nnics = 0;
	l->nic = -1;
	return NULL;
}

const char *load_nic_clear(struct load *l, const char *value)
{
	struct conf *c = l->c;

	if (value[0] != '\0')
		return "takes only an empty value, which clears the interface";
	nic_of(l)->used = false;
	drop_addrs(c, l->m.nic, 0, false);
	while (c->nnics > 0 && !c->nic[c->nnics - 1].used)
		c->nnics--;
	return NULL;
}

const char *load_nic_type(struct load *l, const char *value)
{
	int index = word_index(types, value, strlen(value));

	nic_of(l)->type = value[0] == '\0' ? NET_UNSET : index < 0 ? NET_EMPTY : NET_EMPTY + (unsigned)index;
	if (index >= 0 || value[0] == '\0')
		return NULL;
	return "must be a network type: empty, none, veth, macvlan, ipvlan, vlan or phys";
}

const char *load_nic_flags(struct load *l, const char *value)
{
	if (value[0] != '\0' && strcmp(value, "up") != 0)
		return "must be up, or empty";
	nic_of(l)->up = value[0] != '\0';
	return NULL;
}

/* What the kernel takes for the name of an interface. */
const char *load_nic_name(struct load *l, const char *value)
{
	const char **name = load_field(l);

	if (strlen(value) > 15)
		return "the name of an interface has at most 15 characters";
	if (strcmp(value, ".") == 0 || strcmp(value, "..") == 0 || strpbrk(value, "/: \t%") != NULL)
		return "is no name of an interface";
	*name = load_keep(l, value);
	return NULL;
}

const char *load_choice(struct load *l, const char *value)
{
	int index = word_index(l->m.only, value, strlen(value));

	*(uint8_t *)load_field(l) = index < 0 ? 0 : (uint8_t)index;
	return index < 0 && value[0] != '\0' ? l->m.reason : NULL;
}

const char *load_nic_hwaddr(struct load *l, const char *value)
{
	static const char why[] = "must be six pairs of hexadecimal digits or x: 00:16:3e:xx:xx:xx";
	struct conf_nic *nic = nic_of(l);

	nic->mac_set = value[0] != '\0';
	nic->mac_random = 0;
	for (unsigned i = 0; i < 12 && nic->mac_set; i++) {
		int digit = (*value | 0x20) == 'x' ? 16 : hex_digit(*value);

		if (digit < 0 || (value++, i % 2 == 1 && *value != (i < 11 ? ':' : '\0')))
			return why;
		value += i % 2;
		nic->mac_random = (uint16_t)(nic->mac_random | (digit == 16) << i);
		nic->mac[i / 2] = (uint8_t)(nic->mac[i / 2] << 4 | (digit & 15));
	}
	return nic->mac_set && nic->mac[0] & 1 ? "the first pair must be even: this is no address of one interface" : NULL;
}

/* ---- addresses ------------------------------------------------------------------ */

static int family_of(const struct load *l)
{
	return strstr(l->key, "ipv6") ? AF_INET6 : AF_INET;
}

/* Without a length LXC goes by the classes of 1981, and 64 in IPv6. */
static uint8_t usual_prefix(struct load *l, const struct conf_ip *ip)
{
	uint8_t prefix = ip->family == AF_INET6 ? 64 : ip->bytes[0] < 128 ? 8 : ip->bytes[0] < 192 ? 16 : 24;

	load_say(l, CONF_WARNING, load_text(l, "no prefix length: /%d is taken, as LXC does", prefix));
	return prefix;
}

const char *load_nic_address(struct load *l, const char *value)
{
	bool route = l->m.key->kind == KIND_NIC_ROUTE;
	struct conf_addr a = { .nic = (uint8_t)l->m.nic, .route = route };
	int family = family_of(l);
	char text[IP_TEXT_MAX];
	size_t n = strcspn(value, " \t");
	bool prefix;

	if (value[0] == '\0') {
		drop_addrs(l->c, l->m.nic, family, route);
		return NULL;
	}
	if (l->c->naddrs == ADDRS_MAX)
		return "more addresses than the runtime holds (ADDRS_MAX)";
	snprintf(text, sizeof(text), "%.*s", (int)n, value);
	if (n >= sizeof(text) || !ip_parse(text, family, &a.ip, &prefix))
		return family == AF_INET ? "must be an address as 10.0.3.5/24" : "must be an address as fd00::5/64";
	if (!prefix)
		a.ip.prefix = usual_prefix(l, &a.ip);
	value += n + strspn(value + n, " \t");
	if (family == AF_INET && !route && value[0] != '\0') {
		struct conf_ip ip;

		if (!ip_parse(value, AF_INET, &ip, &prefix) || prefix)
			return "a broadcast address must follow, or nothing";
		memcpy(a.broadcast, ip.bytes, sizeof(a.broadcast));
	} else if (value[0] != '\0') {
		return "nothing may follow the address";
	} else if (family == AF_INET) {
		ip_broadcast(&a.ip, a.broadcast);
	}
	l->c->addr[l->c->naddrs++] = a;
	return NULL;
}

const char *load_nic_gateway(struct load *l, const char *value)
{
	struct conf_gateway *g = load_field(l);
	bool prefix;

	g->kind = value[0] == '\0' ? GATEWAY_NONE : strcmp(value, "auto") == 0 ? GATEWAY_AUTO :
		  strcmp(value, "dev") == 0 ? GATEWAY_DEV : GATEWAY_IP;
	if (g->kind != GATEWAY_IP || (ip_parse(value, family_of(l), &g->ip, &prefix) && !prefix))
		return NULL;
	g->kind = GATEWAY_NONE;
	return "must be an address without a length, auto, or dev";
}

/* ---- what the lines add up to ---------------------------------------------------- */

static bool has_address(const struct conf *c, unsigned nic, int family)
{
	for (unsigned i = 0; i < c->naddrs; i++)
		if (c->addr[i].nic == nic && !c->addr[i].route && c->addr[i].ip.family == family)
			return true;
	return false;
}

static const char *check_gateway(const struct conf *c, unsigned i, const struct conf_gateway *g, int family)
{
	const struct conf_nic *nic = &c->nic[i];

	if (g->kind == GATEWAY_NONE)
		return NULL;
	if (!nic->up)
		return "flags = up is missing: its gateway needs it";
	if (g->kind != GATEWAY_DEV && !has_address(c, i, family))
		return family == AF_INET ? "ipv4.address is missing: the gateway needs one" :
					   "ipv6.address is missing: the gateway needs one";
	if (g->kind == GATEWAY_AUTO && (nic->type > NET_IPVLAN || !nic->link))
		return "link is missing, of a veth, macvlan or ipvlan: gateway auto is its address";
	return NULL;
}

static const char *check_nic(const struct conf *c, unsigned i)
{
	const struct conf_nic *nic = &c->nic[i];
	const char *why;

	if (nic->type == NET_UNSET)
		return "type is missing";
	if (nic->type > NET_VETH && !nic->link)
		return "link is missing: the host's interface";
	if (nic->type == NET_VLAN && nic->vlan_id < 0)
		return "vlan.id is missing";
	if (nic->l2proxy && !nic->link)
		return "link is missing: l2proxy is about it";
	why = check_gateway(c, i, &nic->gateway4, AF_INET);
	return why ? why : check_gateway(c, i, &nic->gateway6, AF_INET6);
}

void check_nics(struct load *l)
{
	struct conf *c = l->c;
	unsigned used = 0, none = 0;

	for (unsigned i = 0; i < c->nnics; i++) {
		const struct conf_nic *nic = &c->nic[i];
		const char *why = nic->used ? check_nic(c, i) : NULL;

		used += nic->used;
		none += nic->used && nic->type == NET_NONE;
		if (nic->used)
			l->at = nic->at;
		if (why != NULL)
			load_error(l, load_text(l, "lxc.net.%u.%s", i, why));
	}
	if (none > 0 && used > 1)
		load_error(l, "type none is the host's network and stands alone");
}
