/* SPDX-License-Identifier: MIT */
/* The command snapshot: states of a container to come back to, in its folder's `snaps`. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "clone.h"
#include "conf.h"
#include "json.h"
#include "opts.h"
#include "path.h"
#include "sys.h"
#include "tree.h"

enum { SNAPS_MAX = 1000 };

static struct {
	bool list, comments;
	const char *restore, *destroy, *newname, *comment;
} want;

static char snaps[PATH_LEN_MAX];        /* LXCPATH/NAME/snaps */

static void snap_path(char *buf, const char *name)
{
	if (!name_ok(name)) {
		err_plain("'%.80s' is no snapshot", name);
		fail();
	}
	path_fmt(buf, PATH_LEN_MAX, "%s/%s", snaps, name);
	if (access(buf, F_OK) < 0) {
		err_plain("there is no snapshot %s", name);
		err_hint("-L lists those there are");
		fail();
	}
}

/* ---- making one ----------------------------------------------------------------- */

static int write_file(int dir, const char *name, const char *text, size_t n)
{
	CLEAN_FD int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

	return fd < 0 || !write_all(fd, text, n) ? err_set("write %s", name) : 0;
}

static int annotate(int dir)
{
	char comment[16384];
	time_t now = (time_t)(sys_clock_ns(CLOCK_REALTIME) / 1000000000);
	struct tm t;
	char ts[32];
	long n;

	gmtime_r(&now, &t);
	snprintf(ts, sizeof(ts), "%d:%02d:%02d %02d:%02d:%02d", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
		 t.tm_hour, t.tm_min, t.tm_sec);
	if (write_file(dir, "ts", ts, strlen(ts)) < 0)
		return -1;
	if (!want.comment)
		return 0;
	n = read_small(AT_FDCWD, want.comment, comment, sizeof(comment));
	return n < 0 ? err_set("read %s", want.comment) : write_file(dir, "comment", comment, (size_t)n);
}

/* Only what lies in the folder can be taken along. */
static void check_root(const struct ctr *ctr)
{
	size_t n = strlen(ctr->dir);
	const char *root;

	conf_load(&own_conf, ctr->config, conf_print, NULL);
	root = own_conf.rootfs;
	if (root && own_conf.root_kind == ROOT_OVERLAY)
		root = strrchr(root, ':') + 1;
	if (!root || root[0] != '/' || (strncmp(root, ctr->dir, n) == 0 && root[n] == '/'))
		return;
	err_plain("its root file system %s lies outside of %s: a snapshot would not hold it", root,
		  ctr->dir);
	err_hint("sampan copy brings it in");
	fail();
}

static void make(const struct ctr *ctr)
{
	char name[16], path[PATH_LEN_MAX], final[PATH_LEN_MAX];
	CLEAN_FD int dir = -1;
	int n = -1;

	check_root(ctr);
	if (mkdir(snaps, 0700) < 0 && errno != EEXIST) {
		err_set("mkdir %s", snaps);
		fail();
	}
	do {
		snprintf(name, sizeof(name), "snap%d", ++n);
		path_fmt(final, sizeof(final), "%s/%s", snaps, name);
	} while (n < SNAPS_MAX && access(final, F_OK) == 0);
	if ((dir = clone_begin(snaps, name, path)) < 0)
		fail();
	if (clone_fill(dir, ctr->dir, "snaps", NULL) < 0 || annotate(dir) < 0 ||
	    clone_commit(dir, path, final) < 0) {
		clone_abort(path);
		fail();
	}
}

/* ---- listing ----------------------------------------------------------------------- */

