/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include "clone.h"
#include "lines.h"
#include "state.h"
#include "tree.h"
#include "words.h"

/* ---- the folder ----------------------------------------------------------------- */

int clone_begin(const char *parent, const char *name, char path[PATH_LEN_MAX])
{
	CLEAN_FD int dir = -1;

	path_fmt(path, PATH_LEN_MAX, "%s/.%s.new", parent, name);
	for (bool stale = true; stale;) {
		stale = mkdir(path, 0700) < 0;
		if (stale && errno != EEXIST)
			return err_set("mkdir %s", path);
		close_fd(&dir);
		dir = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir < 0)
			return err_set("open %s", path);
		if (flock(dir, LOCK_EX | LOCK_NB) < 0)
			return err_plain("%s is being made already", name);
		if (stale && tree_remove(path) < 0)
			return -1;
	}
	return take_fd(&dir);
}

int clone_commit(int dir, const char *path, const char *final)
{
	/* On the medium before it has its name: what a power cut leaves is all or nothing. */
	if (syncfs(dir) < 0)
		return err_set("write %s", path);
	if (access(final, F_OK) == 0)
		return err_plain("%s exists already", final);
	return rename(path, final) < 0 ? err_set("rename %s to %s", path, final) : 0;
}

void clone_abort(const char *path)
{
	char text[PATH_LEN_MAX], hint[PATH_LEN_MAX];

	snprintf(text, sizeof(text), "%s", err_text());
	snprintf(hint, sizeof(hint), "%s", err_hint_text());
	tree_remove(path);
	err_plain("%s", text);
	err_hint("%s", hint);
}

void clone_source(struct ctr *ctr, const char *name, const char *lxcpath, bool running_too)
{
	char found[PATH_LEN_MAX];
	struct state st;
	int rc = state_open(ctr, &st, name, lxcpath);

	if (rc == 0 && !ctr_defined(ctr)) {
		err_plain("Container is not defined");
		fail();
	}
	if (rc == 1 && !running_too) {
		err_plain("the container is running");
		err_hint("stop it first");
		fail();
	}
	rc = tree_mounted(ctr->dir, found, sizeof(found));
	if (rc > 0) {
		err_plain("something is mounted on %s", found);
		err_hint("umount %s, then try again", found);
	}
	if (rc != 0)
		fail();
}

/* ---- the configuration ------------------------------------------------------------- */

/* LXC's own prefix, so that people see what it is. */
static void put_mac(FILE *out)
{
	unsigned char b[3] = { 0 };

	(void)!getrandom(b, sizeof(b), 0);
	fprintf(out, "00:16:3e:%02x:%02x:%02x\n", b[0], b[1], b[2]);
}

static void put_paths(FILE *out, const char *text, const struct clone_edit *edit)
{
	size_t n = strlen(edit->old_dir);
	const char *hit;

	while (n > 0 && (hit = strstr(text, edit->old_dir)) != NULL) {
		bool whole = strchr("/ \t:,\"'", hit[n]) != NULL;       /* the end of the text, too */

		fprintf(out, "%.*s%s", (int)(hit - text), text, whole ? edit->new_dir : edit->old_dir);
		text = hit + n;
	}
	fprintf(out, "%s\n", text);
}

/* A new host name, MAC and root file system take the place of the line they replace. */
static void put_line(FILE *out, const char *line, const struct clone_edit *edit, bool *named)
{
	static const char name[] = "lxc.uts.name\0lxc.utsname\0";
	static const char root[] = "lxc.rootfs.path\0lxc.rootfs\0lxc.rootfs.backend\0";
	const char *key = line + strspn(line, " \t"), *value = strchr(line, '=');
	size_t n = strcspn(key, " \t=");

	if (value && *key != '#' && edit->rootfs && word_index(root, key, n) >= 0)
		return;
	if (value && edit->utsname && word_index(name, key, n) >= 0) {
		*named = true;
		fprintf(out, "%.*s= %s\n", (int)(value - line), line, edit->utsname);
	} else if (value && edit->new_macs && *key != '#' && n > 7 &&
		   strncmp(key + n - 7, ".hwaddr", 7) == 0 && !strchr(value, 'x')) {
		fprintf(out, "%.*s= ", (int)(value - line), line);
		put_mac(out);
	} else {
		put_paths(out, line, edit);
	}
}

int clone_config(const char *from, int dir, const char *name, const struct clone_edit *edit)
{
	CLEAN_FD int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	char bytes[OUTPUT_BYTES];
	FILE file = { .fd = fd, .bytes = bytes }, *out = &file;
	struct lines l CLEAN_LINES;
	bool named = false;

	l.fd = -1;
	if (fd < 0)
		return err_set("create %s", name);
	if (!lines_open(&l, from))
		return err_set("read %s", from);
	for (const char *line; (line = lines_next(&l)) != NULL;)
		put_line(out, line, edit, &named);
	if (edit->rootfs)
		fprintf(out, "lxc.rootfs.path = %s\n", edit->rootfs);
	if (edit->utsname && !named)
		fprintf(out, "lxc.uts.name = %s\n", edit->utsname);
	if (edit->ephemeral)
		fputs("lxc.ephemeral = 1\n", out);
	if (fflush(out) != 0)
		return err_set("write %s", name);
	return 0;
}

int clone_fill(int dir, const char *from, const char *skip, const struct clone_edit *edit)
{
	char config[PATH_LEN_MAX];

	path_fmt(config, sizeof(config), "%s/config", from);
	if (tree_copy(from, dir, skip) < 0)
		return -1;
	return edit ? unlinkat(dir, "config", 0) < 0 && errno != ENOENT ? err_set("replace %s", config) :
		      clone_config(config, dir, "config", edit) : 0;
}
