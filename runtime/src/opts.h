/* SPDX-License-Identifier: MIT */
/* Options as tables: one row gives what the help shows, and the target. */
#ifndef SAMPAN_OPTS_H
#define SAMPAN_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include "util.h"

enum { OPTS_NAME = 1,                   /* needs a container: -n NAME or the first word */
       OPTS_COMMAND = 2,                /* a command follows: its words are not ours */
       OPTS_JSON = 4 };                 /* --json */

enum { LIST_MAX = 64 };

struct list {                           /* of an option that may be given several times */
	unsigned n;
	const char *item[LIST_MAX];
};

/*
 * "-x, --word=WHAT", "the help": without the letter only the word, without WHAT a bool, with
 * WHAT a string, with WHAT... a struct list; with "" for help it is accepted and not shown.
 */
struct opt {
	const char *text;
	void *to;                       /* NULL: accepted as in LXC, without effect */
};
#define OPT(word, help) word "\0" help

struct optset {
	const char *usage, *about;
	const struct opt *opts;
	unsigned short n, flags;
};

struct args {
	const char *name, *lxcpath;
	bool json, quiet;
	int nrest;
	char **rest;                    /* NULL-terminated */
};

/* Prints help or a usage error and exits when that is what the words ask for. */
struct args opts_parse(const struct optset *set, int argc, char **argv);

/* A number option's value, or a usage error. */
unsigned long opts_number(const char *option, const char *value, unsigned long max);

_Noreturn PRINTF(1, 2) void usage_error(const char *fmt, ...);

#endif
