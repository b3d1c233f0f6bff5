/* SPDX-License-Identifier: MIT */
/*
 * The command autostart: containers in the order of their groups, lxc.start.order and name.
 * Those of one order go at once, up to the next one with a delay; stopping goes backwards.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "conf.h"
#include "json.h"
#include "launch.h"
#include "names.h"
#include "opts.h"
#include "state.h"
#include "stop.h"
#include "sys.h"

enum { AT_ONCE = 16, PASSES_MAX = 32 };

static struct {
	bool all, any, list, reboot, shutdown, kill;
	struct list groups;
	unsigned npasses;
	char pass[PASSES_MAX][NAME_LEN_MAX + 1];        /* "": those in no group */
	struct stop_how how;
	const char *lxcpath;
	bool failed;
} want;

struct row {
	const char *name;
	int pass, order, delay;
};

/* ---- which, and in what order -------------------------------------------------- */

static void parse_groups(void)
{
	for (unsigned i = 0; i < want.groups.n; i++) {
		const char *p = want.groups.item[i];

		for (;; p++) {
			size_t n = strcspn(p, ",");

			if (want.npasses == PASSES_MAX || n > NAME_LEN_MAX)
				usage_error("-g %s: too many groups, or too long a name", want.groups.item[i]);
			memcpy(want.pass[want.npasses++], p, n);
			p += n;
			if (*p == '\0')
				break;
		}
	}
	if (want.npasses == 0)
		want.npasses = 1;
}

/* The first wanted group it is in; -1: none. */
static int pass_of(const struct conf *c)
{
	for (unsigned p = 0; !want.all && p < want.npasses; p++) {
		if (want.pass[p][0] == '\0' && c->ngroup == 0)
			return (int)p;
		for (unsigned g = 0; g < c->ngroup; g++)
			if (strcmp(c->group[g], want.pass[p]) == 0)
				return (int)p;
	}
	return want.all ? 0 : -1;
}

static bool before(const struct row *a, const struct row *b)
{
	return a->pass != b->pass ? a->pass < b->pass : a->order < b->order;
}

static int select_rows(struct row *rows)
{
	static char *list[CONTAINERS_MAX];
	int n = names_of(want.lxcpath, list), kept = 0;

	if (n < 0)
		fail();
	for (int i = 0; i < n; i++) {           /* by name: the sort below is stable */
		struct row r = { .name = list[i] };
		struct ctr ctr;
		int at;

		ctr_init(&ctr, r.name, want.lxcpath);
		if (conf_load(&own_conf, ctr.config, conf_print_errors, NULL) < 0)
			want.failed = true;
		r.pass = pass_of(&own_conf);
		r.order = own_conf.start_order < 0 ? 0 : own_conf.start_order;
		r.delay = own_conf.start_delay < 0 ? 0 : own_conf.start_delay;
		if (r.pass < 0 || !(own_conf.start_auto || want.any))
			continue;
		for (at = kept++; at > 0 && before(&r, &rows[at - 1]); at--)
			rows[at] = rows[at - 1];
		rows[at] = r;
	}
	err_subject(NULL);
	return kept;
}

/* ---- doing it --------------------------------------------------------------------- */

/* Whoever is in the state already that is wanted is left alone. */
static int act(const struct row *r)
{
	struct state st;
	struct ctr ctr;
	int up = state_open(&ctr, &st, r->name, want.lxcpath);

	if (!want.shutdown && !want.kill && !want.reboot)
		return up ? 0 : launch_new(r->name, want.lxcpath, false);
	if (up && stop_container(&ctr, &st, &want.how) < 0)
		fail();
	return 0;
}

static int reap(void)
{
	int status;

	if (waitpid(-1, &status, 0) < 0)
		return errno == EINTR ? 1 : 0;
	want.failed |= status != 0;
	return 1;
}

static void run(const struct row *rows, int n)
{
	bool stopping = want.shutdown || want.kill;
	int busy = 0;

	for (int i = 0; i < n; i++) {
		const struct row *r = &rows[stopping ? n - 1 - i : i];
		const struct row *next = i + 1 == n ? NULL : stopping ? r - 1 : r + 1;
		pid_t pid = sys_fork();

		if (pid == 0)
			_exit(act(r));
		want.failed |= pid < 0;
		busy += pid > 0;
		if (busy == AT_ONCE)
			busy -= reap();
		if (next && !before(r, next) && !before(next, r) && (stopping || r->delay == 0))
			continue;
		while (busy > 0)
			busy -= reap();
		if (next && !stopping && r->delay > 0)
			sleep((unsigned)r->delay);
	}
}

static void print(const struct row *rows, int n, bool json)
{
	if (json)
		putchar('[');
	for (int i = 0; i < n; i++) {
		if (!json) {
			printf("%s %d\n", rows[i].name, rows[i].delay);
			continue;
		}
		printf("%s\n  {\"name\": \"%s\", \"order\": %d, \"delay\": %d}", i ? "," : "", rows[i].name,
		       rows[i].order, rows[i].delay);
	}
	if (json)
		puts("\n]");
}

int cmd_autostart(int argc, char **argv)
{
	static const char *timeout;
	static const struct opt opts[] = {
		{ OPT("-a, --all", "whatever groups they are in"), &want.all },
		{ OPT("-A, --ignore-auto", "also without lxc.start.auto = 1"), &want.any },
		{ OPT("-g, --groups=GROUP,...", "those of these groups, one after the other; ")
		  "an empty one: those in no group", &want.groups },
		{ OPT("-L, --list", "print names and delays, do nothing"), &want.list },
		{ OPT("-r, --reboot", "restart those that run"), &want.reboot },
		{ OPT("-s, --shutdown", "stop them, the last ones first"), &want.shutdown },
		{ OPT("-k, --kill", "kill them"), &want.kill },
		{ OPT("-t, --timeout=SECONDS", "time to halt before it is killed (60)"), &timeout },
	};
	static const struct optset set = {
		"autostart [-g GROUPS | -a] [-A] [-L | -r | -s | -k]",
		"Starts the containers with lxc.start.auto = 1 that are in no group, in the order of\n"
		"lxc.start.order, those of one order at once. Exit code 1: some failed.",
		opts, ARRAY_SIZE(opts), OPTS_JSON,
	};
	static struct row rows[CONTAINERS_MAX];
	struct args a = opts_parse(&set, argc, argv);
	int n;

	need_root();
	want.lxcpath = a.lxcpath;
	want.how = (struct stop_how){ .kill = want.kill, .reboot = want.reboot,
		.timeout = 1000 * (int)opts_number("-t", timeout ? timeout : "60", 1000000) };
	parse_groups();
	n = select_rows(rows);
	if (want.list)
		print(rows, n, a.json);
	else
		run(rows, n);
	return want.failed;
}
