/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "limits.h"
#include "lines.h"
#include "path.h"
#include "tree.h"
#include "util.h"
#include "words.h"

enum { DEPTH_MAX = 128 };               /* a descriptor each */

int tree_mounted(const char *path, char *found, unsigned long size)
{
	char real[PATH_LEN_MAX * 4], at[PATH_LEN_MAX * 4];
	CLEAN_FD int fd = openat(AT_FDCWD, path, O_PATH | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : readlink(fd_path(fd).s, real, sizeof(real) - 1);
	struct lines l CLEAN_LINES;
	int rc = 0;

	l.fd = -1;
	if (n < 0)
		return err_set("find %s", path);
	real[n] = '\0';
	if (!lines_open(&l, "/proc/self/mountinfo"))
		return err_set("open /proc/self/mountinfo");
	for (char *line; rc == 0 && (line = lines_next(&l)) != NULL;) {
		if (!nth_word(line, 4, at, sizeof(at)))
			continue;
		unescape(at);
		if (strncmp(at, real, (size_t)n) == 0 && (at[n] == '/' || at[n] == '\0')) {
			snprintf(found, size, "%s", at);
			rc = 1;
		}
	}
	return rc;
}

/* Two binds of one file system differ in nothing but this. */
static long mount_id(int fd)
{
	char path[40], text[256], *p;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (read_small(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -1;
	p = strstr(text, "mnt_id:");
	return p ? strtol(p + 7, NULL, 10) : -1;
}

static int remove_at(int parent, const char *name, long mount, int depth);

static int empty(int fd, const char *name, long mount, int depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int rc = 0;

	if (!d) {
		close(fd);
		return err_set("read %s", name);
	}
	while (rc == 0 && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = remove_at(dirfd(d), e->d_name, mount, depth + 1);
	closedir(d);
	return rc;
}

static int remove_at(int parent, const char *name, long mount, int depth)
{
	int fd;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_set("delete %s", name);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_set("open %s", name);
	if (depth > DEPTH_MAX || mount_id(fd) != mount || mount < 0) {
		close(fd);
		return err_plain(depth > DEPTH_MAX ? "folders are nested too deeply at %s" :
				 "something is mounted on %s", name);
	}
	if (empty(fd, name, mount, depth) < 0)
		return -1;
	return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? err_set("delete %s", name) : 0;
}

int tree_remove(const char *path)
{
	const char *name = strrchr(path, '/');
	char parent[PATH_LEN_MAX];
	CLEAN_FD int dir = -1;

	if (!name || name[1] == '\0')
		return err_plain("refusing to delete %s", path);
	snprintf(parent, sizeof(parent), "%.*s", name > path ? (int)(name - path) : 1, path);
	dir = openat(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_set("open %s", parent);
	return remove_at(dir, name + 1, mount_id(dir), 0);
}
