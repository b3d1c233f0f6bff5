/* SPDX-License-Identifier: MIT */
/*
 * A container whose ids are others on the host. Its first process has no rights there, so
 * what takes them, device nodes, images, owners of a mount, is made on the host's side.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "feat.h"
#include "guard.h"
#include "knobs.h"
#include "mount.h"
#include "path.h"
#include "root.h"
#include "spaces.h"
#include "sync.h"
#include "sys.h"

static int tree_of(int fd, unsigned rec, const char *what)
{
	int tree = feat_on(FEAT_OPEN_TREE) ?
		sys_open_tree(fd, "", SYS_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | rec) : (errno = ENOSYS, -1);

	if (tree >= 0)
		return tree;
	err_set("take the mounts of %s", what);
	if (errno == ENOSYS)
		err_hint("containers with lxc.idmap take Linux 5.2");
	return -1;
}

/* In mounts of its own, which end with it: all that is kept is the tree. */
static int make_root(struct start *s, struct ptys *made)
{
	CLEAN_FD int root = -1;

	umask(0);
	if (unshare(CLONE_NEWNS) < 0)
		return err_set("unshare");
	root = root_prepare(s->ctr, s->conf, s->app, s->statedir);
	if (root < 0 || dev_make(root, s->ctr, s->conf, s->devices) < 0)
		return -1;
	made->tty[0] = made->tty[1] = tree_of(root, SYS_AT_RECURSIVE, s->conf->rootfs);
	/* A second one: the root has become one that is read-only in the end. */
	made->nttys = 1 + (s->conf->rootfs_flags & MS_RDONLY);
	return made->tty[0];
}

static int root_tree(struct start *s)
{
	struct ptys made = { .console = -1 };
	int pair[2], net, code, rc;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set("socketpair");
	pid = sys_fork();
	if (pid == 0) {
		if (make_root(s, &made) < 0 || sync_ready(pair[1], &made, -1) < 0)
			sync_fail(pair[1], EXIT_OWN);
		_exit(0);
	}
	close(pair[1]);
	rc = pid < 0 ? err_set("fork") : sync_hear(pair[0], &made, &net, &code);
	close(pair[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	if (rc == 0)
		return err_plain("the root file system could not be mounted");
	if (rc < 0)
		return -1;
	if (made.nttys > 1) {
		s->conf->rootfs_flags |= MS_RDONLY;
		close(made.tty[1]);
	}
	s->tree = made.tty[0];
	return 0;
}

int userns_prepare(struct start *s)
{
	struct conf *c = s->conf;

	s->tree = -1;
	if (!(c->spaces & CLONE_NEWUSER)) {
		const char *idmap = c->rootfs_idmap;

		for (unsigned i = 0; i < c->nmounts && !idmap; i++)
			idmap = c->mount[i].idmap;
		return idmap ? err_plain("idmap=%s: lxc.idmap is missing", idmap) : 0;
	}
	guard_done();           /* mounts of the host's cannot be put into its namespace as a rule */
	for (unsigned i = 0; i < c->nmounts; i++) {
		struct conf_mount *m = &c->mount[i];
		bool ours = m->flags & MS_BIND && !m->relative;
		CLEAN_FD int fd = ours ? openat(AT_FDCWD, m->source, O_PATH | O_CLOEXEC) : -1;

		/* What is not there the new process sees, too, and says so. */
		if (fd >= 0 && (m->tree = tree_of(fd, m->flags & MS_REC ? SYS_AT_RECURSIVE : 0, m->source)) < 0)
			return -1;
	}
	return c->rootfs ? root_tree(s) : 0;
}

/* ---- once its user namespace is there ------------------------------------------ */

static int write_map(pid_t pid, const char *file, const struct conf *c, unsigned kind)
{
	char text[IDMAPS_MAX * 36];
	CLEAN_FD int fd = -1;
	int n = 0;

	for (unsigned i = 0; i < c->nidmaps; i++)
		if (c->idmap[i].kinds & kind)
			n += snprintf(text + n, sizeof(text) - (size_t)n, "%u %u %u\n", c->idmap[i].inside,
				      c->idmap[i].outside, c->idmap[i].count);
	fd = open_path(O_WRONLY, "/proc/%d/%s", pid, file);
	return fd < 0 || write(fd, text, (size_t)n) != n ? err_set("lxc.idmap: write /proc/%d/%s", pid, file) : 0;
}

static int set_owners(const struct start *s, int tree, const char *idmap, const char *what)
{
	CLEAN_FD int ns = idmap[0] == '/' ? open_path(O_RDONLY, "%s", idmap) :
					    open_path(O_RDONLY, "/proc/%d/ns/user", s->pid);

	return ns < 0 ? -1 : mnt_owners(tree, ns, what);
}

static int set_trees(struct start *s)
{
	struct conf *c = s->conf;

	if (s->tree >= 0 && c->rootfs_idmap && set_owners(s, s->tree, c->rootfs_idmap, c->rootfs) < 0)
		return -1;
	for (unsigned i = 0; i < c->nmounts; i++) {
		struct conf_mount *m = &c->mount[i];

		if (m->tree > 0 && m->idmap && set_owners(s, m->tree, m->idmap, m->source) < 0)
			return -1;
		if (m->tree > 0 && mnt_tree_flags(m->tree, m->flags) < 0)
			return err_set("set the flags of %s", m->source);
	}
	return 0;
}

static void close_trees(struct start *s)
{
	close_fd(&s->tree);
	for (unsigned i = 0; i < s->conf->nmounts; i++)
		if (s->conf->mount[i].tree > 0)
			close(s->conf->mount[i].tree);
}

int userns_map(struct start *s)
{
	const struct conf *c = s->conf;
	int rc;

	if (!(c->spaces & CLONE_NEWUSER))
		return 0;
	rc = write_map(s->pid, "uid_map", c, MAP_USERS) < 0 || write_map(s->pid, "gid_map", c, MAP_GROUPS) < 0 ||
	     set_trees(s) < 0 || knobs_write(c, s->pid) < 0 ||
	     cg_give(&s->st.cg, idmap_outside(c, MAP_USERS, 0), idmap_outside(c, MAP_GROUPS, 0)) < 0 ||
	     sync_go(s->sync, 0) < 0 ? -1 : 0;
	close_trees(s);
	return rc;
}

int userns_root(const struct start *s)
{
	CLEAN_FD int place = -1;
	int rc;

	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_set("cut mount propagation to the host");
	if (s->conf->rootfs_mount)
		place = openat(AT_FDCWD, s->conf->rootfs_mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (place < 0)
		place = mnt_top(s->statedir);
	if (place < 0 || sys_move_mount(s->tree, place) < 0)
		return err_set("mount the root file system");
	rc = mnt_top(place);
	return rc < 0 ? err_set("open the root file system") : rc;
}