static const char *read_note(const char *name, const char *file, char *buf, size_t size)
{
	char path[PATH_LEN_MAX];
	long n;

	path_fmt(path, sizeof(path), "%s/%s/%s", snaps, name, file);
	n = read_small(AT_FDCWD, path, buf, size);
	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static void print_one(const char *name, bool json, bool first)
{
	char comment[16384];
	char ts[64];

	read_note(name, "ts", ts, sizeof(ts));
	read_note(name, "comment", comment, sizeof(comment));
	if (!json) {
		printf("%s (%s) %s\n", name, snaps, ts);
		if (want.comments && *comment)
			printf("%s%s", comment, comment[strlen(comment) - 1] == '\n' ? "" : "\n");
		return;
	}
	printf("%s\n  {\"name\": \"%s\", \"time\": ", first ? "" : ",", name);
	json_string(ts);
	json_field(", \"comment\": ", *comment ? comment : NULL);
	putchar('}');
}

static void each(bool json, void (*run)(const char *name, bool json, bool first))
{
	char path[PATH_LEN_MAX + 16], name[16];
	bool first = true;

	for (int n = 0; n < SNAPS_MAX; n++) {
		snprintf(name, sizeof(name), "snap%d", n);
		snprintf(path, sizeof(path), "%s/%s", snaps, name);
		if (access(path, F_OK) < 0)
			continue;
		run(name, json, first);
		first = false;
	}
}

static void list(bool json)
{
	if (json)
		putchar('[');
	each(json, print_one);
	if (json)
		puts("\n]");
	else if (access(snaps, F_OK) < 0)
		puts("No snapshots");
}

/* ---- coming back ----------------------------------------------------------------------- */

/* In the original's place: it waits as .NAME.old until the restored one has its name. */
static void replace(const struct ctr *ctr, int dir, const char *path)
{
	char old[PATH_LEN_MAX], inner[PATH_LEN_MAX];

	path_fmt(old, sizeof(old), "%s/.%s.old", ctr->lxcpath, ctr->name);
	path_fmt(inner, sizeof(inner), "%s/.%s.old/snaps", ctr->lxcpath, ctr->name);
	if (access(old, F_OK) == 0 && tree_remove(old) < 0)
		goto failed;
	if (syncfs(dir) < 0 || rename(ctr->dir, old) < 0) {
		err_set("move %s away", ctr->dir);
		goto failed;
	}
	if (rename(path, ctr->dir) < 0) {
		err_set("rename %s to %s", path, ctr->dir);
		rename(old, ctr->dir);
		goto failed;
	}
	if (rename(inner, snaps) < 0) {
		err_set("keep the snapshots: they are in %s now", inner);
		fail();
	}
	if (tree_remove(old) == 0)
		return;
	fail();
failed:
	clone_abort(path);
	fail();
}

static void restore(const struct ctr *ctr)
{
	const char *name = want.newname ? want.newname : ctr->name;
	char from[PATH_LEN_MAX], path[PATH_LEN_MAX];
	static struct ctr new;
	struct clone_edit edit = { .old_dir = ctr->dir, .utsname = name };
	bool in_place = strcmp(name, ctr->name) == 0;
	CLEAN_FD int dir = -1;

	snap_path(from, want.restore);
	ctr_init(&new, name, ctr->lxcpath);
	edit.new_dir = new.dir;
	edit.new_macs = !in_place;
	if (!in_place && access(new.dir, F_OK) == 0) {
		err_plain("%s exists already", new.dir);
		fail();
	}
	if ((dir = clone_begin(new.lxcpath, name, path)) < 0)
		fail();
	if (clone_fill(dir, from, NULL, in_place ? NULL : &edit) < 0 ||
	    (unlinkat(dir, "ts", 0) < 0 && errno != ENOENT) ||
	    (unlinkat(dir, "comment", 0) < 0 && errno != ENOENT) ||
	    (!in_place && clone_commit(dir, path, new.dir) < 0)) {
		clone_abort(path);
		fail();
	}
	if (in_place)
		replace(ctr, dir, path);
}

/* Out of the list first, so that no half of one is ever restored. */
static void drop(const char *name, bool json, bool first)
{
	char path[PATH_LEN_MAX], gone[PATH_LEN_MAX];

	(void)json;
	(void)first;
	snap_path(path, name);
	path_fmt(gone, sizeof(gone), "%s/.%s.old", snaps, name);
	if (access(gone, F_OK) == 0 && tree_remove(gone) < 0)
		fail();
	if (rename(path, gone) < 0) {
		err_set("delete %s", path);
		fail();
	}
	if (tree_remove(gone) < 0)
		fail();
}

int cmd_snapshot(int argc, char **argv)
{
	static const struct opt opts[] = {
		{ OPT("-L, --list", "list them"), &want.list },
		{ OPT("-C, --showcomments", "-L: with their comments"), &want.comments },
		{ OPT("-c, --comment=FILE", "keep the text of FILE with it"), &want.comment },
		{ OPT("-r, --restore=SNAP", "come back to it, or make NEWNAME of it"), &want.restore },
		{ OPT("-N, --newname=NEWNAME", "-r: a new container instead"), &want.newname },
		{ OPT("-d, --destroy=SNAP", "delete it, ALL: all of them"), &want.destroy },
	};
	static const struct optset set = {
		"snapshot [-n] NAME [-c FILE | -L [-C] | -r SNAP [-N NEWNAME] | -d SNAP]",
		"Keeps the state of a stopped container as snap0, snap1...",
		opts, ARRAY_SIZE(opts), OPTS_NAME | OPTS_JSON,
	};
	static struct ctr ctr;
	struct args a = opts_parse(&set, argc, argv);

	if (want.list) {
		need_root();
		ctr_init(&ctr, a.name, a.lxcpath);
	} else {
		clone_source(&ctr, a.name, a.lxcpath, want.destroy || (want.restore && want.newname));
	}
	path_fmt(snaps, sizeof(snaps), "%s/snaps", ctr.dir);
	if (want.list || want.comments)
		list(a.json);
	else if (want.restore)
		restore(&ctr);
	else if (want.destroy && strcmp(want.destroy, "ALL") == 0)
		each(false, drop);
	else if (want.destroy)
		drop(want.destroy, false, false);
	else
		make(&ctr);
	return 0;
}
