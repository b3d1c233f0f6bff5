/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "lines.h"
#include "path.h"
#include "resolve.h"
#include "symbol.h"
#include "util.h"

enum { MAJORS_MAX = 16 };

struct search {
	const struct symbol *s;
	const char *pattern;            /* of names in the folder being read */
	struct dev_rules *r;
	enum rule_verb verb;
	const char *why;                /* a rule could not be added */
	unsigned found;
	unsigned nmajors;
	uint32_t major[MAJORS_MAX];
	char names[512];                /* of what there is, for the message when nothing is found */
};

static void hit(struct search *f, char type, uint32_t major, uint32_t minor)
{
	struct dev_rule rule = { .type = type, .access = f->s->access, .major = major, .minor = minor };
	const char *why = rules_add(f->r, f->verb, &rule);

	f->found++;
	if (why)
		f->why = why;
}

static void there_is(struct search *f, const char *name)
{
	size_t used = strlen(f->names);

	if (used + strlen(name) + 3 < sizeof(f->names))
		sprintf(f->names + used, "%s%s", used ? ", " : "", name);
}

static bool read_number(const char *text, uint32_t *major, uint32_t *minor)
{
	char *end;

	*major = (uint32_t)strtoul(text, &end, 10);
	if (end == text || *end != ':')
		return false;
	*minor = (uint32_t)strtoul(end + 1, NULL, 10);
	return true;
}

typedef void entry_fn(struct search *f, int dir, const char *name);

static bool each_entry(struct search *f, const char *path, entry_fn *fn)
{
	DIR *d = opendir(path);
	struct dirent *e;

	if (!d)
		return false;
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			fn(f, dirfd(d), e->d_name);
	closedir(d);
	return true;
}

/* ---- /dev ----------------------------------------------------------------------- */

static void try_node(struct search *f, int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, 0) == 0 && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
		hit(f, S_ISCHR(st.st_mode) ? 'c' : 'b', major(st.st_rdev), minor(st.st_rdev));
}

static void matching_node(struct search *f, int dir, const char *name)
{
	if (symbol_match(f->pattern, name))
		try_node(f, dir, name);
}

/* What is called alike: the same letters in front of the number. */
static void alike(struct search *f, int dir, const char *name)
{
	size_t n = strcspn(f->pattern, "0123456789*?[");

	(void)dir;
	if (strncmp(name, f->pattern, n) == 0)
		there_is(f, name);
}

static void find_node(struct search *f)
{
	char folder[SYMBOL_NAME_MAX + 8];
	const char *last;

	snprintf(folder, sizeof(folder), "/dev/%s", f->s->name);
	if (!symbol_is_pattern(f->s->name))
		try_node(f, AT_FDCWD, folder);
	last = strrchr(folder, '/');
	f->pattern = f->s->name + (last + 1 - folder) - 5;
	folder[last - folder] = '\0';
	if (symbol_is_pattern(f->pattern))
		each_entry(f, folder, matching_node);
	if (!f->found)
		each_entry(f, folder, alike);
}

/* ---- /proc/devices and /sys/dev ----------------------------------------------------- */

typedef void driver_fn(struct search *f, uint32_t major, const char *name);

/* Each driver of the kind, in the order of the file. */
static void each_driver(struct search *f, bool block, driver_fn *fn)
{
	struct lines l CLEAN_LINES;
	bool blocks = false;
	char *line, *name;

	l.fd = -1;
	if (!lines_open(&l, "/proc/devices"))
		return;
	while ((line = lines_next(&l)) != NULL) {
		uint32_t major = (uint32_t)strtoul(line, &name, 10);

		blocks |= line[0] == 'B';
		if (name != line && *name == ' ' && blocks == block)
			fn(f, major, name + 1);
	}
}

static void wanted_driver(struct search *f, uint32_t major, const char *name)
{
	there_is(f, name);
	if (!symbol_match(f->s->name, name) || f->nmajors == MAJORS_MAX)
		return;
	if (strcmp(name, "pts") == 0)           /* they have no place in sysfs, and come and go */
		hit(f, 'c', major, DEV_ANY);
	else
		f->major[f->nmajors++] = major;
}

/* Another driver in one of the majors: `tty` and `ttyS` share number 4. */
static void other_driver(struct search *f, uint32_t major, const char *name)
{
	for (unsigned i = 0; i < f->nmajors; i++)
		if (f->major[i] == major && !symbol_match(f->s->name, name))
			f->why = "others share its major number: name the nodes, as /dev/ttyS*";
}

static void of_major(struct search *f, int dir, const char *name)
{
	uint32_t major, minor;

	(void)dir;
	if (!read_number(name, &major, &minor))
		return;
	for (unsigned i = 0; i < f->nmajors; i++)
		if (f->major[i] == major)
			hit(f, f->s->kind == SYM_BLOCK ? 'b' : 'c', major, minor);
}

