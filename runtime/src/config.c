/* SPDX-License-Identifier: MIT */
/* sampan config check FILE... */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "conf.h"
#include "json.h"
#include "opts.h"
#include "sampan.h"

struct json_state {
	bool any;
};

static void json_sink(const struct conf_msg *m, void *arg)
{
	struct json_state *s = arg;

	static const char levels[][8] = { "note", "warning", "error" };

	printf("%s\n  {\"file\": ", s->any ? "," : "");
	s->any = true;
	json_string(m->at.file);
	printf(", \"line\": %u, \"severity\": \"%s\", \"key\": ", m->at.line,
	       levels[m->level]);
	json_string(m->key);
	fputs(", \"value\": ", stdout);
	json_string(m->value);
	fputs(", \"text\": ", stdout);
	json_string(m->text);
	fputs(", \"hint\": ", stdout);
	json_string(m->hint);
	putchar('}');
}

/* 0: good; 1: errors, or it cannot be read. */
static int check_one(const char *file, bool json, struct json_state *js)
{
	static struct conf conf;

	errno = 0;
	if (conf_load(&conf, file, json ? json_sink : conf_print, js) == 0) {
		if (!json)
			printf("%s: ok\n", file);
		return 0;
	}
	if (conf.errors > 0)
		return 1;
	if (json) {
		struct conf_msg m = { .at = { file, 0 }, .level = CONF_ERROR, .text = strerror(errno) };

		json_sink(&m, js);
	} else {
		fprintf(stderr, "%s: %s\n", file, strerror(errno));
	}
	return 1;
}

int cmd_config(int argc, char **argv)
{
	static const struct optset set = {
		"config check FILE...",
		"Reads configuration files and says what is wrong with each line. Exit code 1: some\n"
		"file has errors.",
		NULL, 0, OPTS_JSON,
	};
	struct json_state js = { .any = false };
	struct args a = opts_parse(&set, argc, argv);
	int bad = 0;

	if (a.nrest < 2 || strcmp(a.rest[0], "check") != 0)
		usage_error("usage: sampan %s", set.usage);
	if (a.json)
		putchar('[');
	for (int i = 1; i < a.nrest; i++)
		bad |= check_one(a.rest[i], a.json, &js);
	if (a.json)
		puts("\n]");
	return bad;
}
