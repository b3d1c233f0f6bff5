/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include "conf.h"
#include "ips.h"
#include "json.h"
#include "lines.h"
#include "match.h"
#include "names.h"
#include "opts.h"
#include "path.h"
#include "state.h"

enum { COLUMN_BYTES = 256, NESTED_MAX = 64 };
enum { NAME, STATE, PID, RAM, SWAP, AUTOSTART, GROUPS, INTERFACE, IPV4, IPV6, UNPRIVILEGED, COLUMNS };

static const char titles[COLUMNS][13] = { "NAME", "STATE", "PID", "RAM", "SWAP", "AUTOSTART", "GROUPS",
					  "INTERFACE", "IPV4", "IPV6", "UNPRIVILEGED" };

static struct {
	bool line, fancy, active, running, frozen, stopped, defined, nesting;
	const char *columns, *filter, *groups;
	unsigned ncolumns;
	unsigned char column[COLUMNS];
} want;

struct row {
	enum run_state state;
	pid_t pid;
	bool autostart;
	struct ctr ctr;
	char cell[COLUMNS][COLUMN_BYTES];
};

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

/* Each of the wanted groups is one of its own. */
static bool in_groups(void)
{
	char word[NAME_LEN_MAX + 1];

	for (const char *p = want.groups; p && *p; p += strcspn(p, ","), p += *p == ',') {
		unsigned i = 0;

		snprintf(word, sizeof(word), "%.*s", (int)strcspn(p, ","), p);
		while (i < own_conf.ngroup && strcmp(own_conf.group[i], word) != 0)
			i++;
		if (i == own_conf.ngroup)
			return false;
	}
	return true;
}

static void megabytes(char *cell, long long bytes)
{
	if (bytes >= 0)
		snprintf(cell, COLUMN_BYTES, "%lld.%02dMB", bytes >> 20,
			 (int)((bytes & 0xfffff) * 100 >> 20));
}

static void memory(struct row *r, const struct cg *cg)
{
	long long ram = cg_value(cg, "memory.current"), swap = cg_value(cg, "memory.swap.current");

	if (ram < 0) {
		ram = cg_value(cg, "memory.usage_in_bytes");
		swap = cg_value(cg, "memory.memsw.usage_in_bytes");
		swap = swap < 0 ? swap : swap - ram;
	}
	megabytes(r->cell[RAM], ram);
	megabytes(r->cell[SWAP], swap);
}

/* Names before the colons of /proc/PID/net/dev, without lo. */
static void interfaces(pid_t pid, char *cell)
{
	struct lines l CLEAN_LINES;
	char path[32];
	size_t used = 0;

	snprintf(path, sizeof(path), "/proc/%d/net/dev", pid);
	lines_open(&l, path);
	for (const char *line; (line = lines_next(&l)) != NULL;) {
		const char *name = line + strspn(line, " "), *end = strchr(name, ':');

		if (end && strncmp(name, "lo:", 3) != 0 && used + 20 < COLUMN_BYTES)
			used += (size_t)sprintf(cell + used, "%s%.*s", used ? ", " : "", (int)(end - name),
						name);
	}
}

static void fill_running(struct row *r, const struct state *st)
{
	struct ips ips = { .n = 0 };

	snprintf(r->cell[PID], COLUMN_BYTES, "%d", r->pid);
	memory(r, &st->cg);
	interfaces(r->pid, r->cell[INTERFACE]);
	ips_of(r->pid, &ips);
	join_ips(&ips, AF_INET, r->cell[IPV4]);
	join_ips(&ips, AF_INET6, r->cell[IPV6]);
}

static void no_message(const struct conf_msg *msg, void *arg)
{
	(void)msg;
	(void)arg;
}

/* What is known of all of them; false when a row for such a state is not wanted. */
static bool begin_row(struct row *r, enum run_state state)
{
	r->state = state;
	for (unsigned c = 0; c < COLUMNS; c++)
		strcpy(r->cell[c], "-");
	snprintf(r->cell[STATE], COLUMN_BYTES, "%s", state_word(state));
	return shown(state);
}

static bool fill(struct row *r, const char *name, const char *lxcpath, bool details)
{
	struct state st;

	ctr_init(&r->ctr, name, lxcpath);
	err_subject(NULL);
	state_of(&r->ctr, &st);
	r->pid = st.state == ST_STOPPED ? 0 : st.init.pid;
	if (!begin_row(r, st.state))
		return false;
	snprintf(r->cell[NAME], COLUMN_BYTES, "%s", name);
	if (!details)
		return true;
	conf_load(&own_conf, r->ctr.config, no_message, NULL);
	r->autostart = own_conf.start_auto;
	strcpy(r->cell[AUTOSTART], r->autostart ? "1" : "0");
	strcpy(r->cell[UNPRIVILEGED], own_conf.nidmaps > 0 ? "true" : "false");
	for (unsigned i = 0, used = 0; i < own_conf.ngroup && used + NAME_LEN_MAX + 2 < COLUMN_BYTES; i++)
		used += (unsigned)sprintf(r->cell[GROUPS] + used, "%s%s", i ? "," : "", own_conf.group[i]);
	if (r->pid > 0)
		fill_running(r, &st);
	return in_groups();
}

/* What the state file in there says; nothing of a container's is trusted to be a file. */
static enum run_state state_inside(int root, const char *name)
{
	char path[NAME_LEN_MAX + 32], text[16];
	CLEAN_FD int fd = -1;
	struct stat st;

	snprintf(path, sizeof(path), RUN_DEFAULT "/%s/state", name);
	fd = root_open(root, path, 0);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    read_small(AT_FDCWD, fd_path(fd).s, text, sizeof(text)) < 8 || text[6] < '0' || text[6] > '7')
		return ST_STOPPED;
	return (enum run_state)(text[6] - '0');
}

