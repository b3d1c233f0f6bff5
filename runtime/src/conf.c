/* SPDX-License-Identifier: MIT */
/* One configuration from the first line to the last check. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf_load.h"
#include "symbol.h"

static void unknown(struct load *l, const char *key)
{
	char near[80];

	key_nearest(key, near, sizeof(near));
	if (near[0] != '\0')
		load_hint(l, "did you mean %s?", near);
	if (strncmp(key, "lxc.", 4) != 0)
		load_error(l, "the key does not begin with lxc.");
	else
		load_error(l, "unknown key");
}

static void no_pair(struct load *l, char *line)
{
	char *end = line + strcspn(line, " \t");
	struct conf_match m;
	char saved = *end;

	*end = '\0';
	if (saved != '\0' && key_find(line, &m))
		load_hint(l, "%s = %s", line, end + 1 + strspn(end + 1, " \t"));
	*end = saved;
	l->value = line;
	load_error(l, "no KEY = VALUE");
}

/* Surrounding quotes go, as in LXC: only when both are there and alike. */
static char *unquote(char *value)
{
	size_t n = strlen(value);

	if (n < 2 || (*value != '"' && *value != '\'') || value[n - 1] != *value)
		return value;
	value[n - 1] = '\0';
	return value + 1;
}

static void note_legacy(struct load *l)
{
	if (!l->m.legacy || l->legacy_noted)
		return;
	l->legacy_noted = true;
	load_say(l, CONF_NOTE, "a key of LXC before 2.1; it works, and so do the others of its kind");
}

static void read_value(struct load *l, const char *value)
{
	const struct conf_match m = l->m;       /* an include goes on to other lines */
	unsigned errors = l->c->errors;
	const char *why = load_value(l, value);

	if (why != NULL)
		load_error(l, why);
	if (l->list != NULL && l->c->errors == errors)
		load_list(l, &m, value);
}

void load_line(struct load *l, char *line)
{
	char *equals = strchr(line, '=');

	if (*line == '\0' || *line == '#')
		return;
	if (equals == NULL) {
		no_pair(l, line);
		return;
	}
	*equals = '\0';
	l->key = load_trim(line);
	l->value = unquote(load_trim(equals + 1));
	if (!key_find(l->key, &l->m)) {
		unknown(l, l->key);
		return;
	}
	note_legacy(l);
	if (l->m.key->flags & KEY_IGNORED)
		return;
	if (l->m.key->flags & KEY_UNSUPPORTED) {
		/* An empty value asks for nothing. */
		if (l->value[0] != '\0')
			load_error(l, load_text(l, "not supported: %s", l->m.reason));
		return;
	}
	read_value(l, l->value);
}

/* The rules of the lines that are left, in their order; those by name wait for the start. */
static void add_devices(struct load *l)
{
	struct conf *c = l->c;
	const struct conf_device *first = NULL;
	bool global = false;

	rules_init(&c->devices);
	for (unsigned i = 0; i < c->ndevices; i++) {
		const struct conf_device *d = &c->device[i];
		const char *why = NULL;

		if (d->verb == RULE_EXPECT)
			continue;
		first = first != NULL ? first : d;
		l->at = d->at;
		l->value = d->value;
		if (symbol_is(d->value))
			c->devices.set = c->symbolic = true;
		else
			why = rules_apply(&c->devices, d->verb, d->value);
		if (why != NULL)
			load_error(l, why);
		global |= d->value[0] == 'a';
	}
	if (first == NULL || global)
		return;
	l->at = first->at;
	load_hint(l, "begin with lxc.cgroup.devices.deny = a");
	load_say(l, CONF_WARNING, "no rule for all devices comes first: what no rule denies stays allowed");
}

static void fstab_line(struct load *l, char *line)
{
	if (*line == '\0' || *line == '#')
		return;
	l->value = line;
	load_mount(l, line);
}

/* Mounts of the fstab come first whatever the order of the lines, as in LXC. */
static void add_fstab(struct load *l)
{
	struct conf *c = l->c;
	unsigned entries = c->nmounts, n;

	if (l->fstab == NULL)
		return;
	l->at = l->fstab_at;
	l->key = "lxc.mount.fstab";
	l->value = l->fstab;
	load_fstab(l, l->fstab, fstab_line);
	n = c->nmounts - entries;
	for (unsigned i = 0; i < n; i++) {      /* move each new one in front of the old */
		struct conf_mount mount = c->mount[entries + i];

		memmove(&c->mount[i + 1], &c->mount[i], entries * sizeof(mount));
		c->mount[i] = mount;
	}
}

static void defaults(struct conf *c, const char *file)
{
	/* Used before? Fresh memory is zero, and its pages stay untouched, as do the strings at the end. */
	if (c->file)
		memset(c, 0, offsetof(struct conf, bytes));
	c->file = file;
	c->autodev = c->pty_max = c->tty_max = c->console_rotate = c->hook_version = -1;
	c->keyring = c->log_level = c->log_facility = c->restart_delay = -1;
	rules_init(&c->devices);
}

static const char *define[DEFINES_MAX];
static unsigned ndefines;

void conf_define(const char *line)
{
	if (ndefines < DEFINES_MAX)
		define[ndefines++] = line;
}

static void add_defines(struct load *l)
{
	char line[CONF_LINE_MAX + 1];

	l->at = (struct where){ .file = "option" };
	for (unsigned i = 0; i < ndefines && !l->stop; i++) {
		l->key = l->value = NULL;
		l->at.line = 0;
		if ((size_t)snprintf(line, sizeof(line), "%s", define[i]) >= sizeof(line))
			load_error(l, "the line is longer than 4096 bytes (CONF_LINE_MAX)");
		else
			load_line(l, load_trim(line));
	}
}

/*
 * Whole pages, which a start gives back. As nothing has a larger alignment, all variables begin
 * with a page: kernels before 6.7 load no part of a program right that is all zero and does not.
 */
#ifdef __aarch64__
_Alignas(65536)
#else
_Alignas(4096)
#endif
struct conf own_conf;

int conf_load(struct conf *c, const char *file, conf_sink *sink, void *arg)
{
	return conf_load_list(c, NULL, file, sink, arg);
}

int conf_load_list(struct conf *c, struct conf_list *list, const char *file, conf_sink *sink,
		   void *arg)
{
	static struct load load;
	struct load *l = &load;

	load = (struct load){ .c = c, .list = list, .sink = sink, .arg = arg, .at.file = file, .nic = -1 };
	defaults(c, file);
	load_include(l, file);
	add_defines(l);
	l->key = l->value = NULL;
	if (!l->stop)
		add_fstab(l);
	l->key = l->value = NULL;
	add_devices(l);
	l->key = l->value = NULL;
	check_nics(l);
	check_spaces(l);
	l->key = l->value = NULL;
	check_sysctls(l);
	return c->errors == 0 ? 0 : -1;
}
