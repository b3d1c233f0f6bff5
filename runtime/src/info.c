/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf_list.h"
#include "ips.h"
#include "json.h"
#include "lines.h"
#include "opts.h"
#include "path.h"
#include "state.h"

enum { NS = 1000000000 };

static struct {
	bool state, pid, ips, stats, raw;
	struct list keys;
} want;

static bool all(void)
{
	return !want.state && !want.pid && !want.ips && !want.stats && want.keys.n == 0;
}

static void print_bytes(const char *title, long long value)
{
	static const char unit[][4] = { "KiB", "MiB", "GiB", "TiB" };
	long long one = 1, hundredths;
	int i = -1;

	if (value < 0)
		return;
	while (value / one >= 1024 && i < 3) {
		one *= 1024;
		i++;
	}
	hundredths = (value % one * 100 + one / 2) / one + value / one * 100;
	if (want.raw)
		printf("%-15s %lld\n", title, value);
	else if (i < 0)
		printf("%-15s %lld bytes\n", title, value);
	else
		printf("%-15s %lld.%02d %s\n", title, hundredths / 100, (int)(hundredths % 100), unit[i]);
}

/* v2: "usage_usec N" of cpu.stat; v1: nanoseconds in cpuacct.usage. */
static long long cpu_ns(const struct cg *cg)
{
	long long ns = cg_value(cg, "cpuacct.usage");

	for (unsigned i = 0; ns < 0 && i < cg->n; i++) {
		char path[CG_PATH_MAX + 16], text[512];

		snprintf(path, sizeof(path), "%s/cpu.stat", cg->dir[i].path);
		if (cg->dir[i].v2 && read_small(AT_FDCWD, path, text, sizeof(text)) > 0 &&
		    strncmp(text, "usage_usec ", 11) == 0)
			ns = strtoll(text + 11, NULL, 10) * 1000;
	}
	return ns;
}

static long long memory_bytes(const struct cg *cg)
{
	long long v = cg_value(cg, "memory.current");

	return v >= 0 ? v : cg_value(cg, "memory.usage_in_bytes");
}

static void print_stats(const struct cg *cg)
{
	long long cpu = cpu_ns(cg);

	if (cpu >= 0 && want.raw)
		printf("%-15s %lld\n", "CPU use:", cpu);
	else if (cpu >= 0)
		printf("%-15s %lld.%02d seconds\n", "CPU use:", cpu / NS, (int)(cpu % NS / 10000000));
	print_bytes("Memory use:", memory_bytes(cg));
}

static void print_text(const struct ctr *ctr, const struct state *st, const struct ips *ips)
{
	bool up = st->state != ST_STOPPED;

	if (all())
		printf("%-15s %s\n", "Name:", ctr->name);
	if (all() || want.state)
		printf("%-15s %s\n", "State:", state_word(st->state));
	if (up && st->init.pid > 0 && (all() || want.pid)) {
		if (want.raw && want.pid)
			printf("%d\n", st->init.pid);
		else
			printf("%-15s %d\n", "PID:", st->init.pid);
	}
	for (unsigned i = 0; up && (all() || want.ips) && i < ips->n; i++) {
		if (want.raw && want.ips)
			printf("%s\n", ips->ip[i].text);
		else
			printf("%-15s %s\n", "IP:", ips->ip[i].text);
	}
	if (up && (all() || want.stats))
		print_stats(&st->cg);
	if (up && all() && !task_alive(&st->supervisor))
		printf("%-15s %s\n", "Note:", "its supervisor is gone; stop cleans up");
}

static void json_number(const char *key, long long value)
{
	if (value >= 0)
		printf(", \"%s\": %lld", key, value);
	else
		printf(", \"%s\": null", key);
}

static void print_json(const struct ctr *ctr, const struct state *st, const struct ips *ips)
{
	bool up = st->state != ST_STOPPED;

	json_field("{\"name\": ", ctr->name);
	printf(", \"state\": \"%s\"", state_word(st->state));
	json_number("pid", up && st->init.pid > 0 ? st->init.pid : -1);
	json_number("supervisor", up && task_alive(&st->supervisor) ? st->supervisor.pid : -1);
	fputs(", \"ips\": [", stdout);
	for (unsigned i = 0; i < ips->n; i++) {
		fputs(i ? ", " : "", stdout);
		json_string(ips->ip[i].text);
	}
	putchar(']');
	json_number("cpu_ns", up ? cpu_ns(&st->cg) : -1);
	json_number("memory_bytes", up ? memory_bytes(&st->cg) : -1);
	json_field(", \"config\": ", up ? st->config : ctr->config);
	puts("}");
}

static void quiet(const struct conf_msg *msg, void *arg)
{
	(void)msg;
	(void)arg;
}

static void print_value(const char *key, const char *value)
{
	printf(want.raw ? "%s%s\n" : "%s = %s\n", want.raw ? "" : key, value);
}

/* What the configuration as a whole says, under the name that was asked for; a line a value. */
static void print_keys(const struct ctr *ctr)
{
	struct conf_list *list = want.keys.n ? calloc(1, sizeof(*list)) : NULL;
	char name[CONF_LINE_MAX];

	if (list)
		conf_load_list(&own_conf, list, ctr->config, quiet, NULL);
	for (unsigned i = 0; list && i < want.keys.n; i++) {
		bool any = false;

		list_name(want.keys.item[i], name, sizeof(name));
		for (const char *p = NULL; (p = list_next(list, p)) != NULL;)
			if (strcmp(p, name) == 0) {
				print_value(want.keys.item[i], list_value(p));
				any = true;
			}
		if (!any)
			print_value(want.keys.item[i], "");
	}
}

int cmd_info(int argc, char **argv)
{
	static const struct opt opts[] = {
		{ OPT("-s, --state", "the state"), &want.state },
		{ OPT("-p, --pid", "the PID of its init"), &want.pid },
		{ OPT("-i, --ips", "its addresses"), &want.ips },
		{ OPT("-S, --stats", "CPU and memory use"), &want.stats },
		{ OPT("-c, --config=KEY...", "a key of its configuration"), &want.keys },
		{ OPT("-H, --no-humanize", "plain numbers"), &want.raw },
	};
	static const struct optset set = {
		"info [-n] NAME [-s] [-p] [-i] [-S] [-H] [-c KEY]", "Shows what a container does.",
		opts, ARRAY_SIZE(opts), OPTS_NAME | OPTS_JSON,
	};
	struct args a = opts_parse(&set, argc, argv);
	struct ips ips = { .n = 0 };
	struct state st;
	struct ctr ctr;
	int rc = state_open(&ctr, &st, a.name, a.lxcpath);

	if (rc == 0 && !ctr_defined(&ctr)) {
		err_subject(NULL);
		err_plain("%s doesn't exist", a.name);
		fail();
	}
	if (rc == 1 && st.init.pid > 0)
		ips_of(st.init.pid, &ips);
	if (a.json) {
		print_json(&ctr, &st, &ips);
		return 0;
	}
	if (all() || want.state || want.pid || want.ips || want.stats)
		print_text(&ctr, &st, &ips);
	print_keys(&ctr);
	return 0;
}
