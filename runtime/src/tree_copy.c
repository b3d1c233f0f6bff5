/* SPDX-License-Identifier: MIT */
/*
 * A copy of a folder as it is: owners, modes, times, extended attributes, nodes, hard links
 * and holes. Between descriptors of folders, so that no link in it leads anywhere.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include "limits.h"
#include "tree.h"
#include "util.h"

enum { DEPTH_MAX = 120, XATTR_BYTES = 65536 };  /* depth: two descriptors each */
#define SYS_FICLONE 0x40049409                  /* _IOW(0x94, 9, int): blocks shared by both files */

struct copy {
	const char *skip;               /* an entry of the folder itself, or NULL */
	int root;                       /* of the copy */
	struct link {
		dev_t dev;
		ino_t ino;
		char *path;
	} *links;
	size_t nlinks;
	char at[PATH_LEN_MAX * 4];      /* below the root, of what is being copied */
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = sig;
}

/* ---- contents and attributes -------------------------------------------------- */

static int copy_range(int in, int out, off_t from, off_t to)
{
	if (lseek(out, from, SEEK_SET) < 0)
		return -1;
	while (from < to && !stopped) {
		ssize_t n = sendfile(out, in, &from, (size_t)(to - from > 1 << 20 ? 1 << 20 : to - from));

		if (n < 0 && errno != EINTR)
			return -1;
		if (n == 0)
			break;          /* it has become shorter meanwhile */
	}
	return 0;
}

static int copy_data(int in, int out, off_t size)
{
	off_t data = 0, hole;

	if (ioctl(out, SYS_FICLONE, in) == 0)
		return 0;
	while (data < size && !stopped && (data = lseek(in, data, SEEK_DATA)) >= 0) {
		hole = lseek(in, data, SEEK_HOLE);
		if (copy_range(in, out, data, hole < 0 ? size : hole) < 0)
			return -1;
		data = hole < 0 ? size : hole;
	}
	if (data < 0 && errno != ENXIO)         /* nothing but a hole up to the end */
		return -1;
	return ftruncate(out, size);
}

static int copy_xattrs(int from, int to, const char *name)
{
	static char *names;
	char src[PATH_LEN_MAX], dst[PATH_LEN_MAX];
	ssize_t n;

	snprintf(src, sizeof(src), "/proc/self/fd/%d/%s", from, name);
	snprintf(dst, sizeof(dst), "/proc/self/fd/%d/%s", to, name);
	if (!names && !(names = malloc(2 * XATTR_BYTES)))
		return -1;
	n = llistxattr(src, names, XATTR_BYTES);
	if (n < 0)
		return errno == ENOTSUP ? 0 : -1;
	for (char *p = names; p < names + n; p += strlen(p) + 1) {
		ssize_t size = lgetxattr(src, p, names + XATTR_BYTES, XATTR_BYTES);

		if (size < 0 || lsetxattr(dst, p, names + XATTR_BYTES, (size_t)size, 0) < 0)
			return -1;
	}
	return 0;
}

/* Owner before mode and attributes: a change of owner takes set-uid and capabilities away. */
static int copy_meta(int from, int to, const char *name, const struct stat *st)
{
	const struct timespec times[] = { st->st_atim, st->st_mtim };

	if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (!S_ISLNK(st->st_mode) && fchmodat(to, name, st->st_mode & 07777, 0) < 0) ||
	    copy_xattrs(from, to, name) < 0)
		return -1;
	return utimensat(to, name, times, AT_SYMLINK_NOFOLLOW);
}

/* ---- kinds of files -------------------------------------------------------------- */

static int copy_file(int from, int to, const char *name, const struct stat *st)
{
	CLEAN_FD int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	CLEAN_FD int out = in < 0 ? -1 : openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return out < 0 ? -1 : copy_data(in, out, st->st_size);
}

