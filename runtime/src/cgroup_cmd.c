/* SPDX-License-Identifier: MIT */
/* The command cgroup. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "json.h"
#include "live.h"
#include "opts.h"
#include "path.h"

/* CONTROLLER.FILE, without a way out of the folder. */
static void check_file(const char *file)
{
	if (strlen(file) > NAME_LEN_MAX || strchr(file, '/') || !strchr(file, '.') || file[0] == '.')
		usage_error("'%.80s' is no cgroup file, as memory.max", file);
}

/* As it is, or as a string of JSON. */
static void print(const char *text, bool json)
{
	if (json)
		json_string(text);
	else
		fputs(text, stdout);
}

static void print_rules(const char *name, bool json)
{
	char all[DEVRULES_MAX * RULE_TEXT_MAX];
	const struct devlist *l = live_list(name);
	size_t used = 0;

	if (!l)
		fail();
	strcpy(all, l->rules.allow_default ? "a *:* rwm\n" : "");
	for (unsigned i = 0; i < l->rules.n && !l->rules.allow_default; i++) {
		rule_text(&l->rules.rule[i], all + used, 39);
		used += strlen(all + used);
		all[used++] = '\n';
	}
	print(all, json);
}

static int print_file(const struct cg *cg, const char *file, bool json)
{
	for (unsigned i = 0; i < cg->n; i++) {
		char text[65536];
		char path[CG_PATH_MAX + 80];
		long n;

		snprintf(path, sizeof(path), "%s/%s", cg->dir[i].path, file);
		n = read_small(AT_FDCWD, path, text, sizeof(text));
		if (n < 0 && errno == ENOENT)
			continue;
		if (n < 0)
			return err_set("read %s", path);
		print(text, json);
		return 0;
	}
	return err_plain("none of its cgroups has a file %s", file);
}

int cmd_cgroup(int argc, char **argv)
{
	static const struct optset set = {
		"cgroup [-n] NAME FILE [VALUE]",
		"Prints a cgroup file of a running container, or sets it. devices.allow and\n"
		"devices.deny add one rule to its device list, on cgroup v2 too; devices.list\n"
		"prints the list.",
		NULL, 0, OPTS_NAME | OPTS_JSON,
	};
	struct args a = opts_parse(&set, argc, argv);
	const char *file = a.nrest > 0 ? a.rest[0] : "", *value = a.nrest > 1 ? a.rest[1] : NULL;
	struct state st;
	struct ctr ctr;
	int rc = 0;

	if (a.nrest < 1 || a.nrest > 2)
		usage_error("usage: sampan %s", set.usage);
	check_file(file);
	state_running(&ctr, &st, &a);
	if (strncmp(file, "devices.", 8) != 0)
		rc = value ? cg_set(&st.cg, file, value) : print_file(&st.cg, file, a.json);
	else if (strcmp(file, "devices.list") == 0 && !value)
		print_rules(ctr.name, a.json);
	else if (value && (strcmp(file + 8, "allow") == 0 || strcmp(file + 8, "deny") == 0))
		rc = live_device(&st, ctr.name, file[8] == 'a' ? RULE_ALLOW : RULE_DENY, value) < 0 ?
		     -1 : live_nodes(&st, ctr.name);
	else
		usage_error("%s: of the device list, list can be read, allow and deny set", file);
	if (rc < 0)
		fail();
	if (a.json)
		puts(value ? "null" : "");
	return 0;
}