static void find_driver(struct search *f)
{
	bool block = f->s->kind == SYM_BLOCK;

	if (strcmp(f->s->name, "mem") == 0 || strcmp(f->s->name, "misc") == 0) {
		f->why = "these devices have nothing in common but their major number: name the nodes";
		return;
	}
	each_driver(f, block, wanted_driver);
	each_driver(f, block, other_driver);
	if (f->nmajors > 0 && !f->why)
		each_entry(f, block ? "/sys/dev/block" : "/sys/dev/char", of_major);
}

/* ---- classes -------------------------------------------------------------------------- */

static void in_class(struct search *f, int dir, const char *name)
{
	char path[300], text[32];
	uint32_t major, minor;

	snprintf(path, sizeof(path), "%s/dev", name);
	if (read_small(dir, path, text, sizeof(text)) > 0 && read_number(text, &major, &minor))
		hit(f, strcmp(f->s->name, "block") == 0 ? 'b' : 'c', major, minor);
}

static void any_class(struct search *f, int dir, const char *name)
{
	(void)dir;
	there_is(f, name);
}

static void find_class(struct search *f)
{
	char path[SYMBOL_NAME_MAX + 24];

	snprintf(path, sizeof(path), "/sys/class/%s", f->s->name);
	each_entry(f, path, in_class);
	snprintf(path, sizeof(path), "/sys/bus/%s/devices", f->s->name);
	each_entry(f, path, in_class);
	if (!f->found)
		each_entry(f, "/sys/class", any_class);
}

/* ---- one value -------------------------------------------------------------------------- */

static int missing(const struct search *f, const char *value)
{
	err_plain("%s: this kernel has no such device", value);
	if (f->names[0] != '\0')
		err_hint("it has %s%s; behind the access `optional` lets one come later",
			 f->s->kind == SYM_CLASS ? "the classes " : "", f->names);
	else
		err_hint("behind the access `optional` lets one come later");
	return -1;
}

int resolve_apply(struct dev_rules *r, enum rule_verb verb, const char *value, bool late)
{
	struct symbol s;
	struct search f = { .s = &s, .r = r, .verb = verb };

	if (!symbol_is(value)) {
		f.why = rules_apply(r, verb, value);
		return f.why ? err_plain("%s: %s", value, f.why) : 0;
	}
	f.why = symbol_parse(value, &s);
	if (!f.why && s.kind == SYM_NODE)
		find_node(&f);
	else if (!f.why && s.kind == SYM_CLASS)
		find_class(&f);
	else if (!f.why)
		find_driver(&f);
	if (f.why)
		return err_plain("%s: %s", value, f.why);
	r->set = true;
	return f.found || late || s.optional ? 0 : missing(&f, value);
}

void resolve_name(char type, uint32_t major, uint32_t minor, char *buf, size_t size)
{
	char path[64], text[1024];
	const char *name;

	buf[0] = '\0';
	snprintf(path, sizeof(path), "/sys/dev/%s/%u:%u/uevent", type == 'b' ? "block" : "char", major, minor);
	if (read_small(AT_FDCWD, path, text, sizeof(text)) <= 0 || !(name = strstr(text, "\nDEVNAME=")))
		return;
	name += strlen("\nDEVNAME=");
	if (strcspn(name, "\n") < size)
		snprintf(buf, size, "%.*s", (int)strcspn(name, "\n"), name);
}

/* ---- numbers that carry their name -------------------------------------------------------- */

static void holder(struct search *f, uint32_t major, const char *name)
{
	if (major != f->major[0])
		return;
	there_is(f, name);
	f->found += strcmp(name, f->pattern) == 0;
}

int resolve_expect(const char *value)
{
	struct dev_rule rule = { .type = 'c' };
	struct search f = { .names = "" };
	char where[80];
	struct stat st;

	if (expect_parse(value, &rule, &f.pattern) != NULL)
		return err_plain("%s: no number with its name", value);
	f.major[0] = rule.major;
	if (rule.minor == DEV_ANY)
		each_driver(&f, rule.type == 'b', holder);
	else
		resolve_name(rule.type, rule.major, rule.minor, f.names, sizeof(f.names));
	if (f.found || (rule.minor != DEV_ANY && strcmp(f.names, f.pattern) == 0))
		return 0;
	err_plain("%.*s was %s when the list was made, and is %s on this kernel",
		  (int)(f.pattern - value - 1), value, f.pattern, f.names[0] ? f.names : "nothing");
	snprintf(where, sizeof(where), "/dev/%.64s", f.pattern);
	if (stat(where, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
		err_hint("%s is %u:%u here: generate the list for this kernel, or name the device",
			 where, major(st.st_rdev), minor(st.st_rdev));
	else
		err_hint("this kernel has no %s: generate the list for it, or name the device", f.pattern);
	return -1;
}
