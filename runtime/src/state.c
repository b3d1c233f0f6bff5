/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "feat.h"
#include "hooks.h"
#include "opts.h"
#include "path.h"
#include "state_file.h"
#include "sys.h"

/* ---- the folder ------------------------------------------------------------- */

static bool private_dir(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == own_uid() && (st.st_mode & 077) == 0;
}

int state_root(void)
{
	const char *path = getenv("SAMPAN_RUN");
	CLEAN_FD int fd = -1;

	path = path && *path ? path : RUN_DEFAULT;
	fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return err_set("mkdir %s", path);
		fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0)
		return err_set("open %s", path);
	if (!private_dir(fd)) {
		err_plain("%s is not a private folder of this user", path);
		err_hint("it must belong to root with mode 0700");
		return -1;
	}
	return take_fd(&fd);
}

static int open_dir(int root, const char *name)
{
	return openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int state_dir(const char *name)
{
	CLEAN_FD int root = state_root();

	return root < 0 ? -1 : open_dir(root, name);
}

static void remove_dir(int root, int dir, const char *name)
{
	static const char files[][12] = { "state", "socket", "seccomp", "devices", "devices.new", "state.new",
					  "end", "end.new" };
	size_t i = 0;

	flock(root, LOCK_EX);           /* a claim sees all of it or nothing */
	do {                            /* those behind the second seldom are there */
		unlinkat(dir, files[i++], 0);
		if (i >= 2 && (unlinkat(root, name, AT_REMOVEDIR) == 0 || errno != ENOTEMPTY))
			break;
	} while (i < ARRAY_SIZE(files));
}

void state_remove(const char *name)
{
	CLEAN_FD int root = state_root();
	CLEAN_FD int dir = root < 0 ? -1 : open_dir(root, name);

	if (dir >= 0)
		remove_dir(root, dir, name);
}

static int claimed;                     /* the root, from a claim until this process ends */

void state_release(int dir, const char *name)
{
	remove_dir(claimed, dir, name);
}

/*
 * A start holds the lock of its folder until the file is there: 1 ms as a rule. `wait`:
 * for that; otherwise a name that is just being started is EWOULDBLOCK.
 */
static int load_at(int root, const char *name, struct state *st, bool wait)
{
	CLEAN_FD int dir = open_dir(root, name);
	int rc;

	memset(st, 0, sizeof(*st));
	cg_init(&st->cg);
	if (dir < 0)
		return errno == ENOENT ? 0 : err_set("open the state folder");
	rc = state_read(dir, name, st);
	if (rc == 0) {
		if (flock(dir, LOCK_SH | (wait ? 0 : LOCK_NB)) < 0)
			return err_plain("the container is already starting");
		rc = state_read(dir, name, st);
	}
	return rc;
}

int state_load(const char *name, struct state *st)
{
	CLEAN_FD int root = state_root();

	return root < 0 ? -1 : load_at(root, name, st, true);
}

static bool dead(const struct state *st)
{
	return !task_alive(&st->init) && !task_alive(&st->supervisor);
}

int state_of(const struct ctr *ctr, struct state *st)
{
	int rc = state_load(ctr->name, st);

	if (rc == 1 && strcmp(st->lxcpath, ctr->lxcpath) != 0)
		rc = 0;
	if (rc == 1 && dead(st)) {      /* an interface it had taken must not wait for a start */
		state_clean(ctr->name);
		rc = 0;
	}
	if (rc == 0)
		st->state = ST_STOPPED;
	if (rc == 1 && (st->state == ST_RUNNING || st->state == ST_FROZEN))
		st->state = cg_frozen(&st->cg) ? ST_FROZEN : ST_RUNNING;
	return rc;
}

int state_open(struct ctr *ctr, struct state *st, const char *name, const char *lxcpath)
{
	int rc;

	need_root();
	ctr_init(ctr, name, lxcpath);
	rc = state_of(ctr, st);
	if (rc < 0)
		fail();
	return rc;
}

void state_running(struct ctr *ctr, struct state *st, const struct args *a)
{
	if (state_open(ctr, st, a->name, a->lxcpath) == 1 && st->state != ST_STARTING)
		return;
	err_plain("the container is not running");
	fail();
}

/* ---- claiming ------------------------------------------------------------------ */

static int in_use(const struct ctr *ctr, const struct state *old)
{
	if (strcmp(old->lxcpath, ctr->lxcpath) != 0)
		return err_plain("a container of this name runs already, from %s", old->lxcpath);
	if (task_alive(&old->supervisor))
		return err_plain("the container is already %s",
				 old->state == ST_STARTING ? "starting" : "running");
	err_plain("the container is already running (pid %d), but its supervisor is gone",
		  old->init.pid);
	err_hint("sampan stop %s ends it and cleans up", ctr->name);
	return -1;
}

static bool left_hooks;                 /* of a container that was cleaned up: still to be run */

/* Without the lock, for they may start or ask for other containers. */
static void end_left(int root)
{
	flock(root, LOCK_UN);
	hooks_end(false);
	left_hooks = false;
}

/* 1: the name is taken; 0: what a dead container of this name left is gone. */
static int take_over(int root, const char *name, struct state *old)
{
	int rc = load_at(root, name, old, false);
	CLEAN_FD int dir = -1;

	if (rc < 0)
		return -1;
	if (!dead(old))
		return 1;
	dir = open_dir(root, name);
	net_end(dir, &old->net);
	if (rc == 1)
		cg_end(&old->cg);
	else
		cg_sweep(name);         /* killed before it could write down what it has made */
	left_hooks |= dir >= 0 && hooks_restore(dir);
	if (dir >= 0)
		remove_dir(root, dir, name);
	return 0;
}

void state_clean(const char *name)
{
	CLEAN_FD int root = state_root();
	struct state old;

	if (root >= 0 && flock(root, LOCK_EX) == 0)
		take_over(root, name, &old);
	if (left_hooks)
		end_left(root);
}

int state_claim(const struct ctr *ctr)
{
	CLEAN_FD int root = state_root(), dir = -1;
	struct state old;
	int rc;

	if (root < 0)
		return -1;
	if (flock(root, LOCK_EX) < 0)           /* until the claim is made, or `root` closed */
		return err_set("lock " RUN_DEFAULT);
	if (mkdirat(root, ctr->name, 0700) < 0) {
		rc = errno == EEXIST ? take_over(root, ctr->name, &old) : 0;
		if (rc != 0)
			return rc < 0 ? -1 : in_use(ctr, &old);
		if (left_hooks) {
			end_left(root);
			return state_claim(ctr);
		}
		if (mkdirat(root, ctr->name, 0700) < 0)
			return err_set("mkdir " RUN_DEFAULT "/%s", ctr->name);
	}
	dir = open_dir(root, ctr->name);
	if (dir >= 0 && flock(dir, LOCK_EX) == 0) {
		flock(root, LOCK_UN);
		claimed = take_fd(&root);
		return take_fd(&dir);
	}
	err_set("open " RUN_DEFAULT "/%s", ctr->name);
	unlinkat(root, ctr->name, AT_REMOVEDIR);
	return -1;
}

int state_publish(int dir, struct state *st)
{
	int file = state_write(dir, st);

	if (file >= 0)
		flock(dir, LOCK_UN);
	return file;
}
