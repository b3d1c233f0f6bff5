/* SPDX-License-Identifier: MIT */
/* Mounts as lines of fstab: SOURCE TARGET TYPE OPTIONS [DUMP [PASS]]. */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include "conf_load.h"
#include "words.h"

enum { SOURCE, TARGET, TYPE, OPTIONS, DUMP, PASS, FIELDS };

#define SPLIT_MAX (FIELDS + 2)          /* enough to see what is too much */

#define CLEAR           0x80000000u     /* no MS_* */
#define PROPAGATION     (MS_PRIVATE | MS_SHARED | MS_SLAVE | MS_UNBINDABLE)

static const char option_names[] =
	"defaults\0ro\0rw\0nosuid\0suid\0nodev\0dev\0noexec\0exec\0sync\0async\0dirsync\0remount\0mand\0nomand\0"
	"noatime\0atime\0nodiratime\0diratime\0relatime\0norelatime\0strictatime\0nostrictatime\0bind\0rbind\0"
	"private\0rprivate\0shared\0rshared\0slave\0rslave\0unbindable\0runbindable\0";

static const uint32_t option_flags[] = {        /* of these */
	0, MS_RDONLY, CLEAR | MS_RDONLY, MS_NOSUID, CLEAR | MS_NOSUID, MS_NODEV, CLEAR | MS_NODEV,
	MS_NOEXEC, CLEAR | MS_NOEXEC, MS_SYNCHRONOUS, CLEAR | MS_SYNCHRONOUS, MS_DIRSYNC, MS_REMOUNT,
	MS_MANDLOCK, CLEAR | MS_MANDLOCK, MS_NOATIME, CLEAR | MS_NOATIME, MS_NODIRATIME,
	CLEAR | MS_NODIRATIME, MS_RELATIME, CLEAR | MS_RELATIME, MS_STRICTATIME,
	CLEAR | MS_STRICTATIME, MS_BIND, MS_BIND | MS_REC,
	MS_PRIVATE, MS_PRIVATE | MS_REC, MS_SHARED, MS_SHARED | MS_REC, MS_SLAVE, MS_SLAVE | MS_REC,
	MS_UNBINDABLE, MS_UNBINDABLE | MS_REC,
};

static bool flag_option(const char *option, struct conf_mount *m)
{
	int index = word_index(option_names, option, strlen(option));
	uint32_t flag = index < 0 ? 0 : option_flags[index];

	if (flag & PROPAGATION)
		m->propagation = flag;
	else if (flag & CLEAR)
		m->flags &= ~(unsigned long)flag;
	else
		m->flags |= flag;
	return index >= 0;
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

const char *load_options(struct load *l, const char *list, struct conf_mount *m)
{
	char data[CONF_LINE_MAX + 1] = "", option[CONF_LINE_MAX + 1];
	const char *why = NULL;
	size_t used = 0;

	while (*list != '\0' && why == NULL) {
		size_t n = strcspn(list, ",");

		snprintf(option, sizeof(option), "%.*s", (int)n, list);
		list += n + (list[n] == ',');
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

	while (n < SPLIT_MAX && (field[n] = strtok_r(text, " \t", &text)) != NULL)
		n++;
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
