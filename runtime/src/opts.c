/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "opts.h"
#include "sampan.h"
#include "words.h"

static struct {
	const char *name, *lxcpath, *logfile, *loglevel, *rcfile;
	bool json, quiet, help, version;
} common;

static const struct opt common_opts[] = {
	{ 'n', "name", "NAME", &common.name, "the container" },
	{ 'P', "lxcpath", "DIR", &common.lxcpath, "where containers are (" LXCPATH_DEFAULT ")" },
	{ 'q', "quiet", NULL, &common.quiet, "no messages but errors" },
	{ 'o', "logfile", "FILE", &common.logfile, "append messages to FILE, too" },
	{ 'l', "logpriority", "LEVEL", &common.loglevel, "from which level on (ERROR)" },
	{ 0, "rcfile", "FILE", &common.rcfile, NULL },
	{ 0, "json", NULL, &common.json, "print JSON" },
	{ 'h', "help", NULL, &common.help, "this text" },
	{ '?', "usage", NULL, &common.help, NULL },
	{ 0, "version", NULL, &common.version, "the version" },
};

void usage_error(const char *fmt, ...)
{
	bool near = strcmp(err_text(), "usage") == 0;   /* of unknown_long() */
	char text[512], hint[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_subject(NULL);
	snprintf(hint, sizeof(hint), "%s", near && *err_hint_text() ? err_hint_text() : "--help shows the options");
	err_plain("%s", text);
	err_hint("%s", hint);
	fail();
}

unsigned long opts_number(const char *option, const char *value, unsigned long max)
{
	uint64_t n;

	if (!parse_uint(value, 0, max, &n))
		usage_error("%s %s: not a number from 0 to %lu", option, value, max);
	return (unsigned long)n;
}

/* ---- help ------------------------------------------------------------------- */

static void help_row(const struct opt *o)
{
	char left[48];

	if (!o->help)
		return;
	snprintf(left, sizeof(left), "%s%c%s--%s%s%s", o->c ? "-" : " ", o->c ? o->c : ' ',
		 o->c ? ", " : "  ", o->name, o->arg ? "=" : "", o->arg ? o->arg : "");
	printf("  %-26s %s\n", left, o->help);
}

static bool applies(const struct optset *set, const struct opt *o)
{
	if (strcmp(o->name, "json") == 0)
		return set->flags & OPTS_JSON;
	return strcmp(o->name, "name") != 0 || (set->flags & OPTS_NAME);
}

_Noreturn static void help(const struct optset *set)
{
	printf("usage: sampan %s\n\n%s\n\n", set->usage, set->about);
	for (size_t i = 0; i < set->n; i++)
		help_row(&set->opts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(common_opts); i++)
		if (applies(set, &common_opts[i]))
			help_row(&common_opts[i]);
	exit(0);
}

/* ---- parsing ---------------------------------------------------------------- */

struct cursor {
	const struct optset *set;
	int argc, at;
	char **argv;
};

static const struct opt *find(const struct cursor *c, char letter, const char *name, size_t n)
{
	const struct opt *table[] = { c->set->opts, common_opts };
	const size_t size[] = { c->set->n, ARRAY_SIZE(common_opts) };

	for (int t = 0; t < 2; t++)             /* the command's own letters come first */
		for (size_t i = 0; i < size[t]; i++)
			if (name ? strlen(table[t][i].name) == n &&
				   strncmp(table[t][i].name, name, n) == 0
				 : letter && table[t][i].c == letter)
				return &table[t][i];
	return NULL;
}

static void store(const struct opt *o, const char *value)
{
	if (!o->to)
		return;
	if (!o->arg) {
		*(bool *)o->to = true;
	} else if (strstr(o->arg, "...")) {
		struct list *l = o->to;

		if (l->n == LIST_MAX)
			usage_error("--%s is given more than %d times", o->name, LIST_MAX);
		l->item[l->n++] = value;
	} else {
		*(const char **)o->to = value;
	}
}

static const char *next_word(struct cursor *c, const struct opt *o)
{
	if (c->at >= c->argc)
		usage_error("--%s needs a value: %s", o->name, o->arg);
	return c->argv[c->at++];
}

static void unknown_long(const struct cursor *c, const char *word)
{
	const char *near = c->set->n ? nearest(word, &c->set->opts[0].name, c->set->n,
					       sizeof(struct opt)) : NULL;

	if (!near)
		near = nearest(word, &common_opts[0].name, ARRAY_SIZE(common_opts),
			       sizeof(struct opt));
	err_plain("usage");
	if (near)
		err_hint("did you mean --%s? --help shows all", near);
	usage_error("unknown option --%s", word);
}

static void long_option(struct cursor *c, char *word)
{
	size_t n = strcspn(word, "=");
	const struct opt *o = find(c, 0, word, n);

	if (!o) {
		word[n] = '\0';
		unknown_long(c, word);
		return;
	}
	if (!o->arg && word[n])
		usage_error("--%s takes no value", o->name);
	store(o, !o->arg ? NULL : word[n] ? word + n + 1 : next_word(c, o));
}

static void short_options(struct cursor *c, const char *letters)
{
	while (*letters) {
		const struct opt *o = find(c, *letters, NULL, 0);

		if (!o)
			usage_error("unknown option -%c", *letters);
		letters++;
		if (o->arg) {
			store(o, *letters ? letters : next_word(c, o));
			return;
		}
		store(o, NULL);
	}
}

/* False at the first word that is no option and not the container's name. */
static bool one_word(struct cursor *c, struct args *a)
{
	char *word = c->argv[c->at];

	if (word[0] == '-' && word[1] == '-' && word[2]) {
		c->at++;
		long_option(c, word + 2);
	} else if (word[0] == '-' && word[1] && strcmp(word, "--") != 0) {
		c->at++;
		short_options(c, word + 1);
	} else if (strcmp(word, "--") == 0) {
		c->at++;
		return false;
	} else if ((c->set->flags & OPTS_NAME) && !common.name) {
		c->at++;
		common.name = word;
	} else if (c->set->flags & OPTS_COMMAND) {
		return false;
	} else {
		a->rest[a->nrest++] = word;     /* packed to the front: options may follow */
		c->at++;
	}
	return true;
}

struct args opts_parse(const struct optset *set, int argc, char **argv)
{
	struct cursor c = { .set = set, .argc = argc, .at = 1, .argv = argv };
	struct args a = { .rest = argv };

	while (c.at < argc && one_word(&c, &a))
		;
	while (c.at < argc)
		a.rest[a.nrest++] = argv[c.at++];
	a.rest[a.nrest] = NULL;
	if (common.help)
		help(set);
	if (common.version) {
		puts("sampan " SAMPAN_VERSION);
		exit(0);
	}
	if (common.json && !(set->flags & OPTS_JSON))
		usage_error("this command prints nothing that could be JSON");
	if ((set->flags & OPTS_NAME) && !common.name)
		usage_error("no container name: usage: sampan %s", set->usage);
	log_options(common.logfile, common.loglevel);
	if (set->flags & OPTS_NAME)
		ctr_rcfile = common.rcfile;
	a.name = common.name;
	a.lxcpath = common.lxcpath ? common.lxcpath : LXCPATH_DEFAULT;
	a.json = common.json;
	a.quiet = common.quiet;
	return a;
}
