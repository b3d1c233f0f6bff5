/* SPDX-License-Identifier: MIT */
/* Readers of keys about namespaces: which are made, which are whose, ids and clocks in them. */
#include <sched.h>
#include <string.h>
#include "conf_load.h"
#include "words.h"

const struct space space_table[NS_KINDS] = {                 /* the user's comes last: it takes the others' rights */
	{ "cgroup", "CGROUP", 0x02000000 }, { "ipc", "IPC", CLONE_NEWIPC },
	{ "uts", "UTSNAME", CLONE_NEWUTS }, { "net", "NETWORK", CLONE_NEWNET },
	{ "pid", "PID", CLONE_NEWPID }, { "time", "TIME", SPACE_TIME },
	{ "mnt", "MOUNT", CLONE_NEWNS }, { "user", "USER", CLONE_NEWUSER },
};

int space_index(const char *name)
{
	for (int i = 0; i < NS_KINDS; i++)
		if (strcmp(name, space_table[i].file) == 0 || (space_table[i].flag == CLONE_NEWNS && strcmp(name, "mount") == 0))
			return i;
	return -1;
}

/* lxc.namespace.clone and .keep: lines add up. */
const char *load_spaces(struct load *l, const char *value)
{
	uint32_t *set = load_field(l);
	char word[8];

	if (value[0] == '\0')
		*set = 0;
	if (value[0] != '\0' && (set == &l->c->ns_keep ? l->c->ns_clone : l->c->ns_keep) != 0)
		return "lxc.namespace.clone and lxc.namespace.keep exclude each other";
	for (const char *p = value; (p = load_word(p, "", word, sizeof(word))) != NULL;) {
		int i = space_index(word);

		if (i < 0)
			return "must be of cgroup ipc mnt net pid time user uts";
		*set |= space_table[i].flag;
	}
	return NULL;
}

/* lxc.namespace.share.NS = PID, a container's name, or the path of a namespace. */
const char *load_share(struct load *l, const char *value)
{
	int i = space_index(l->m.rest);

	if (i < 0)
		return "must end in cgroup, ipc, net, pid, time or uts";
	if (space_table[i].flag & (CLONE_NEWNS | CLONE_NEWUSER))
		return "not supported: a container has mounts and a map of ids of its own";
	if (value[0] != '\0' && value[0] != '/' && !name_ok(value))
		return "must be a process id, a container's name or an absolute path";
	l->c->share[i] = load_keep(l, value);
	return NULL;
}

/* u, g or b (both), then the first id inside, the first on the host, how many. */
const char *load_idmap(struct load *l, const char *value)
{
	struct conf *c = l->c;
	struct conf_idmap *map = &c->idmap[c->nidmaps];
	uint64_t number[3];
	char word[16];
	const char *p = load_word(value, "", word, sizeof(word));

	if (p == NULL) {
		c->nidmaps = 0;
		return NULL;
	}
	if (c->nidmaps == IDMAPS_MAX)
		return "more ranges of ids than the runtime holds (IDMAPS_MAX)";
	*map = (struct conf_idmap){ .at = l->at, .kinds = word[1] != '\0' ? 0 : word[0] == 'u' ? MAP_USERS :
				    word[0] == 'g' ? MAP_GROUPS : word[0] == 'b' ? MAP_USERS | MAP_GROUPS : 0 };
	for (int i = 0; i < 3 && p != NULL; i++) {
		p = load_word(p, "", word, sizeof(word));
		if (p != NULL && !parse_uint(word, i == 2, UINT32_MAX - 1, &number[i]))
			p = NULL;
	}
	if (map->kinds == 0 || p == NULL || load_word(p, "", word, sizeof(word)) != NULL ||
	    number[0] + number[2] > UINT32_MAX || number[1] + number[2] > UINT32_MAX)
		return "must be u, g or b (both), the first id inside, the first on the host, how many";
	map->inside = (uint32_t)number[0];
	map->outside = (uint32_t)number[1];
	map->count = (uint32_t)number[2];
	c->nidmaps++;
	return NULL;
}

