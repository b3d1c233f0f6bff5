/* SPDX-License-Identifier: MIT */
/* lxc.net.N.* and the older lxc.network.*. */
#include <stdio.h>
#include <string.h>
#include "conf_load.h"

/*
 * The interface a line is about. lxc.network.type opens the next one, the other
 * keys of lxc.network are about the one opened last. NULL: `why` says what is wrong.
 */
static struct conf_nic *nic_of(struct load *l, bool opens, const char **why)
{
	struct conf *c = l->c;
	int index = l->m.nic;

	if (index < 0)
		index = opens ? l->nic + 1 : l->nic;
	if (index < 0) {
		*why = "lxc.network.type must come first: it opens an interface";
		return NULL;
	}
	if (index >= NICS_MAX) {
		*why = load_text(l, "interfaces are numbered from 0 to %d (NICS_MAX)", NICS_MAX - 1);
		return NULL;
	}
	if (opens && l->m.nic < 0)
		l->nic = index;
	if (!c->nic[index].used)
		c->nic[index] = (struct conf_nic){ .at = l->at, .used = true };
	if (c->nnics <= (unsigned)index)
		c->nnics = (unsigned)index + 1;
	return &c->nic[index];
}

static void recount(struct conf *c)
{
	while (c->nnics > 0 && !c->nic[c->nnics - 1].used)
		c->nnics--;
}

const char *load_net_clear(struct load *l, const char *value)
{
	if (value[0] != '\0')
		return "takes only an empty value, which clears all interfaces";
	memset(l->c->nic, 0, sizeof(l->c->nic));
	l->c->nnics = 0;
	l->nic = -1;
	return NULL;
}

const char *load_nic_clear(struct load *l, const char *value)
{
	if (value[0] != '\0')
		return "takes only an empty value, which clears the interface";
	if (l->m.nic < NICS_MAX)
		l->c->nic[l->m.nic].used = false;
	recount(l->c);
	return NULL;
}

const char *load_nic_type(struct load *l, const char *value)
{
	static const struct {
		char name[8];
		enum net_type type;
	} types[] = { { "", NET_UNSET }, { "empty", NET_EMPTY }, { "none", NET_NONE } };
	static const char later[] = "veth\0macvlan\0ipvlan\0vlan\0phys\0";
	const char *why = NULL;
	struct conf_nic *nic = nic_of(l, true, &why);

	if (nic == NULL)
		return why;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(types[i].name, value) == 0) {
			nic->type = types[i].type;
			return NULL;
		}
	nic->type = NET_EMPTY;          /* one message is enough */
	for (const char *p = later; *p != '\0'; p += strlen(p) + 1)
		if (strcmp(p, value) == 0)
			return "not supported: only the network types empty and none are there yet";
	return "must be a network type: empty or none";
}

const char *load_nic_flags(struct load *l, const char *value)
{
	const char *why = NULL;
	struct conf_nic *nic;

	if (value[0] != '\0' && strcmp(value, "up") != 0)
		return "must be up, or empty";
	nic = nic_of(l, false, &why);
	if (nic != NULL)
		nic->up = value[0] != '\0';
	return why;
}
