/* SPDX-License-Identifier: MIT */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include "ips.h"
#include "json.h"
#include "names.h"
#include "opts.h"
#include "state.h"

enum { COLUMN_BYTES = 256, COLUMNS = 7 };

static struct {
	bool line, fancy, active, running, frozen, stopped, defined;
} want;

struct row {
	struct ctr ctr;
	enum run_state state;
	pid_t pid;
	char cell[COLUMNS][COLUMN_BYTES];
};

static const char titles[COLUMNS][13] = { "NAME", "STATE", "AUTOSTART", "GROUPS", "IPV4", "IPV6",
					  "UNPRIVILEGED" };

static bool shown(enum run_state s)
{
	if (want.running || want.frozen || want.stopped || want.active)
		return (want.running && s == ST_RUNNING) || (want.frozen && s == ST_FROZEN) ||
		       (want.stopped && s == ST_STOPPED) || (want.active && s != ST_STOPPED);
	return true;
}

static void join_ips(const struct ips *ips, int family, char *cell)
{
	size_t used = 0;

	strcpy(cell, "-");
	for (unsigned i = 0; i < ips->n; i++)
		if (ips->ip[i].family == family && used + IP_LEN + 2 < COLUMN_BYTES)
			used += (size_t)sprintf(cell + used, "%s%s", used ? ", " : "",
						ips->ip[i].text);
}

static bool fill(struct row *r, const char *name, const char *lxcpath)
{
	struct ips ips = { .n = 0 };
	struct state st;

	ctr_init(&r->ctr, name, lxcpath);
	err_subject(NULL);
	state_of(&r->ctr, &st);
	r->state = st.state;
	r->pid = st.state == ST_STOPPED ? 0 : st.init.pid;
	if (r->pid > 0 && want.fancy)
		ips_of(r->pid, &ips);
	snprintf(r->cell[0], COLUMN_BYTES, "%s", name);
	snprintf(r->cell[1], COLUMN_BYTES, "%s", state_word(r->state));
	strcpy(r->cell[2], "0");
	strcpy(r->cell[3], "-");
	join_ips(&ips, AF_INET, r->cell[4]);
	join_ips(&ips, AF_INET6, r->cell[5]);
	strcpy(r->cell[6], "false");
	return shown(r->state);
}

static void print_fancy(const struct row *rows, int n)
{
	size_t width[COLUMNS];

	for (int c = 0; c < COLUMNS; c++) {
		width[c] = strlen(titles[c]);
		for (int i = 0; i < n; i++)
			if (strlen(rows[i].cell[c]) > width[c])
				width[c] = strlen(rows[i].cell[c]);
		printf("%-*s ", (int)width[c], titles[c]);
	}
	putchar('\n');
	for (int i = 0; i < n; i++) {
		for (int c = 0; c < COLUMNS; c++)
			printf("%-*s ", (int)width[c], rows[i].cell[c]);
		putchar('\n');
	}
}

/* One name a line for a pipe or with -1, else as many columns as fit. */
static void print_names(const struct row *rows, int n)
{
	struct winsize size = { .ws_col = 80 };
	size_t width = 1, across;

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	for (int i = 0; i < n; i++)
		if (strlen(rows[i].ctr.name) + 1 > width)
			width = strlen(rows[i].ctr.name) + 1;
	across = want.line || size.ws_col < width ? 1 : size.ws_col / width;
	for (int i = 0; i < n; i++) {
		bool last = i == n - 1 || ((size_t)i + 1) % across == 0;

		printf("%-*s%s", want.line ? 0 : (int)width, rows[i].ctr.name, last ? "\n" : "");
	}
}

static void print_json(const struct row *rows, int n)
{
	putchar('[');
	for (int i = 0; i < n; i++) {
		printf("%s\n  {\"name\": ", i ? "," : "");
		json_string(rows[i].ctr.name);
		printf(", \"state\": \"%s\", \"pid\": ", state_word(rows[i].state));
		if (rows[i].pid > 0)
			printf("%d", rows[i].pid);
		else
			fputs("null", stdout);
		fputs(", \"config\": ", stdout);
		json_string(rows[i].ctr.config);
		putchar('}');
	}
	puts(n ? "\n]" : "]");
}

int cmd_ls(int argc, char **argv)
{
	static const struct opt opts[] = {
		{ '1', "line", NULL, &want.line, "one name a line" },
		{ 'f', "fancy", NULL, &want.fancy, "a table" },
		{ 0, "active", NULL, &want.active, "only those that run or are frozen" },
		{ 0, "running", NULL, &want.running, "only running ones" },
		{ 0, "frozen", NULL, &want.frozen, "only frozen ones" },
		{ 0, "stopped", NULL, &want.stopped, "only stopped ones" },
		{ 0, "defined", NULL, &want.defined, "only those with a configuration (all)" },
	};
	static const struct optset set = {
		"ls [-1 | -f] [--running | --stopped | --active]", "Lists containers.",
		opts, ARRAY_SIZE(opts), OPTS_JSON,
	};
	static char *list[CONTAINERS_MAX];
	struct args a = opts_parse(&set, argc, argv);
	struct row *rows;
	int n, kept = 0;

	need_root();
	n = names_of(a.lxcpath, list);
	rows = n < 0 ? NULL : calloc((size_t)n + 1, sizeof(*rows));
	if (!rows)
		fail();
	for (int i = 0; i < n; i++)
		kept += fill(&rows[kept], list[i], a.lxcpath);
	if (a.json)
		print_json(rows, kept);
	else if (want.fancy && kept > 0)
		print_fancy(rows, kept);
	else
		print_names(rows, kept);
	return 0;
}