/* [-]NUMBER and its unit. */
const char *load_offset(struct load *l, const char *value)
{
	enum { DIGITS_MAX = 23 };
	static const char units[] = "h\0m\0s\0ms\0us\0ns\0";
	static const int64_t ns[] = { INT64_C(3600000000000), INT64_C(60000000000), 1000000000, 1000000, 1000, 1 };
	const char *text = value + (value[0] == '-' || value[0] == '+');
	int64_t *offset = load_field(l);
	uint64_t number = 0;
	size_t n = parse_digits(text, INT64_MAX, &number);
	int unit = name_index(units, text + n + strspn(text + n, " "));

	if (value[0] == '\0') {
		*offset = 0;
		return NULL;
	}
	if (unit < 0 || n == 0 || n > DIGITS_MAX || number > (uint64_t)(INT64_MAX / ns[unit]))
		return "must be a number and h, m, s, ms, us or ns, as -90s";
	*offset = (value[0] == '-' ? -(int64_t)number : (int64_t)number) * ns[unit];
	return NULL;
}

uint32_t idmap_outside(const struct conf *c, unsigned kind, uint32_t id)
{
	for (unsigned i = 0; i < c->nidmaps; i++)
		if (c->idmap[i].kinds & kind && id - c->idmap[i].inside < c->idmap[i].count)
			return c->idmap[i].outside + (id - c->idmap[i].inside);
	return c->nidmaps > 0 ? UINT32_MAX : id;
}

/* ---- what all lines add up to -------------------------------------------------- */

static bool overlap(uint32_t a, uint32_t na, uint32_t b, uint32_t nb)
{
	return a < b ? b - a < na : a - b < nb;
}

static void check_maps(struct load *l)
{
	struct conf *c = l->c;

	for (unsigned i = 0; i < c->nidmaps; i++)
		for (unsigned k = 0; k < i; k++) {
			const struct conf_idmap *a = &c->idmap[i], *b = &c->idmap[k];

			l->at = a->at;
			if (a->kinds & b->kinds && (overlap(a->inside, a->count, b->inside, b->count) ||
						    overlap(a->outside, a->count, b->outside, b->count)))
				load_error(l, "lxc.idmap: the range overlaps with another one");
		}
	l->at = c->idmap[0].at;
	if (c->nidmaps > 0 && (idmap_outside(c, MAP_USERS, 0) == UINT32_MAX ||
			       idmap_outside(c, MAP_GROUPS, 0) == UINT32_MAX))
		load_error(l, "lxc.idmap: user 0 and group 0 must be mapped, who set the container up");
	else if (c->nidmaps > 0 && (idmap_outside(c, MAP_USERS, c->init_uid) == UINT32_MAX ||
				    idmap_outside(c, MAP_GROUPS, c->init_gid) == UINT32_MAX))
		load_error(l, "lxc.idmap: lxc.init.uid and lxc.init.gid must be mapped");
}

static const char *wrong_spaces(const struct conf *c)
{
	if ((c->ns_clone && !(c->ns_clone & CLONE_NEWNS)) || c->ns_keep & CLONE_NEWNS)
		return "lxc.namespace: a container always has its own mnt";
	if (c->ns_clone & CLONE_NEWUSER && c->nidmaps == 0)
		return "lxc.namespace.clone = user: lxc.idmap is missing";
	if (c->nidmaps > 0 && ((c->ns_clone && !(c->ns_clone & CLONE_NEWUSER)) || c->ns_keep & CLONE_NEWUSER))
		return "lxc.idmap: lxc.namespace leaves no user namespace to map ids in";
	return NULL;
}

/* The namespaces that are made; the others are the caller's, or whose they are shared. */
void check_spaces(struct load *l)
{
	struct conf *c = l->c;
	const char *why = wrong_spaces(c);

	if (why != NULL) {
		l->at = (struct where){ .file = c->file };
		load_error(l, why);
	}
	c->spaces = c->ns_clone ? c->ns_clone : SPACES_USUAL & ~c->ns_keep;
	if (c->nidmaps > 0)
		c->spaces |= CLONE_NEWUSER;
	if (c->offset_boot || c->offset_monotonic)
		c->spaces |= SPACE_TIME;
	for (unsigned i = 0; i < NS_KINDS; i++)
		if (c->share[i] != NULL)
			c->spaces &= ~space_table[i].flag;
	for (unsigned i = 0; i < c->nnics; i++)
		if (c->nic[i].used && c->nic[i].type == NET_NONE)
			c->spaces &= ~(uint32_t)CLONE_NEWNET;
	check_maps(l);
}
