/* SPDX-License-Identifier: MIT */
/* The command device: a device of the host for a running container, and back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "live.h"
#include "nodes.h"
#include "opts.h"
#include "path.h"

struct device {
	const char *host, *inside;      /* absolute paths */
	int root;                       /* the container's */
	mode_t type;
	struct stat st;
	struct dev_rule rule;
};

/* The host's device, or the container's node of one that has been pulled out. */
static int look_at(struct device *d, bool gone_too)
{
	if (stat(d->host, &d->st) < 0) {
		CLEAN_FD int node = errno == ENOENT && gone_too ? root_open(d->root, d->inside, O_NOFOLLOW) : -1;

		if (node < 0 || fstat(node, &d->st) < 0)
			return err_set("find %s", d->host);
	}
	if (!S_ISCHR(d->st.st_mode) && !S_ISBLK(d->st.st_mode))
		return err_plain("%s is no device", d->host);
	d->type = d->st.st_mode & S_IFMT;
	d->rule = (struct dev_rule){ .type = S_ISCHR(d->st.st_mode) ? 'c' : 'b',
				     .major = major(d->st.st_rdev), .minor = minor(d->st.st_rdev) };
	return 0;
}

/* A container without a list may use all devices: there is nothing to change. */
static int change(const struct device *d, const struct state *st, const char *name, enum rule_verb verb)
{
	struct devlist *l = live_list(name);
	struct dev_rule rule = d->rule;
	char text[40];

	if (!l)
		return -1;
	if (!l->rules.set)
		return 0;
	if (verb == RULE_DENY) {
		rules_add(&l->rules, verb, &rule);
		if (rules_verdict(&l->rules, rule.type, rule.major, rule.minor, DEV_READ) ||
		    rules_verdict(&l->rules, rule.type, rule.major, rule.minor, DEV_WRITE))
			return err_plain("a wider rule of its list allows this device: it cannot be taken alone");
	}
	rule_text(&rule, text, sizeof(text));
	return live_device(st, name, verb, text);
}

/* The node first: alone it opens nothing. */
static int add(struct device *d, const struct state *st, const char *name)
{
	if (look_at(d, false) < 0)
		return -1;
	d->rule.access = DEV_READ | DEV_WRITE;
	if (node_make(d->root, d->inside, d->host, d->type, d->st.st_rdev) < 0)
		return err_set("make %s in the container", d->inside);
	if (change(d, st, name, RULE_ALLOW) == 0)
		return 0;
	node_remove(d->root, d->inside, d->type, d->st.st_rdev);
	return -1;
}

static int del(struct device *d, const struct state *st, const char *name)
{
	if (look_at(d, true) < 0)
		return -1;
	d->rule.access = DEV_RWM;
	if (change(d, st, name, RULE_DENY) < 0)
		return -1;
	node_remove(d->root, d->inside, d->type, d->st.st_rdev);
	return 0;
}

int cmd_device(int argc, char **argv)
{
	static const struct optset set = {
		"device [-n] NAME add|del DEVICE [PATH]",
		"Gives a running container a device of the host, for reading and writing, with a node\n"
		"at PATH (that of the host); or takes it away again.",
		NULL, 0, OPTS_NAME,
	};
	struct args a = opts_parse(&set, argc, argv);
	static struct device d;
	struct state st;
	struct ctr ctr;
	bool adds;

	if (a.nrest < 2 || a.nrest > 3)
		usage_error("usage: sampan %s", set.usage);
	adds = strcmp(a.rest[0], "add") == 0;
	if (!adds && strcmp(a.rest[0], "del") != 0)
		usage_error("%s: add or del", a.rest[0]);
	d.host = a.rest[1];
	d.inside = a.rest[a.nrest - 1];
	if (d.host[0] != '/' || d.inside[0] != '/')
		usage_error("a device is an absolute path, as /dev/ttyUSB0");
	state_running(&ctr, &st, &a);
	umask(0);
	d.root = nodes_root(&st.init);
	if (d.root < 0 || (adds ? add : del)(&d, &st, ctr.name) < 0)
		fail();
	return 0;
}
