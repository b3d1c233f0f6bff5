/* SPDX-License-Identifier: MIT */
/*
 * Device policy on cgroup v1. A new group starts with a copy of its parent's list;
 * `a` makes a clean start, and then each rule is written by itself, because the
 * kernel reads one rule from a write and takes no notice of the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "devpolicy.h"
#include "limits.h"
#include "util.h"

static int open_file(int cgfd, const char *name, int flags)
{
	int fd = openat(cgfd, name, flags | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	err_set("open %s", name);
	if (errno == ENOENT)
		err_hint("this cgroup has no devices controller: CONFIG_CGROUP_DEVICE=y, mounted as v1");
	return -1;
}

static int write_rule(int fd, const char *name, const char *text)
{
	ssize_t n = write(fd, text, strlen(text));

	if (n == (ssize_t)strlen(text))
		return 0;
	if (n >= 0)
		return err_plain("write '%s' to %s: short write", text, name);
	err_set("write '%s' to %s", text, name);
	if (errno == EPERM)
		err_hint("the parent cgroup does not allow this device: a container cannot get more "
			 "than the group it is started in");
	if (errno == EINVAL && text[0] == 'a')
		err_hint("the cgroup has children");
	return -1;
}

static int write_all_rules(int cgfd, const struct dev_rules *r)
{
	/* The rules of a deny-list are exceptions that refuse. */
	const char *global = r->allow_default ? "devices.allow" : "devices.deny";
	const char *single = r->allow_default ? "devices.deny" : "devices.allow";
	int global_fd CLEAN_FD = open_file(cgfd, global, O_WRONLY);
	int single_fd CLEAN_FD = global_fd < 0 ? -1 : open_file(cgfd, single, O_WRONLY);
	char text[RULE_TEXT_MAX];

	if (global_fd < 0 || single_fd < 0 || write_rule(global_fd, global, "a") < 0)
		return -1;
	for (unsigned i = 0; i < r->n; i++) {
		rule_text(&r->rule[i], text, sizeof(text));
		if (write_rule(single_fd, single, text) < 0)
			return -1;
	}
	return 0;
}

static int read_list(int cgfd, char *buf, size_t size)
{
	int fd CLEAN_FD = open_file(cgfd, "devices.list", O_RDONLY);
	size_t used = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	while ((n = read(fd, buf + used, size - 1 - used)) > 0)
		used += (size_t)n;
	if (n < 0)
		return err_set("read devices.list");
	if (used == size - 1)
		return err_plain("devices.list is longer than all rules together");
	buf[used] = '\0';
	return 0;
}

/* Adds the kernel's lines to a set that denies everything. */
static int parse_list(char *list, struct dev_rules *r)
{
	const char *why;
	char *end;

	rules_init(r);
	rules_apply(r, RULE_DENY, "a");
	for (; *list != '\0'; list = end + 1) {
		end = strchr(list, '\n');
		if (end == NULL)
			return err_plain("devices.list ends in the middle of a line: '%s'", list);
		*end = '\0';
		why = rules_apply(r, RULE_ALLOW, list);
		if (why != NULL)
			return err_plain("devices.list holds '%s': %s", list, why);
	}
	return 0;
}

/*
 * A deny-list reads `a *:* rwm` whatever it denies; then only this and the result of
 * each write are there to go by. Kernels before 3.7, which know no deny-lists, read
 * something else here, and are refused.
 */
static int check_list(int cgfd, const struct dev_rules *r)
{
	static char list[DEVRULES_MAX * RULE_TEXT_MAX];
	static struct dev_rules now;

	if (read_list(cgfd, list, sizeof(list)) < 0 || parse_list(list, &now) < 0)
		return -1;
	if (r->allow_default ? now.allow_default : rules_equal(&now, r))
		return 0;
	if (now.allow_default)
		return err_plain("devices.list reads 'a *:* rwm': the kernel kept allowing everything");
	return err_plain("devices.list has %u rules that differ from the %u written", now.n, r->n);
}

int devpolicy_v1(int cgfd, const struct dev_rules *r)
{
	if (!r->set)
		return 0;
	if (write_all_rules(cgfd, r) < 0)
		return -1;
	return check_list(cgfd, r);
}

/* The exceptions of `r` that `from` has not, each as far as it has not. */
static int write_more(int cgfd, const char *name, const struct dev_rules *from, const struct dev_rules *r)
{
	char text[RULE_TEXT_MAX];
	int fd CLEAN_FD = -1;

	for (unsigned i = 0; i < r->n; i++) {
		struct dev_rule rule = r->rule[i];

		rule.access = (uint8_t)(rule.access & ~rules_own(from, &rule));
		if (rule.access == 0)
			continue;
		if (fd < 0)
			fd = open_file(cgfd, name, O_WRONLY);
		rule_text(&rule, text, sizeof(text));
		if (fd < 0 || write_rule(fd, name, text) < 0)
			return -1;
	}
	return 0;
}

int devpolicy_v1_change(int cgfd, const struct dev_rules *before, const struct dev_rules *after)
{
	bool denies = after->allow_default;     /* then its exceptions do */
	int rc;

	if (!before->set || before->allow_default != after->allow_default)
		return devpolicy_v1(cgfd, after);
	/* What is taken away goes first. */
	rc = denies ? write_more(cgfd, "devices.deny", before, after) :
		      write_more(cgfd, "devices.deny", after, before);
	if (rc == 0)
		rc = denies ? write_more(cgfd, "devices.allow", after, before) :
			      write_more(cgfd, "devices.allow", before, after);
	return rc < 0 ? -1 : check_list(cgfd, after);
}
