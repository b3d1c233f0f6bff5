/* SPDX-License-Identifier: MIT */
/* sampan config check FILE... */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf_list.h"
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
	json_field(", \"value\": ", m->value);
	json_field(", \"text\": ", m->text);
	json_field(", \"hint\": ", m->hint);
	putchar('}');
}

/* 0: good; 1: errors, or it cannot be read. */
static int check_one(const char *file, bool json, struct json_state *js)
{
	char text[64];

	errno = 0;
	if (conf_load(&own_conf, file, json ? json_sink : conf_print, js) == 0) {
		if (!json)
			printf("%s: ok\n", file);
		return 0;
	}
	if (own_conf.errors > 0)
		return 1;
	snprintf(text, sizeof(text), "%s", strerror(errno));     /* JSON takes no packed text */
	if (json) {
		struct conf_msg m = { .at = { file, 0 }, .level = CONF_ERROR, .text = text };

		json_sink(&m, js);
	} else {
		fprintf(stderr, "%s: %s\n", file, text);
	}
	return 1;
}

static void show_json(const struct conf_list *list)
{
	const char *comma = "";

	putchar('[');
	for (const char *p = NULL; (p = list_next(list, p)) != NULL; comma = ",") {
		printf("%s\n  {\"key\": ", comma);
		json_string(p);
		json_field(", \"value\": ", list_value(p));
		putchar('}');
	}
	puts("\n]");
}

static int show(const char *file, bool json)
{
	struct conf_list *list = calloc(1, sizeof(*list));

	if (!list || conf_load_list(&own_conf, list, file, conf_print, NULL) != 0)
		return 1;
	if (json) {
		show_json(list);
		return 0;
	}
	for (const char *p = NULL; (p = list_next(list, p)) != NULL;)
		printf("%s = %s\n", p, list_value(p));
	return 0;
}

static int check(char **files, bool json)
{
	struct json_state js = { .any = false };
	int bad = 0;

	if (json)
		putchar('[');
	for (; *files != NULL; files++)
		bad |= check_one(*files, json, &js);
	if (json)
		puts("\n]");
	return bad;
}

/* LXC's writes over the file; this one prints, as `config show` does. */
int cmd_update_config(int argc, char **argv)
{
	static const char *file;
	static const struct opt opts[] = {
		{ OPT("-c, --config=FILE", "the configuration"), &file },
	};
	static const struct optset set = {
		"update-config -c FILE", "Prints what a configuration comes to in modern keys. The file stays as it is.",
		opts, ARRAY_SIZE(opts), OPTS_JSON,
	};
	struct args a = opts_parse(&set, argc, argv);

	if (!file || a.nrest > 0)
		usage_error("usage: sampan %s", set.usage);
	return show(file, a.json);
}

int cmd_config(int argc, char **argv)
{
	static const struct optset set = {
		"config check FILE... | show NAME|FILE",
		"check: says what is wrong with each line of configuration files (exit code 1: some\n"
		"file has errors). show: what a configuration comes to, includes and old keys resolved.",
		NULL, 0, OPTS_JSON,
	};
	struct args a = opts_parse(&set, argc, argv);
	struct ctr ctr;

	if (a.nrest >= 2 && strcmp(a.rest[0], "check") == 0)
		return check(a.rest + 1, a.json);
	if (a.nrest != 2 || strcmp(a.rest[0], "show") != 0)
		usage_error("usage: sampan %s", set.usage);
	if (strchr(a.rest[1], '/') != NULL)
		return show(a.rest[1], a.json);
	ctr_init(&ctr, a.rest[1], a.lxcpath);
	if (!ctr_defined(&ctr)) {
		err_subject(NULL);
		err_plain("%s doesn't exist", ctr.name);
		fail();
	}
	return show(ctr.config, a.json);
}
