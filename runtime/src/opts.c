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
	{ OPT("-n, --name=NAME", "the container"), &common.name },
	{ OPT("-P, --lxcpath=DIR", "where containers are (") LXCPATH_DEFAULT ")", &common.lxcpath },
	{ OPT("-q, --quiet", "no messages but errors"), &common.quiet },
	{ OPT("-o, --logfile=FILE", "append messages to FILE, too"), &common.logfile },
	{ OPT("-l, --logpriority=LEVEL", "from which level on (ERROR)"), &common.loglevel },
	{ OPT("--rcfile=FILE", ""), &common.rcfile },
	{ OPT("--json", "print JSON"), &common.json },
	{ OPT("-h, --help", "this text"), &common.help },
	{ OPT("-?, --usage", ""), &common.help },
	{ OPT("--version", "the version"), &common.version },
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

/* ---- rows ------------------------------------------------------------------- */

enum { TEXT_MAX = 40, ROWS_MAX = 40 };

static struct row {                     /* an option, taken apart but for its help */
	const char *name;
	const char *arg;                /* or NULL */
	void *to;
	char text[TEXT_MAX];
} rows[ROWS_MAX];

static const struct optset *own;        /* the command's, which come first: their letters count */

static size_t count(void)
{
	size_t n = own->n + ARRAY_SIZE(common_opts);

	return n < ROWS_MAX ? n : ROWS_MAX;
}

static const struct opt *opt_at(size_t at)
{
	return at < own->n ? &own->opts[at] : &common_opts[at - own->n];
}

/* Or 0. Not of the row, for it takes time to get a text out of its packed form. */
static char letter_at(size_t at)
{
	char begin[3];

	snprintf(begin, sizeof(begin), "%.2s", opt_at(at)->text);
	return begin[1] == '-' ? '\0' : begin[1];
}

static const struct row *row_at(size_t at)
{
	struct row *r = &rows[at];
	char *arg;

	if (r->name)
		return r;
	snprintf(r->text, sizeof(r->text), "%s", opt_at(at)->text);
	r->name = strstr(r->text, "--") + 2;
	arg = strchr(r->text, '=');
	if (arg)
		*arg++ = '\0';
	r->arg = arg;
	r->to = opt_at(at)->to;
	return r;
}

_Noreturn static void end_well(void)
{
	fflush(stdout);
	_exit(0);
}

/* ---- help ------------------------------------------------------------------- */

static void help_row(const char *text, bool letter)
{
	const char *about = text + strlen(text) + 1;
	char left[TEXT_MAX];

	if (!*about)
		return;
	snprintf(left, sizeof(left), "%s%s", letter ? "" : "    ", text);
	printf("  %-26s %s\n", left, about);
}

static bool applies(const struct optset *set, const struct row *r)
{
	if (strcmp(r->name, "json") == 0)
		return set->flags & OPTS_JSON;
	return strcmp(r->name, "name") != 0 || (set->flags & OPTS_NAME);
}

_Noreturn static void help(const struct optset *set)
{
	printf("usage: sampan %s\n\n%s\n\n", set->usage, set->about);
	for (size_t i = 0; i < count(); i++)
		if (i < set->n || applies(set, row_at(i)))
			help_row(opt_at(i)->text, letter_at(i));
	end_well();
}

/* ---- parsing ---------------------------------------------------------------- */

struct cursor {
	const struct optset *set;
	int argc, at;
	char **argv;
};

static const struct row *find_long(const char *name, size_t n)
{
	for (size_t i = 0; i < count(); i++)
		if (strlen(row_at(i)->name) == n && strncmp(row_at(i)->name, name, n) == 0)
			return row_at(i);
	return NULL;
}

static const struct row *find_short(char letter)
{
	for (size_t i = 0; i < count(); i++)
		if (letter_at(i) == letter)
			return row_at(i);
	return NULL;
}

static void store(const struct row *r, const char *value)
{
	if (!r->to)
		return;
	if (!r->arg) {
		*(bool *)r->to = true;
	} else if (strstr(r->arg, "...")) {
		struct list *l = r->to;

		if (l->n == LIST_MAX)
			usage_error("--%s is given more than %d times", r->name, LIST_MAX);
		l->item[l->n++] = value;
	} else {
		*(const char **)r->to = value;
	}
}

static const char *next_word(struct cursor *c, const struct row *r)
{
	if (c->at >= c->argc)
		usage_error("--%s needs a value: %s", r->name, r->arg);
	return c->argv[c->at++];
}

_Noreturn static void unknown_long(const char *word)
{
	const char *near = nearest(word, &rows[0].name, count(), sizeof(rows[0]));

	err_plain("usage");
	if (near)
		err_hint("did you mean --%s? --help shows all", near);
	usage_error("unknown option --%s", word);
}

static void long_option(struct cursor *c, char *word)
{
	size_t n = strcspn(word, "=");
	const struct row *r = find_long(word, n);

	if (!r) {
		word[n] = '\0';
		unknown_long(word);
	}
	if (!r->arg && word[n])
		usage_error("--%s takes no value", r->name);
	store(r, !r->arg ? NULL : word[n] ? word + n + 1 : next_word(c, r));
}

static void short_options(struct cursor *c, const char *letters)
{
	while (*letters) {
		const struct row *r = find_short(*letters);

		if (!r)
			usage_error("unknown option -%c", *letters);
		letters++;
		if (r->arg) {
			store(r, *letters ? letters : next_word(c, r));
			return;
		}
		store(r, NULL);
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

	own = set;
	while (c.at < argc && one_word(&c, &a))
		;
	while (c.at < argc)
		a.rest[a.nrest++] = argv[c.at++];
	a.rest[a.nrest] = NULL;
	if (common.help)
		help(set);
	if (common.version) {
		puts("sampan " SAMPAN_VERSION);
		end_well();
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
