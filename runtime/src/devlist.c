/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "devlist.h"
#include "path.h"
#include "resolve.h"
#include "state.h"
#include "symbol.h"
#include "util.h"

static int put_line(char text[DEVTEXT_MAX], char first, const char *line)
{
	size_t used = strlen(text);

	if (used + strlen(line) + 3 > DEVTEXT_MAX)
		return err_plain("the names of all devices are longer than %d bytes (DEVTEXT_MAX)", DEVTEXT_MAX);
	sprintf(text + used, "%.1s%s\n", &first, line);
	return 0;
}

/* ---- nodes ---------------------------------------------------------------------- */

/* The nodes that every /dev has, and the terminals, which are the container's own. */
static bool standard(const struct dev_rule *r)
{
	return r->type == 'c' && ((r->major == 1 && r->minor < 10 && (1u << r->minor & 0x3a8)) ||
				  (r->major == 5 && r->minor < 3));
}

static int put_node(struct devlist *l, char type, unsigned major, unsigned minor, const char *name)
{
	char line[SYMBOL_NAME_MAX + 32];

	snprintf(line, sizeof(line), "%c %u:%u %s", type, major, minor, name);
	return put_line(l->nodes, 0, line);
}

/* A link that udev made, as /dev/modem, is a node of that name in the container. */
static int put_alias(struct devlist *l, const char *value)
{
	char path[SYMBOL_NAME_MAX + 8], name[SYMBOL_NAME_MAX + 1];
	struct symbol s;
	struct stat st;

	if (!symbol_is(value) || symbol_parse(value, &s) || s.kind != SYM_NODE || symbol_is_pattern(s.name))
		return 0;
	snprintf(path, sizeof(path), "/dev/%s", s.name);
	if (stat(path, &st) < 0 || (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)))
		return 0;
	resolve_name(S_ISBLK(st.st_mode) ? 'b' : 'c', major(st.st_rdev), minor(st.st_rdev), name, sizeof(name));
	if (strcmp(name, s.name) == 0 || !rules_verdict(&l->rules, S_ISBLK(st.st_mode) ? 'b' : 'c',
							major(st.st_rdev), minor(st.st_rdev), DEV_READ))
		return 0;
	return put_node(l, S_ISBLK(st.st_mode) ? 'b' : 'c', major(st.st_rdev), minor(st.st_rdev), s.name);
}

/* Each line of `asked`: `fn` gets its verb and value. */
static int each_asked(struct devlist *l, int (*fn)(struct devlist *l, enum rule_verb verb, const char *value))
{
	char value[SYMBOL_NAME_MAX + 64];
	const char *line = l->asked, *end;

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		snprintf(value, sizeof(value), "%.*s", (int)(end - line - 1), line + 1);
		if (fn(l, *line == '+' ? RULE_ALLOW : RULE_DENY, value) < 0)
			return -1;
	}
	return 0;
}

static int alias_of(struct devlist *l, enum rule_verb verb, const char *value)
{
	return verb == RULE_ALLOW ? put_alias(l, value) : 0;
}

static int list_nodes(struct devlist *l)
{
	l->nodes[0] = '\0';
	if (!l->own_dev || !l->rules.set || l->rules.allow_default)
		return 0;
	for (unsigned i = 0; i < l->rules.n; i++) {
		const struct dev_rule *r = &l->rules.rule[i];
		char name[SYMBOL_NAME_MAX + 1];

		if (r->major == DEV_ANY || r->minor == DEV_ANY || standard(r) || !(r->access & ~DEV_MKNOD))
			continue;
		resolve_name(r->type, r->major, r->minor, name, sizeof(name));
		if (name[0] != '\0' && put_node(l, r->type, r->major, r->minor, name) < 0)
			return -1;
	}
	return each_asked(l, alias_of);
}

/* ---- rules ------------------------------------------------------------------------ */