static int copy_link(int from, int to, const char *name)
{
	char target[PATH_LEN_MAX * 4];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return -1;
	target[n] = '\0';
	return symlinkat(target, to, name);
}

/* 1: it is there by the link; 0: a new file, whose place is remembered. */
static int hard_link(struct copy *c, int to, const char *name, const struct stat *st)
{
	struct link *more;

	for (size_t i = 0; i < c->nlinks; i++)
		if (c->links[i].ino == st->st_ino && c->links[i].dev == st->st_dev)
			return linkat(c->root, c->links[i].path, to, name, 0) < 0 ? -1 : 1;
	more = realloc(c->links, (c->nlinks + 1) * sizeof(*more));
	if (!more)
		return -1;
	c->links = more;
	more[c->nlinks++] = (struct link){ st->st_dev, st->st_ino, strdup(c->at) };
	return 0;
}

/* These return -1 with errno, or -2 when the error has been set already. */
static int copy_inside(struct copy *c, int in, int out, unsigned depth);

static int copy_dir(struct copy *c, int from, int to, const char *name, unsigned depth)
{
	int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CLEAN_FD int out = in < 0 || mkdirat(to, name, 0700) < 0 ? -1 :
			   openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (out < 0) {
		close_fd(&in);
		return -1;
	}
	return copy_inside(c, in, out, depth);
}

static int copy_new(struct copy *c, int from, int to, const char *name, const struct stat *st,
		    unsigned depth)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFDIR:
		return copy_dir(c, from, to, name, depth);
	case S_IFREG:
		return copy_file(from, to, name, st);
	case S_IFLNK:
		return copy_link(from, to, name);
	default:
		return mknodat(to, name, st->st_mode, st->st_rdev);
	}
}

static int copy_any(struct copy *c, int from, int to, const char *name, unsigned depth)
{
	struct stat st;
	int rc;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	rc = !S_ISDIR(st.st_mode) && st.st_nlink > 1 ? hard_link(c, to, name, &st) : 0;
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	rc = copy_new(c, from, to, name, &st, depth);
	return rc < 0 ? rc : copy_meta(from, to, name, &st);
}

static int copy_entry(struct copy *c, int from, int to, const char *name, unsigned depth)
{
	size_t used = strlen(c->at), room = sizeof(c->at) - used;
	int rc = -2;

	if (depth == 1 && c->skip && strcmp(name, c->skip) == 0)
		return 0;
	if ((size_t)snprintf(c->at + used, room, "%s%s", used ? "/" : "", name) >= room ||
	    depth > DEPTH_MAX)
		err_plain("folders are nested too deeply at %s", name);
	else if (stopped)
		err_plain("interrupted");
	else if ((rc = copy_any(c, from, to, name, depth)) == -1)
		rc = err_set("copy %s", c->at) - 1;
	c->at[used] = '\0';
	return rc;
}

/* Takes `in`. */
static int copy_inside(struct copy *c, int in, int out, unsigned depth)
{
	DIR *d = fdopendir(in);
	struct dirent *e;
	int rc = 0;

	if (!d) {
		close(in);
		return -1;
	}
	while (rc == 0 && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = copy_entry(c, in, out, e->d_name, depth + 1);
	closedir(d);
	return rc;
}

int tree_copy(const char *from, int to, const char *skip)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	struct copy c = { .root = to, .skip = skip };
	CLEAN_FD int top = openat(AT_FDCWD, from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		signal(ends[i], stop);
	if (top < 0 || fstat(top, &st) < 0)
		return err_set("open %s", from);
	rc = copy_inside(&c, fcntl(top, F_DUPFD_CLOEXEC, 3), to, 0);
	if (rc == 0)
		rc = copy_meta(top, to, ".", &st);
	if (rc == -1)
		err_set("copy %s", from);
	/* Interrupted behind the last entry: the caller takes it back, too. */
	if (rc == 0 && stopped)
		rc = err_plain("interrupted");
	return rc < 0 ? -1 : 0;
}
