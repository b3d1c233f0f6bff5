/* SPDX-License-Identifier: MIT */
/* lxc.cgroup.* and lxc.cgroup2.*: device rules, and values for other files. */
#include <stdio.h>
#include <string.h>
#include "conf_load.h"
#include "symbol.h"

/* An empty value takes back what the lines of this verb gave, and nothing else. */
static void clear_devices(struct conf *c, enum rule_verb verb)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->ndevices; i++)
		if (c->device[i].verb != verb)
			c->device[n++] = c->device[i];
	c->ndevices = n;
}

/* Whether a device of that name is there only a start can tell. */
static const char *device_wrong(const char *value, enum rule_verb verb)
{
	struct dev_rules scratch;
	struct dev_rule rule;
	struct symbol symbol;
	const char *name;

	if (verb == RULE_EXPECT)
		return expect_parse(value, &rule, &name);
	if (symbol_is(value))
		return symbol_parse(value, &symbol);
	rules_init(&scratch);
	return rules_apply(&scratch, verb, value);
}

const char *load_device(struct load *l, const char *value)
{
	unsigned kind = l->m.key->kind;
	enum rule_verb verb = kind == KIND_DEVICES_ALLOW ? RULE_ALLOW :
			      kind == KIND_DEVICES_DENY ? RULE_DENY : RULE_EXPECT;
	struct conf *c = l->c;
	const char *why;

	if (value[0] == '\0') {
		clear_devices(c, verb);
		return NULL;
	}
	why = device_wrong(value, verb);
	if (why != NULL)
		return why;
	if (c->ndevices == DEVRULES_MAX)
		return "more device rules than the runtime holds (DEVRULES_MAX)";
	c->device[c->ndevices].value = load_keep(l, value);
	if (l->stop)
		return NULL;
	c->device[c->ndevices].at = l->at;
	c->device[c->ndevices++].verb = verb;
	return NULL;
}

/* CONTROLLER.FILE as the kernel names them: one path component and no way out of it. */
static bool file_ok(const char *file)
{
	size_t n = strspn(file, "abcdefghijklmnopqrstuvwxyz0123456789_.-");

	return file[n] == '\0' && n <= NAME_LEN_MAX && file[0] != '.' && strchr(file, '.') != NULL;
}

static void clear_values(struct conf *c, const char *file, bool v2)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->ncgvalues; i++)
		if (c->cgvalue[i].v2 != v2 || strcmp(c->cgvalue[i].file, file) != 0)
			c->cgvalue[n++] = c->cgvalue[i];
	c->ncgvalues = n;
}

const char *load_cgroup(struct load *l, const char *value)
{
	bool v2 = l->m.key->kind == KIND_CGROUP2;
	struct conf *c = l->c;
	const char *file = l->m.rest;
	struct conf_cgvalue *to;

	if (!file_ok(file))
		return "the key must end in CONTROLLER.FILE";
	if (strncmp(file, "devices.", 8) == 0) {
		load_hint(l, "lxc.cgroup.devices.allow and lxc.cgroup.devices.deny are the device keys");
		return "unknown key";
	}
	if (value[0] == '\0') {
		clear_values(c, file, v2);
		return NULL;
	}
	if (c->ncgvalues == CGVALUES_MAX)
		return "more cgroup values than the runtime holds (CGVALUES_MAX)";
	to = &c->cgvalue[c->ncgvalues];
	*to = (struct conf_cgvalue){ .at = l->at, .v2 = v2, .file = load_keep(l, file) };
	if (!l->stop)
		to->value = load_keep(l, value);
	c->ncgvalues += !l->stop;
	return NULL;
}