int devlist_of(struct devlist *l, const struct conf *c, bool own_dev)
{
	l->asked[0] = '\0';
	l->own_dev = own_dev;
	rules_init(&l->rules);
	for (unsigned i = 0; i < c->ndevices; i++) {
		const struct conf_device *d = &c->device[i];
		int rc = d->verb == RULE_EXPECT ? resolve_expect(d->value) :
			 resolve_apply(&l->rules, d->verb, d->value, false);

		if (rc < 0)
			return err_where(d->at.file, d->at.line);
		if (c->symbolic && d->verb != RULE_EXPECT &&
		    put_line(l->asked, d->verb == RULE_ALLOW ? '+' : '-', d->value) < 0)
			return -1;
	}
	return list_nodes(l);
}

static int apply_late(struct devlist *l, enum rule_verb verb, const char *value)
{
	return resolve_apply(&l->rules, verb, value, true);
}

/* What a later line says of the same device makes an earlier one of no effect. */
static void forget(char *asked, const char *value)
{
	size_t n = strlen(value);
	char *line = asked, *end;

	for (; (end = strchr(line, '\n')) != NULL; line = line == end ? end : end + 1) {
		if ((size_t)(end - line) != n + 1 || strncmp(line + 1, value, n) != 0)
			continue;
		memmove(line, end + 1, strlen(end + 1) + 1);
		end = line;
	}
}

int devlist_change(struct devlist *l, enum rule_verb verb, const char *value)
{
	/* First as it is now: a wrong value must not be kept, nor a device that is not there. */
	if (value && resolve_apply(&l->rules, verb, value, false) < 0)
		return -1;
	if (l->asked[0] != '\0') {
		if (value)
			forget(l->asked, value);
		if (value && put_line(l->asked, verb == RULE_ALLOW ? '+' : '-', value) < 0)
			return -1;
		rules_init(&l->rules);
		if (each_asked(l, apply_late) < 0)
			return -1;
	}
	return list_nodes(l);
}

/* ---- as text --------------------------------------------------------------------------- */

static char text[DEVLIST_TEXT_MAX];

/* "a" or "d" for the default, "n" for an own /dev; rules, lines asked for, "/" nodes. */
const char *devlist_text(const struct devlist *l)
{
	size_t n = (size_t)sprintf(text, "%c%s\n", l->rules.allow_default ? 'a' : 'd', l->own_dev ? "n" : "");

	if (!l->rules.set)
		return "";
	for (unsigned i = 0; i < l->rules.n; i++) {
		rule_text(&l->rules.rule[i], text + n, RULE_TEXT_MAX);
		n += strlen(text + n);
		text[n++] = '\n';
	}
	sprintf(text + n, "%s/\n%s", l->asked, l->nodes);
	return text;
}

int devlist_save(int statedir, const struct devlist *l)
{
	CLEAN_FD int fd = openat(statedir, "devices.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	const char *all = devlist_text(l);

	if (fd < 0 || !write_all(fd, all, strlen(all)) || renameat(statedir, "devices.new", statedir, "devices") < 0)
		return err_set("write down the device list");
	return 0;
}

static int read_text(int statedir)
{
	long n = read_small(statedir, "devices", text, sizeof(text));

	if (n < 0 && errno == ENOENT)
		return state_devices(statedir, text);
	return n > 0 ? 0 : err_set("read the device list");
}

int devlist_restore(int statedir, struct devlist *l)
{
	enum rule_verb verb;
	char *line, *end;

	rules_init(&l->rules);
	l->asked[0] = l->nodes[0] = '\0';
	l->own_dev = false;
	if (read_text(statedir) < 0)
		return -1;
	if (text[0] == '\0')
		return 0;
	verb = text[0] == 'a' ? RULE_DENY : RULE_ALLOW;
	l->own_dev = text[1] == 'n';
	rules_apply(&l->rules, verb == RULE_DENY ? RULE_ALLOW : RULE_DENY, "a");
	for (line = text + strcspn(text, "\n") + 1; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		if (*line == '/')
			break;
		if (*line == '+' || *line == '-' ? put_line(l->asked, *line, line + 1) < 0 :
		    rules_apply(&l->rules, verb, line) != NULL)
			return err_plain("the device list written down is damaged: %s", line);
	}
	if (!end || strlen(end + 1) >= sizeof(l->nodes))
		return err_plain("the device list written down is damaged");
	strcpy(l->nodes, end + 1);
	return 0;
}
