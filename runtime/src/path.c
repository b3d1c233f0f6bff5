/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "feat.h"
#include "limits.h"
#include "path.h"
#include "sys.h"

enum { DEPTH_MAX = 48, LINKS_MAX = 40, RACES_MAX = 64 };

struct walk {                           /* from the root down to where we stand */
	int fd[DEPTH_MAX];
	unsigned n, links;
	char todo[2 * PATH_LEN_MAX];
};

struct fdpath fd_path(int fd)
{
	struct fdpath p;

	snprintf(p.s, sizeof(p.s), "/proc/self/fd/%d", fd);
	return p;
}

int open_path(int flags, const char *fmt, ...)
{
	char path[PATH_LEN_MAX];
	va_list ap;
	int fd;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	fd = openat(AT_FDCWD, path, flags | O_CLOEXEC);
	return fd < 0 ? err_set("open %s", path) : fd;
}

long fd_name(int fd, char *buf, size_t size)
{
	ssize_t n = readlink(fd_path(fd).s, buf, size - 1);

	if (n >= 0)
		buf[n] = '\0';
	return (long)n;
}

static void walk_pop_to(struct walk *w, unsigned n)
{
	while (w->n > n)
		close(w->fd[--w->n]);
}

/* Puts the link's text before what is left of the path. */
static int walk_link(struct walk *w, int fd, const char *rest)
{
	char text[2 * PATH_LEN_MAX], joined[sizeof(w->todo)];
	ssize_t n = readlinkat(fd, "", text, sizeof(text) - 1);

	if (n < 0)
		return -1;
	text[n] = '\0';
	if (++w->links > LINKS_MAX) {
		errno = ELOOP;
		return -1;
	}
	if ((size_t)snprintf(joined, sizeof(joined), "%s%s", text, rest) >= sizeof(joined)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (text[0] == '/')
		walk_pop_to(w, 1);
	memcpy(w->todo, joined, sizeof(joined));
	return 0;
}

static int walk_into(struct walk *w, const char *name, const char *rest)
{
	CLEAN_FD int fd = -1;
	struct stat st;

	fd = openat(w->fd[w->n - 1], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (S_ISLNK(st.st_mode))
		return walk_link(w, fd, rest);
	if (w->n == DEPTH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	w->fd[w->n++] = take_fd(&fd);
	memmove(w->todo, rest, strlen(rest) + 1);
	return 0;
}

/* One component: "" and "." stay, ".." goes back to the descriptor we came from. */
static int walk_step(struct walk *w)
{
	char name[256], *rest = w->todo + strspn(w->todo, "/");
	struct stat st;
	size_t n = strcspn(rest, "/");

	if (n >= sizeof(name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, rest, n);
	name[n] = '\0';
	rest += n;
	if (n == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		if (fstat(w->fd[w->n - 1], &st) < 0)
			return -1;
		if (!S_ISDIR(st.st_mode)) {
			errno = ENOTDIR;
			return -1;
		}
		if (n == 2 && w->n > 1)
			walk_pop_to(w, w->n - 1);
		memmove(w->todo, rest, strlen(rest) + 1);
		return 0;
	}
	return walk_into(w, name, rest);
}

/* What openat2(RESOLVE_IN_ROOT) does, for kernels before 5.6. */
static int walk_open(int root, const char *path, int flags)
{
	struct walk w = { .n = 0 };
	struct stat st;
	int fd = -1;

	if (strlen(path) >= sizeof(w.todo)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(w.todo, path);
	w.fd[0] = openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w.fd[0] < 0)
		return -1;
	w.n = 1;
	while (w.todo[0] != '\0')
		if (walk_step(&w) < 0)
			goto out;
	if (fstat(w.fd[w.n - 1], &st) < 0)
		goto out;
	if ((flags & O_DIRECTORY) && !S_ISDIR(st.st_mode))
		errno = ENOTDIR;
	else
		fd = w.fd[--w.n];
out:
	for (int saved = errno; w.n > 0; errno = saved)
		close(w.fd[--w.n]);
	return fd;
}

int root_open(int root, const char *path, int flags)
{
	struct sys_open_how how = {
		.flags = (uint64_t)(O_PATH | O_CLOEXEC | flags),
		.resolve = SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_MAGICLINKS,
	};

	path += strspn(path, "/");
	if (*path == '\0')
		path = ".";
	/* EAGAIN: something was renamed meanwhile and ".." could not be proved safe. */
	for (int i = 0; i < RACES_MAX && feat_on(FEAT_OPENAT2); i++) {
		int fd = sys_openat2(root, path, &how);

		if (fd >= 0 || (errno != EAGAIN && !feat_lost(FEAT_OPENAT2)))
			return fd;
	}
	return walk_open(root, path, flags);
}

/*
 * Existing parts are resolved by root_open(); the first missing component and all
 * below it are made and opened one at a time on a descriptor we already hold, so a
 * link that is swapped in meanwhile is refused, not followed.
 */
static int make_missing(int dir, const char *name)
{
	if (strcmp(name, "..") == 0) {          /* would leave what we hold */
		errno = ENOENT;
		return -1;
	}
	if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		return -1;
	return openat(dir, name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
}

int root_mkdirs(int root, const char *path)
{
	char done[PATH_LEN_MAX], name[256];
	CLEAN_FD int dir = openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool made = false;
	size_t used = 0;

	for (path += strspn(path, "/"); dir >= 0 && *path; path += strspn(path, "/")) {
		size_t n = strcspn(path, "/");
		int next = -1;

		if (n >= sizeof(name) || used + n + 2 > sizeof(done)) {
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, path, n);
		name[n] = '\0';
		used += (size_t)snprintf(done + used, sizeof(done) - used, "/%s", name);
		path += n;
		if (!made)
			next = root_open(root, done, O_DIRECTORY);
		if (made || (next < 0 && errno == ENOENT)) {
			next = make_missing(dir, name);
			made = true;
		}
		if (next < 0)
			return -1;
		close(dir);
		dir = next;
	}
	return take_fd(&dir);
}

int root_mkfile(int root, const char *path)
{
	char parent[PATH_LEN_MAX];
	const char *name = strrchr(path, '/');
	CLEAN_FD int dir = -1, file = -1;
	int fd = root_open(root, path, 0);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	name = name ? name + 1 : path;
	if ((size_t)snprintf(parent, sizeof(parent), "%.*s", (int)(name - path), path) >=
	    sizeof(parent)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	dir = root_mkdirs(root, parent);
	if (dir < 0)
		return -1;
	file = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (file < 0)
		return -1;
	return openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

long read_small(int dir, const char *path, char *buf, size_t size)
{
	CLEAN_FD int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;

	if (fd < 0)
		return -1;
	while (used < size - 1) {
		ssize_t n = read(fd, buf + used, size - 1 - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	buf[used] = '\0';
	return (long)used;
}
