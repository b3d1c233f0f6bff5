/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "nodes.h"
#include "path.h"
#include "symbol.h"
#include "util.h"

/* Opens the folder of `path`, making it when `make` is set; `*base` is the last name. */
static int open_parent(int root, const char *path, bool make, const char **base)
{
	const char *last = strrchr(path, '/');
	char folder[PATH_LEN_MAX];

	*base = last ? last + 1 : path;
	if ((size_t)snprintf(folder, sizeof(folder), "%.*s", last ? (int)(last - path) : 1,
			     last ? path : ".") >= sizeof(folder)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return make ? root_mkdirs(root, folder) : root_open(root, folder, O_DIRECTORY);
}

static bool is_node(int dir, const char *name, mode_t type, dev_t number)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & S_IFMT) == type &&
	       st.st_rdev == number;
}

int node_make(int root, const char *path, const char *like, mode_t type, dev_t number)
{
	struct stat st = { .st_mode = 0600 }, folder;
	CLEAN_FD int dir = -1;
	const char *base;

	/* One that is another device's tells nothing. */
	if (stat(like, &st) < 0 || (st.st_mode & S_IFMT) != type || st.st_rdev != number)
		st = (struct stat){ .st_mode = 0600 };
	dir = open_parent(root, path, true, &base);
	if (dir < 0)
		return -1;
	if (mknodat(dir, base, type | (st.st_mode & 0777), number) < 0)
		return errno == EEXIST && is_node(dir, base, type, number) ? 0 : -1;
	if (fstat(dir, &folder) == 0 && folder.st_uid != 0) {   /* in a user namespace: its root's */
		st.st_uid = folder.st_uid;
		st.st_gid = folder.st_gid;
	}
	if (st.st_uid == 0 && st.st_gid == 0)
		return 0;
	return fchownat(dir, base, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW);
}

void node_remove(int root, const char *path, mode_t type, dev_t number)
{
	const char *base;
	CLEAN_FD int dir = open_parent(root, path, false, &base);

	if (dir >= 0 && is_node(dir, base, type, number))
		unlinkat(dir, base, 0);
}

/* One line of a list's nodes, "c 188:0 ttyUSB0". */
struct node {
	mode_t type;
	dev_t number;
	char name[SYMBOL_NAME_MAX + 1];
};

static const char *next_node(const char *text, struct node *n)
{
	const char *end = strchr(text, '\n');
	char *p;
	unsigned major, minor;

	if (!end)
		return NULL;
	n->type = *text == 'b' ? S_IFBLK : S_IFCHR;
	major = (unsigned)strtoul(text + 2, &p, 10);
	minor = (unsigned)strtoul(p + 1, &p, 10);
	n->number = makedev(major, minor);
	snprintf(n->name, sizeof(n->name), "%.*s", (int)(end - p - 1), p + 1);
	return end + 1;
}

int nodes_make(int dev, const struct devlist *l)
{
	const char *text = l->nodes;
	struct node n;

	while ((text = next_node(text, &n)) != NULL) {
		char like[SYMBOL_NAME_MAX + 8];

		snprintf(like, sizeof(like), "/dev/%s", n.name);
		if (node_make(dev, n.name, like, n.type, n.number) < 0 && errno != EEXIST)
			return err_set("make %s in the container", like);
	}
	return 0;
}

int nodes_root(const struct task *init)
{
	CLEAN_FD int fd = open_path(O_PATH | O_DIRECTORY, "/proc/%d/root", init->pid);

	if (fd < 0)
		return -1;
	if (!task_alive(init))          /* looked up by pid: was it still that process? */
		return err_plain("the container has just ended");
	return take_fd(&fd);
}

static bool has_line(const char *text, const char *line, size_t n)
{
	for (; *text != '\0'; text += strcspn(text, "\n") + 1)
		if (strncmp(text, line, n) == 0)
			return true;
	return false;
}

int nodes_sync(const struct state *st, const struct devlist *before, const struct devlist *after)
{
	CLEAN_FD int root = -1, dev = -1;
	const char *text = before->nodes, *next;
	struct node n;

	if (!after->own_dev || strcmp(before->nodes, after->nodes) == 0)
		return 0;
	root = nodes_root(&st->init);
	dev = root < 0 ? -1 : root_open(root, "dev", O_DIRECTORY);
	if (dev < 0)
		return root < 0 ? -1 : err_set("open /dev of the container");
	for (; (next = next_node(text, &n)) != NULL; text = next)
		if (!has_line(after->nodes, text, (size_t)(next - text)))
			node_remove(dev, n.name, n.type, n.number);
	return nodes_make(dev, after);
}
