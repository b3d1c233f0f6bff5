/* SPDX-License-Identifier: MIT */
/* The end of a container's cgroups: counting, killing, removing; and reading values. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cgroup.h"
#include "feat.h"
#include "path.h"
#include "util.h"

static const struct cg_dir *tracker(const struct cg *cg)
{
	for (unsigned i = 0; i < cg->n; i++)
		if (cg->dir[i].track)
			return &cg->dir[i];
	return NULL;
}

static int open_procs(const struct cg_dir *d)
{
	char file[CG_PATH_MAX + 16];

	snprintf(file, sizeof(file), "%s/cgroup.procs", d->path);
	return openat(AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
}

unsigned cg_count(const struct cg *cg, unsigned most)
{
	const struct cg_dir *d = tracker(cg);
	CLEAN_FD int fd = d ? open_procs(d) : -1;
	unsigned lines = 0;
	char buf[512];
	ssize_t n;

	if (fd < 0)
		return most;            /* not known: never "alone" */
	while (lines < most && (n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += buf[i] == '\n';
	return lines;
}

static void kill_listed(const struct cg_dir *d)
{
	CLEAN_FD int fd = open_procs(d);
	char buf[4096], *save, *word;
	ssize_t n;

	while (fd >= 0 && (n = read(fd, buf, sizeof(buf) - 1)) > 0) {
		buf[n] = '\0';
		for (word = strtok_r(buf, "\n", &save); word; word = strtok_r(NULL, "\n", &save))
			if (atoi(word) > 1)
				kill(atoi(word), SIGKILL);
	}
}

static int write_in(const struct cg_dir *d, const char *name, const char *text)
{
	char file[CG_PATH_MAX + 32];
	CLEAN_FD int fd = -1;

	snprintf(file, sizeof(file), "%s/%s", d->path, name);
	fd = openat(AT_FDCWD, file, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

/*
 * Killing PID 1 ends its pid namespace, so this matters only for what entered the
 * cgroup without the namespace. A frozen v1 group must thaw to be able to die.
 */
void cg_kill(const struct cg *cg)
{
	const struct cg_dir *d = tracker(cg);

	if (!d)
		return;
	if (d->v2 && feat_on(FEAT_CGROUP_KILL) && write_in(d, "cgroup.kill", "1") == 0)
		return;
	if (!d->v2)
		write_in(d, "freezer.state", "FROZEN");
	kill_listed(d);
	write_in(d, d->v2 ? "cgroup.freeze" : "freezer.state", d->v2 ? "0" : "THAWED");
}

/* The container may have made cgroups of its own below. */
static void remove_below(int parent, const char *name, unsigned depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		close_fd(&fd);
		return;
	}
	while (depth > 0 && (e = readdir(dir)) != NULL) {
		if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0)
			continue;
		remove_below(dirfd(dir), e->d_name, depth - 1);
		unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

/* EBUSY: the last processes are dead but not gone yet. */
static void remove_one(const char *path)
{
	for (int tries = 0; tries < 200; tries++) {
		if (rmdir(path) == 0 || errno == ENOENT)
			break;
		remove_below(AT_FDCWD, path, 16);
		poll(NULL, 0, tries < 20 ? 1 : 10);
	}
}

void cg_remove(struct cg *cg)
{
	cg_close(cg);
	while (cg->n > 0)
		remove_one(cg->dir[--cg->n].path);
}

/* Whether anything is left is what the kernel answers to rmdir. */
void cg_end(struct cg *cg)
{
	while (cg->n > 0 && (rmdir(cg->dir[cg->n - 1].path) == 0 || errno == ENOENT))
		cg->n--;
	if (cg->n > 0)
		cg_kill(cg);
	cg_remove(cg);
}

long long cg_value(const struct cg *cg, const char *file)
{
	for (unsigned i = 0; i < cg->n; i++) {
		char path[CG_PATH_MAX + 64], text[64];

		snprintf(path, sizeof(path), "%s/%s", cg->dir[i].path, file);
		if (read_small(AT_FDCWD, path, text, sizeof(text)) > 0)
			return strtoll(text, NULL, 10);
	}
	return -1;
}