/* Those in the container of `outer`, seen from here: it is not entered. */
static int nested(struct row *r, int room, const struct row *outer)
{
	char *list[CONTAINERS_MAX], path[32];
	CLEAN_FD int root = -1, dir = -1;
	int n, kept = 0;

	snprintf(path, sizeof(path), "/proc/%d/root", outer->pid);
	root = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	dir = root < 0 ? -1 : root_open(root, LXCPATH_DEFAULT, O_DIRECTORY);
	n = dir < 0 ? 0 : names_of(fd_path(dir).s, list);
	for (int i = 0; i < n && kept < room; i++) {
		if (!begin_row(r, state_inside(root, list[i])))
			continue;
		snprintf(r->cell[NAME], COLUMN_BYTES, "%s/%s", outer->ctr.name, list[i]);
		r->ctr.name = r->cell[NAME];
		r->ctr.config[0] = '\0';
		r->pid = 0;
		r->autostart = false;           /* a row may have been begun that was not kept */
		r++;
		kept++;
	}
	return kept;
}

static size_t width_of(const struct row *rows, int n, unsigned column)
{
	size_t width = strlen(titles[column]);

	for (int i = 0; i < n; i++)
		if (strlen(rows[i].cell[column]) > width)
			width = strlen(rows[i].cell[column]);
	return width;
}

static void print_fancy(const struct row *rows, int n)
{
	size_t width[COLUMNS];

	for (unsigned c = 0; c < want.ncolumns; c++) {
		width[c] = width_of(rows, n, want.column[c]);
		printf("%-*s ", (int)width[c], titles[want.column[c]]);
	}
	putchar('\n');
	for (int i = 0; i < n; i++) {
		for (unsigned c = 0; c < want.ncolumns; c++)
			printf("%-*s ", (int)width[c], rows[i].cell[want.column[c]]);
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
		printf(", \"autostart\": %s, \"groups\": \"%s\", \"ipv4\": \"%s\", \"ipv6\": \"%s\"",
		       rows[i].autostart ? "true" : "false", rows[i].cell[GROUPS], rows[i].cell[IPV4],
		       rows[i].cell[IPV6]);
		json_field(", \"config\": ", rows[i].ctr.config);
		putchar('}');
	}
	puts(n ? "\n]" : "]");
}

static void usual_columns(void)
{
	static const unsigned char usual[] = { NAME, STATE, AUTOSTART, GROUPS, IPV4, IPV6, UNPRIVILEGED };

	memcpy(want.column, usual, sizeof(usual));
	want.ncolumns = sizeof(usual);
}

static void parse_columns(void)
{
	want.fancy = true;
	for (const char *p = want.columns; *p; p += strcspn(p, ","), p += *p == ',') {
		size_t n = strcspn(p, ",");
		unsigned char c = 0;

		while (c < COLUMNS && (strlen(titles[c]) != n || strncasecmp(titles[c], p, n) != 0))
			c++;
		if (c == COLUMNS || want.ncolumns == COLUMNS)
			usage_error("-F %.*s: not a column: NAME STATE PID RAM SWAP AUTOSTART GROUPS INTERFACE "
				    "IPV4 IPV6 UNPRIVILEGED", (int)n, p);
		want.column[want.ncolumns++] = c;
	}
}

int cmd_ls(int argc, char **argv)
{
	static const struct opt opts[] = {
		{ OPT("-1, --line", "one name a line"), &want.line },
		{ OPT("-f, --fancy", "a table"), &want.fancy },
		{ OPT("-F, --fancy-format=COLUMNS", "a table of these, with commas"), &want.columns },
		{ OPT("-g, --groups=GROUPS", "only those in all of these groups"), &want.groups },
		{ OPT("--filter=REGEX", "only those of such a name"), &want.filter },
		{ OPT("--active", "only those that run or are frozen"), &want.active },
		{ OPT("--nesting", "also those in running ones, with name and state"), &want.nesting },
		{ OPT("--running", "only running ones"), &want.running },
		{ OPT("--frozen", "only frozen ones"), &want.frozen },
		{ OPT("--stopped", "only stopped ones"), &want.stopped },
		{ OPT("--defined", "only those with a configuration (all)"), &want.defined },
	};
	static const struct optset set = {
		"ls [-1 | -f | -F COLUMNS] [--running | --stopped | --active] [-g GROUPS]", "Lists containers.",
		opts, ARRAY_SIZE(opts), OPTS_JSON,
	};
	static char *list[CONTAINERS_MAX];
	struct args a = opts_parse(&set, argc, argv);
	struct row *rows;
	int n, kept = 0;

	if (want.columns)
		parse_columns();
	else
		usual_columns();
	if (want.filter && !match_ok(want.filter))
		usage_error("'%s' is no regular expression that is understood", want.filter);
	need_root();
	n = names_of(a.lxcpath, list);
	rows = n < 0 ? NULL : calloc((size_t)n + 1 + (want.nesting ? NESTED_MAX : 0), sizeof(*rows));
	if (!rows)
		fail();
	for (int i = 0; i < n; i++)
		if (!want.filter || match(want.filter, list[i]))
			kept += fill(&rows[kept], list[i], a.lxcpath, want.fancy || want.groups || a.json);
	for (int i = 0, own = kept; want.nesting && i < own; i++)
		if (rows[i].pid > 0)
			kept += nested(&rows[kept], own + NESTED_MAX - kept, &rows[i]);
	if (a.json)
		print_json(rows, kept);
	else if (want.fancy && kept > 0)
		print_fancy(rows, kept);
	else
		print_names(rows, kept);
	return 0;
}
