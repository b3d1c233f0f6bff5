/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include "knobs.h"
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

static int write_one(int proc, const struct conf_set *set)
{
	CLEAN_FD int self = set->kind == SET_PROC ?
		openat(proc, "self", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	char path[CONF_LINE_MAX];

	if (write_at(self >= 0 ? self : proc, path_of(set, path, sizeof(path)), set->value) == 0)
		return 0;
	err_set("%s:%u: set %s to %s", set->at.file, set->at.line, set->name, set->value);
	if (errno == ENOENT)
		err_hint("this kernel has no /proc/%s", path);
	return -1;
}

int knobs_write(const struct conf *c)
{
	CLEAN_FD int proc = -1;
	struct statfs fs;

	for (unsigned i = 0; i < c->nsets; i++) {
		if (c->set[i].kind == SET_PRLIMIT)
			continue;
		if (proc < 0) {
			proc = openat(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (proc < 0 || fstatfs(proc, &fs) < 0)
				return err_set("open /proc");
			if (fs.f_type != FS_PROC)
				return err_plain("/proc of the host is no procfs");
		}
		if (write_one(proc, &c->set[i]) < 0)
			return -1;
	}
	return 0;
}

int knobs_limit(const struct conf *c)
{
	for (unsigned i = 0; i < c->nsets; i++) {
		const struct conf_set *set = &c->set[i];
		const struct rlimit limit = { set->soft, set->hard };

		if (set->kind == SET_PRLIMIT && prlimit(0, set->number, &limit, NULL) < 0)
			return err_set("%s:%u: limit %s to %s", set->at.file, set->at.line, set->name,
				       set->value);
	}
	return 0;
}

int knobs_limits_of(pid_t pid, struct rlimit limits[RLIMITS])
{
	for (int i = 0; i < RLIMITS; i++)
		if (prlimit(pid, i, NULL, &limits[i]) < 0)
			return err_set("read the container's resource limits");
	return 0;
}

int knobs_limits_as(const struct rlimit limits[RLIMITS])
{
	for (int i = 0; i < RLIMITS; i++)
		if (prlimit(0, i, &limits[i], NULL) < 0)
			return err_set("take over the container's resource limits");
	return 0;
}
