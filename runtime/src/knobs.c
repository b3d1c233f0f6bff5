/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include "knobs.h"
#include "path.h"
#include "sys.h"
#include "util.h"

static int write_at(int dir, const char *path, const char *value)
{
	CLEAN_FD int fd = openat(dir, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 || write(fd, value, strlen(value)) < 0 ? -1 : 0;
}

static const char *path_of(const struct conf_set *set, char *path, size_t size)
{
	snprintf(path, size, "%s%s", set->kind == SET_SYSCTL ? "sys/" : "", set->name);
	for (char *p = path; set->kind == SET_SYSCTL && (p = strchr(p, '.')) != NULL;)
		*p = '/';
	return path;
}

static int write_one(int proc, const struct conf_set *set, pid_t pid)
{
	char path[CONF_LINE_MAX], who[16] = "self";
	CLEAN_FD int self = -1;

	if (pid > 0)
		snprintf(who, sizeof(who), "%d", pid);
	if (set->kind == SET_PROC)
		self = openat(proc, who, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (write_at(self >= 0 ? self : proc, path_of(set, path, sizeof(path)), set->value) == 0)
		return 0;
	err_set("%s:%u: set %s to %s", set->at.file, set->at.line, set->name, set->value);
	if (errno == ENOENT)
		err_hint("this kernel has no /proc/%s", path);
	return -1;
}

int knobs_write(const struct conf *c, pid_t pid)
{
	CLEAN_FD int proc = -1;
	struct statfs fs;

	for (unsigned i = 0; i < c->nsets; i++) {
		enum set_kind kind = c->set[i].kind;

		if (kind == SET_PRLIMIT || (pid > 0 && kind != SET_PROC) ||
		    (pid == 0 && kind == SET_PROC && c->spaces & CLONE_NEWUSER))
			continue;
		if (proc < 0) {
			proc = openat(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (proc < 0 || fstatfs(proc, &fs) < 0)
				return err_set("open /proc");
			if (fs.f_type != FS_PROC)
				return err_plain("/proc of the host is no procfs");
		}
		if (write_one(proc, &c->set[i], pid) < 0)
			return -1;
	}
	return 0;
}

int knobs_limit(const struct conf *c, pid_t pid)
{
	for (unsigned i = 0; i < c->nsets; i++) {
		const struct conf_set *set = &c->set[i];
		const struct rlimit limit = { set->soft, set->hard };

		if (set->kind == SET_PRLIMIT && prlimit(pid, set->number, &limit, NULL) < 0)
			return err_set("%s:%u: limit %s to %s", set->at.file, set->at.line, set->name,
				       set->value);
	}
	return 0;
}

int knobs_limits_of(pid_t pid, struct rlimit limits[RLIMITS])
{
	char path[24], text[4096], *line = text;

	/* prlimit(2) takes a capability for another user's process; lines come in the order of RLIMIT_*. */
	snprintf(path, sizeof(path), "/proc/%d/limits", pid);
	if (read_small(AT_FDCWD, path, text, sizeof(text)) < 0)
		return err_set("read %s", path);
	for (int i = 0; i < RLIMITS; i++) {
		line = strchr(line, '\n');
		if (!line || strlen(line) < 50)
			return err_plain("%s is not what a kernel writes", path);
		limits[i].rlim_cur = line[27] == 'u' ? RLIM_INFINITY : strtoull(line + 27, NULL, 10);
		limits[i].rlim_max = line[48] == 'u' ? RLIM_INFINITY : strtoull(line + 48, NULL, 10);
		line++;
	}
	return 0;
}

int knobs_limits_as(const struct rlimit limits[RLIMITS])
{
	for (int i = 0; i < RLIMITS; i++)
		if (prlimit(0, i, &limits[i], NULL) < 0)
			return err_set("take over the container's resource limits");
	return 0;
}
