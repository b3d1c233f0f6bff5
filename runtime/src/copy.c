/* SPDX-License-Identifier: MIT */
/* The command copy: full copies, overlay clones, ephemeral ones, and new names. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include "clone.h"
#include "conf.h"
#include "hooks.h"
#include "launch.h"
#include "opts.h"
#include "path.h"
#include "tree.h"

static struct {
	const char *newname, *newpath, *backing, *fssize;
	struct list mounts;
	bool rename, snapshot, running_too, ephemeral, foreground, tmpfs, keep_data, keep_name, keep_mac;
} want;

static char rootfs[4 * PATH_LEN_MAX];   /* of the copy: the value of its lxc.rootfs.path */

static bool inside(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* ---- where the root file system of the copy comes from --------------------------- */

/* overlay:LAYER...:UPPER becomes overlay:UPPER:LAYER...:NEW: what was written lies on top. */
static int stack(const char *upper)
{
	const char *last = strrchr(own_conf.rootfs, ':');

	if (own_conf.root_kind != ROOT_OVERLAY)
		path_fmt(rootfs, sizeof(rootfs), "overlay:%s:%s", own_conf.rootfs, upper);
	else if (last[1] == '/')
		path_fmt(rootfs, sizeof(rootfs), "overlay:%s:%.*s:%s", last + 1,
			 (int)(last - own_conf.rootfs), own_conf.rootfs, upper);
	else                                    /* an upper layer in memory is gone by now */
		path_fmt(rootfs, sizeof(rootfs), "overlay:%.*s:%s", (int)(last - own_conf.rootfs),
			 own_conf.rootfs, upper);
	return 0;
}

static int make_layers(const struct ctr *new, int dir)
{
	char upper[PATH_LEN_MAX];

	if (want.tmpfs)
		return stack("tmpfs");
	path_fmt(upper, sizeof(upper), "%s/delta0", new->dir);
	if (mkdirat(dir, "delta0", 0755) < 0)
		return err_set("mkdir delta0");
	return stack(upper);
}

/* A root file system outside of the container's folder comes into that of the copy. */
static int bring_in(const struct ctr *new, int dir, const char *from)
{
	CLEAN_FD int to = mkdirat(dir, "rootfs", 0755) < 0 && errno != EEXIST ? -1 :
			  openat(dir, "rootfs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (to < 0)
		return err_set("mkdir rootfs");
	path_fmt(rootfs, sizeof(rootfs), "dir:%s/rootfs", new->dir);
	return tree_copy(from, to, NULL);
}

static int fill(const struct ctr *old, const struct ctr *new, int dir)
{
	struct clone_edit edit = {
		.old_dir = old->dir, .new_dir = new->dir, .utsname = want.keep_name ? NULL : new->name,
		.new_macs = !want.keep_mac, .ephemeral = want.ephemeral && !want.keep_data,
	};
	bool own = own_conf.rootfs && inside(own_conf.rootfs, old->dir);
	struct stat st;

	if (want.snapshot || want.ephemeral) {
		if (!own_conf.rootfs)
			return err_plain("it has the host's root file system: nothing to put a layer on");
		if (make_layers(new, dir) < 0)
			return -1;
		edit.old_dir = edit.new_dir = "";       /* what it refers to stays where it is */
		edit.rootfs = rootfs;
		return clone_config(old->config, dir, "config", &edit);
	}
	if (own_conf.rootfs && !own && own_conf.root_kind != ROOT_OVERLAY &&
	    stat(own_conf.rootfs, &st) == 0 && S_ISDIR(st.st_mode)) {
		if (clone_fill(dir, old->dir, "snaps", NULL) < 0 || bring_in(new, dir, own_conf.rootfs) < 0)
			return -1;
		edit.rootfs = rootfs;
		return unlinkat(dir, "config", 0) < 0 ? err_set("replace config") :
		       clone_config(old->config, dir, "config", &edit);
	}
	return clone_fill(dir, old->dir, "snaps", &edit);
}

/*
 * A system's init sets the name that its own file says, so the file of a copied root file
 * system gets the new one, as with LXC. What is not a plain file is left alone.
 */
static void write_hostname(const struct ctr *new, int dir)
{
	CLEAN_FD int root = openat(dir, "rootfs", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CLEAN_FD int file = root < 0 || want.keep_name ? -1 : root_open(root, "etc/hostname", 0);
	CLEAN_FD int fd = -1;
	struct stat st;

	if (file < 0 || fstat(file, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink > 1)
		return;
	fd = openat(AT_FDCWD, fd_path(file).s, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd >= 0 && write_all(fd, new->name, strlen(new->name)))
		write_all(fd, "\n", 1);
}

/* ---- hooks ------------------------------------------------------------------------- */

static int clone_hooks(const struct ctr *old, const struct ctr *new, char **rest, int nrest)
{
	char source[NAME_LEN_MAX + 16];
	struct hook_more more = { .env = { source } };

	snprintf(source, sizeof(source), "LXC_SRC_NAME=%s", old->name);
	for (int i = 0; i < nrest && i < HOOK_MORE_MAX - 1; i++)
		more.args[i] = rest[i];
	if (conf_load(&own_conf, new->config, conf_print_errors, NULL) < 0)
		return err_plain("the configuration of the copy has errors");
	return hooks_load(new, &own_conf) < 0 ? -1 : hooks_run(HOOK_CLONE, &more);
}

static void clone_to(const struct ctr *old, const struct ctr *new, const struct args *a)
{
	char path[PATH_LEN_MAX];
	CLEAN_FD int dir = -1;
	int rc;

	if (access(new->dir, F_OK) == 0) {
		err_plain("%s exists already", new->dir);
		fail();
	}
	if (mkdir(new->lxcpath, 0755) < 0 && errno != EEXIST) {
		err_set("mkdir %s", new->lxcpath);
		fail();
	}
	if ((dir = clone_begin(new->lxcpath, new->name, path)) < 0)
		fail();
	rc = fill(old, new, dir);
	if (rc == 0)
		write_hostname(new, dir);
	if (rc < 0 || clone_commit(dir, path, new->dir) < 0) {
		clone_abort(path);
		fail();
	}
	if (clone_hooks(old, new, a->rest, a->nrest) < 0) {
		clone_abort(new->dir);
		fail();
	}
}

/* ---- a new name ----------------------------------------------------------------------- */

/* The configuration with the new paths lies ready in the folder before it is moved. */
static void rename_to(const struct ctr *old, const struct ctr *new)
{
	const struct clone_edit edit = { .old_dir = old->dir, .new_dir = new->dir,
					 .utsname = want.keep_name ? NULL : new->name };
	CLEAN_FD int dir = openat(AT_FDCWD, old->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || clone_config(old->config, dir, "config.new", &edit) < 0)
		fail();
	if (access(new->dir, F_OK) == 0)
		err_plain("%s exists already", new->dir);
	else if (rename(old->dir, new->dir) < 0)
		err_set("rename %s to %s", old->dir, new->dir);
	else if (renameat(dir, "config.new", dir, "config") < 0)
		err_set("replace %s", new->config);
	else
		return;
	unlinkat(dir, "config.new", 0);
	fail();
}

/* ---- the command ------------------------------------------------------------------------ */

/* NAME_xxxxxx: as LXC names what nobody named. */
static const char *random_name(const char *name)
{
	static char text[NAME_LEN_MAX + 8];
	unsigned n = 0;

	(void)!getrandom(&n, sizeof(n), 0);
	path_fmt(text, NAME_LEN_MAX + 1, "%s_%06x", name, n & 0xffffff);
	return text;
}

static void check(void)
{
	if (want.backing && strcmp(want.backing, "dir") != 0 && strcmp(want.backing, "overlay") != 0 &&
	    strcmp(want.backing, "overlayfs") != 0 && strcmp(want.backing, "best") != 0)
		usage_error("-B %s: copies are dir, or overlay with -s and -e", want.backing);
	if (want.mounts.n > 0)
		usage_error("-m is not supported: add lxc.mount.entry to the configuration");
	if (!want.newname && !want.ephemeral)
		usage_error("-N is missing: the name of the copy");
	if (want.rename + want.snapshot + want.ephemeral > 1)
		usage_error("-R, -s and -e exclude each other");
	want.keep_mac |= want.rename;
}

int cmd_copy(int argc, char **argv)
{
	static const struct opt opts[] = {
		{ OPT("-N, --newname=NAME", "name of the copy"), &want.newname },
		{ OPT("-p, --newpath=DIR", "where it is made (-P)"), &want.newpath },
		{ OPT("-R, --rename", "give the container a new name"), &want.rename },
		{ OPT("-s, --snapshot", "an overlay on the original, which must stay"), &want.snapshot },
		{ OPT("-a, --allowrunning", "also from a running container"), &want.running_too },
		{ OPT("-e, --ephemeral", "an overlay that is started, and gone when it stops"), &want.ephemeral },
		{ OPT("-F, --foreground", "-e: with the console on this terminal"), &want.foreground },
		{ OPT("-d, --daemon", "-e: in the background (the default)"), NULL },
		{ OPT("-t, --tmpfs", "-e: what is written is kept in memory"), &want.tmpfs },
		{ OPT("-D, --keepdata", "-e: it stays when it stops"), &want.keep_data },
		{ OPT("-K, --keepname", "keep the host name"), &want.keep_name },
		{ OPT("-M, --keepmac", "keep MAC addresses"), &want.keep_mac },
		{ OPT("-B, --backingstorage=TYPE", "dir or overlay"), &want.backing },
		{ OPT("-m, --mount=WHAT...", ""), &want.mounts },
		{ OPT("-L, --fssize=SIZE", ""), &want.fssize },
	};
	static const struct optset set = {
		"copy [-n] NAME -N NEWNAME [-p DIR] [-s | -R | -e] [-- HOOK-ARGUMENTS]",
		"Copies a stopped container: owners, times, nodes, hard links, holes. Host name and MAC\n"
		"addresses are new. What is interrupted leaves nothing.",
		opts, ARRAY_SIZE(opts), OPTS_NAME | OPTS_JSON,
	};
	static struct ctr old, new;
	struct args a = opts_parse(&set, argc, argv);

	check();
	clone_source(&old, a.name, a.lxcpath, want.running_too || want.ephemeral);
	ctr_rcfile = NULL;                      /* of the old one */
	if (conf_load(&own_conf, old.config, conf_print_errors, NULL) < 0) {
		err_plain("%s has errors", old.config);
		fail();
	}
	ctr_init(&new, want.newname ? want.newname : random_name(a.name),
		 want.newpath ? want.newpath : old.lxcpath);
	if (want.rename)
		rename_to(&old, &new);
	else
		clone_to(&old, &new, &a);
	if (a.json)
		printf("{\"name\": \"%s\"}\n", new.name);
	else if (!a.quiet && want.ephemeral)
		printf("Created %s as clone of %s\n", new.name, old.name);
	else if (!a.quiet && !want.rename)
		printf("Created container %s as %s of %s\n", new.name, want.snapshot ? "snapshot" : "copy",
		       old.name);
	fflush(stdout);
	return want.ephemeral ? launch_new(new.name, new.lxcpath, want.foreground) : 0;
}
