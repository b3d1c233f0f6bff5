/* SPDX-License-Identifier: MIT */
/* Mounts as lines of fstab: SOURCE TARGET TYPE OPTIONS [DUMP [PASS]]. */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include "conf_load.h"
#include "words.h"

enum { SOURCE, TARGET, TYPE, OPTIONS, DUMP, PASS, FIELDS };

#define SPLIT_MAX (FIELDS + 2)          /* enough to see what is too much */

static const struct {
	char name[14];
	bool clear;
	unsigned flag;
} flags[] = {
	{ "defaults", false, 0 }, { "ro", false, MS_RDONLY }, { "rw", true, MS_RDONLY },
	{ "nosuid", false, MS_NOSUID }, { "suid", true, MS_NOSUID },
	{ "nodev", false, MS_NODEV }, { "dev", true, MS_NODEV },
	{ "noexec", false, MS_NOEXEC }, { "exec", true, MS_NOEXEC },
	{ "sync", false, MS_SYNCHRONOUS }, { "async", true, MS_SYNCHRONOUS },
	{ "dirsync", false, MS_DIRSYNC }, { "remount", false, MS_REMOUNT },
	{ "mand", false, MS_MANDLOCK }, { "nomand", true, MS_MANDLOCK },
	{ "noatime", false, MS_NOATIME }, { "atime", true, MS_NOATIME },
	{ "nodiratime", false, MS_NODIRATIME }, { "diratime", true, MS_NODIRATIME },
	{ "relatime", false, MS_RELATIME }, { "norelatime", true, MS_RELATIME },
	{ "strictatime", false, MS_STRICTATIME }, { "nostrictatime", true, MS_STRICTATIME },
	{ "bind", false, MS_BIND }, { "rbind", false, MS_BIND | MS_REC },
};

static const struct {
	char name[14];
	unsigned flag;
} propagations[] = {
	{ "private", MS_PRIVATE }, { "rprivate", MS_PRIVATE | MS_REC },
	{ "shared", MS_SHARED }, { "rshared", MS_SHARED | MS_REC },
	{ "slave", MS_SLAVE }, { "rslave", MS_SLAVE | MS_REC },
	{ "unbindable", MS_UNBINDABLE }, { "runbindable", MS_UNBINDABLE | MS_REC },
};

static bool flag_option(const char *option, struct conf_mount *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (strcmp(option, flags[i].name) != 0)
			continue;
		if (flags[i].clear)
			m->flags &= ~(unsigned long)flags[i].flag;
		else
			m->flags |= flags[i].flag;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(propagations); i++)
		if (strcmp(option, propagations[i].name) == 0) {
			m->propagation = propagations[i].flag;
			return true;
		}
	return false;
}

/* LXC's own options. Returns whether it was one, and in `why` what is wrong with it. */
static bool lxc_option(struct load *l, const char *option, struct conf_mount *m, const char **why)
{
	if (strcmp(option, "optional") == 0)
		m->optional = true;
	else if (strcmp(option, "relative") == 0)
		m->relative = true;
	else if (strcmp(option, "create=dir") == 0)
		m->create = CREATE_DIR;
	else if (strcmp(option, "create=file") == 0)
		m->create = CREATE_FILE;
	else if (strncmp(option, "create=", 7) == 0)
		*why = "create= takes dir or file";
	else if (strncmp(option, "idmap=", 6) == 0)
		m->idmap = strcmp(option + 6, "container") == 0 || option[6] == '/' ? load_keep(l, option + 6) :
			   (*why = "idmap= takes container or the path of a user namespace", NULL);
	else
		return false;
	return true;
}

const char *load_options(struct load *l, const char *options, struct conf_mount *m)
{
	char data[CONF_LINE_MAX + 1] = "", option[CONF_LINE_MAX + 1];
	const char *why = NULL;
	size_t used = 0;

	while (*options != '\0' && why == NULL) {
		size_t n = strcspn(options, ",");

		snprintf(option, sizeof(option), "%.*s", (int)n, options);
		options += n + (options[n] == ',');
		if (n == 0 || flag_option(option, m) || lxc_option(l, option, m, &why))
			continue;
		if (used + n + 2 > sizeof(data))
			return "the options are too long";
		used += (size_t)snprintf(data + used, sizeof(data) - used, "%s%s",
					 used > 0 ? "," : "", option);
	}
	if (why != NULL || used == 0)
		return why;
	if (m->flags & MS_BIND)         /* the kernel would drop it without a word */
		return load_text(l, "a bind mount has no option %.*s", VALUE_SHOWN_MAX, data);
	m->data = load_keep(l, data);
	return NULL;
}

