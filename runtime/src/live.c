/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include "devpolicy.h"
#include "live.h"
#include "path.h"

enum { RULE_TEXT = 40, LIST_BYTES = 2 + DEVRULES_MAX * RULE_TEXT };

/* 'a' or 'd' for the default, then the exceptions, one a line. */
int rules_save(int statedir, const struct dev_rules *r, bool first)
{
	static char text[LIST_BYTES];
	const char *name = first ? "devices" : "devices.new";
	CLEAN_FD int fd = -1;
	size_t n = (size_t)sprintf(text, "%c\n", r->allow_default ? 'a' : 'd');

	if (!r->set) {                  /* what an earlier start wrote is not true any more */
		unlinkat(statedir, "devices", 0);
		return 0;
	}
	for (unsigned i = 0; i < r->n; i++) {
		rule_text(&r->rule[i], text + n, RULE_TEXT);
		n += strlen(text + n);
		text[n++] = '\n';
	}
	fd = openat(statedir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || !write_all(fd, text, n) ||
	    (!first && renameat(statedir, name, statedir, "devices") < 0))
		return err_set("write down the device list");
	return 0;
}

int rules_restore(int statedir, struct dev_rules *r)
{
	static char text[LIST_BYTES];
	enum rule_verb verb;
	char *line, *end;

	rules_init(r);
	if (read_small(statedir, "devices", text, sizeof(text)) <= 0)
		return errno == ENOENT ? 0 : err_set("read the device list");
	verb = text[0] == 'a' ? RULE_DENY : RULE_ALLOW;
	rules_apply(r, verb == RULE_DENY ? RULE_ALLOW : RULE_DENY, "a");
	for (line = text + 2; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		if (rules_apply(r, verb, line) != NULL)
			return err_plain("the device list written down is damaged: %s", line);
	}
	return 0;
}

/* v1 where the container has a group in `devices`, else v2. */
static int enforce(const struct cg *cg, const struct dev_rules *r, enum rule_verb verb,
		   const char *value)
{
	for (int v2 = 0; v2 < 2; v2++) {
		for (unsigned i = 0; i < cg->n; i++) {
			CLEAN_FD int fd = cg->dir[i].v2 != v2 ? -1 :
				open(cg->dir[i].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			if (fd < 0 || (!v2 && faccessat(fd, "devices.list", F_OK, 0) < 0))
				continue;
			return v2 ? devpolicy_bpf_change(fd, r) : devpolicy_v1_change(fd, r, verb, value);
		}
	}
	err_plain("the container has no cgroup that holds device rules");
	err_hint("start it with a device list, as lxc.cgroup.devices.deny = a");
	return -1;
}

int live_device(const struct state *st, const char *name, enum rule_verb verb, const char *value)
{
	CLEAN_FD int dir = state_dir(name);
	static struct dev_rules before, rules;
	const char *why;

	if (dir < 0 || flock(dir, LOCK_EX) < 0)         /* until `dir` is closed: one at a time */
		return err_set("lock the state folder");
	if (rules_restore(dir, &rules) < 0)
		return -1;
	before = rules;
	why = rules_apply(&rules, verb, value);
	if (why)
		return err_plain("%s: %s", value, why);
	/* A set that is written down but not in force is what a crash must not leave. */
	if (enforce(&st->cg, &rules, verb, value) < 0)
		return -1;
	return rules_equal(&before, &rules) && before.set ? 0 : rules_save(dir, &rules, false);
}