static unsigned split(char *text, char *field[SPLIT_MAX])
{
	unsigned n = 0;

	while (n < SPLIT_MAX) {
		text += strspn(text, " \t");
		if (*text == '\0')
			break;
		field[n++] = text;
		text += strcspn(text, " \t");
		if (*text != '\0')
			*text++ = '\0';
	}
	return n;
}

static bool number(const char *text)
{
	uint64_t value;

	return parse_uint(text, 0, UINT32_MAX, &value);
}

/*
 * A path stands where the type belongs: mostly the mount point was written twice, as
 * seen from inside and from outside. What was meant follows from the fields that are
 * left when DUMP and PASS are counted off: with two the type is there, with one it is
 * missing, and then it is what the source says.
 */
static void hint_repeated_target(struct load *l, char *const f[], unsigned n)
{
	const char *type, *options, *comma = "";
	unsigned tail = n;

	while (tail > TYPE + 2 && n - tail < 2 && number(f[tail - 1]))
		tail--;
	if (tail > TYPE + 2) {
		type = f[TYPE + 1];
		options = f[TYPE + 2];
	} else {
		bool bind = f[SOURCE][0] == '/';

		type = bind ? "none" : f[SOURCE];
		options = tail > TYPE + 1 ? f[TYPE + 1] : "defaults";
		comma = bind && strstr(options, "bind") == NULL ? "bind," : "";
	}
	load_hint(l, "%s%s%s %s %s %s%s 0 0", l->key ? l->key : "", l->key ? " = " : "", f[SOURCE],
		  f[TYPE], type, comma, options);
}

static const char *check_fields(struct load *l, char *const f[], unsigned n)
{
	static const char names[][8] = { "source", "target", "type", "options" };

	if (n > TYPE && f[TYPE][0] == '/') {
		hint_repeated_target(l, f, n);
		return load_text(l, "field 3, the file system type, is a path: %.*s",
				 VALUE_SHOWN_MAX, f[TYPE]);
	}
	if (n <= OPTIONS)
		return load_text(l, "field %u, the %s, is missing", n + 1, names[n]);
	if (n > FIELDS)
		return load_text(l, "field 7 is one too many: %.*s", VALUE_SHOWN_MAX, f[FIELDS]);
	for (unsigned i = DUMP; i < n; i++)
		if (!number(f[i]))
			return load_text(l, "field %u, %s, is no number: %.*s", i + 1,
					 i == DUMP ? "dump" : "pass", VALUE_SHOWN_MAX, f[i]);
	return NULL;
}

static bool climbs(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")) != NULL; p += 2)
		if ((p == path || p[-1] == '/') && (p[2] == '\0' || p[2] == '/'))
			return true;
	return false;
}

static const char *check_mount(const struct conf_mount *m)
{
	bool no_type = strcmp(m->type, "none") == 0 || strcmp(m->type, "bind") == 0;

	if (climbs(m->target))
		return "the target must not hold ..";
	if (strlen(m->target) >= PATH_LEN_MAX || strlen(m->source) >= PATH_LEN_MAX)
		return "a path is too long (PATH_LEN_MAX)";
	if (no_type && !(m->flags & (MS_BIND | MS_REMOUNT)) && m->propagation == 0)
		return "the type none needs the option bind or rbind";
	if ((m->flags & MS_BIND) && m->source[0] != '/' && !m->relative)
		return "the source of a bind mount must be absolute, or the option relative be given";
	if (m->idmap && (m->relative || !(m->flags & MS_BIND)))
		return "idmap= is for bind mounts of the host's files";
	return NULL;
}

static const char *parse_mount(struct load *l, const char *line, struct conf_mount *m)
{
	char raw[CONF_LINE_MAX + 1], *f[SPLIT_MAX];
	const char **kept[] = { &m->source, &m->target, &m->type };
	const char *why;
	unsigned n;

	snprintf(raw, sizeof(raw), "%s", line);
	n = split(raw, f);
	why = check_fields(l, f, n);
	if (why != NULL)
		return why;
	for (unsigned i = 0; i < FIELDS && i < n; i++)
		if (!unescape(f[i]))
			return "\\000 stands for a byte no path can hold";
	for (unsigned i = SOURCE; i <= TYPE; i++) {
		*kept[i] = load_keep(l, f[i]);
		if (*kept[i] == NULL)
			return NULL;
	}
	why = load_options(l, f[OPTIONS], m);
	return why != NULL ? why : check_mount(m);
}

void load_mount(struct load *l, const char *line)
{
	struct conf *c = l->c;
	struct conf_mount m = { .at = l->at };
	const char *why;

	if (c->nmounts == MOUNTS_MAX) {
		load_error(l, "more mounts than the runtime holds (MOUNTS_MAX)");
		return;
	}
	why = parse_mount(l, line, &m);
	if (why != NULL)
		load_error(l, why);
	else if (!l->stop)
		c->mount[c->nmounts++] = m;
}
