/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include "feat.h"
#include "lines.h"
#include "mount.h"
#include "path.h"
#include "sys.h"
#include "words.h"

static const struct {
	unsigned long ms;
	uint64_t attr;
} attrs[] = {
	{ MS_RDONLY, SYS_ATTR_RDONLY }, { MS_NOSUID, SYS_ATTR_NOSUID },
	{ MS_NODEV, SYS_ATTR_NODEV }, { MS_NOEXEC, SYS_ATTR_NOEXEC },
	{ MS_NOATIME, SYS_ATTR_NOATIME }, { MS_STRICTATIME, SYS_ATTR_STRICTATIME },
	{ MS_NODIRATIME, SYS_ATTR_NODIRATIME },
};

static uint64_t attr_bits(unsigned long flags)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < ARRAY_SIZE(attrs); i++)
		if (flags & attrs[i].ms)
			bits |= attrs[i].attr;
	return bits;
}

int mnt_on(const char *source, int dst, const char *type, unsigned long flags, const char *data)
{
	return mount(source, fd_path(dst).s, type, flags, data);
}

int mnt_fs(const char *source, int dst, const char *type, unsigned long flags, const char *data,
	   const char *where)
{
	if (mnt_on(source, dst, type, flags, data) == 0)
		return 0;
	err_set("mount %s on /%s", type, where);
	if (errno == ENODEV)
		err_hint("this kernel has no file system '%s'", type);
	return -1;
}

/*
 * The mount that now lies on `dst`: a descriptor opened before it was mounted still
 * shows what is underneath. `want` proves that nothing was swapped on the way.
 */
static int reopen(int dst, const struct stat *want)
{
	char path[PATH_LEN_MAX], up[PATH_LEN_MAX];
	CLEAN_FD int fd = -1;
	struct stat st;

	if (fd_name(dst, path, sizeof(path)) < 0)
		return err_set("find a mount point");
	fd = openat(AT_FDCWD, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == EACCES) {        /* a user namespace's root has no right to the folders above */
		snprintf(up, sizeof(up), "..%s", strrchr(path, '/'));
		fd = openat(dst, up, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set("open %s again", path);
	if (want && (st.st_dev != want->st_dev || st.st_ino != want->st_ino)) {
		errno = ESTALE;
		return err_set("open %s again", path);
	}
	return take_fd(&fd);
}

int mnt_top(int dst)
{
	return reopen(dst, NULL);
}

/* What a mount has been given already (nosuid of the host's disk) stays. */
int mnt_flags(const char *place, unsigned long flags)
{
	struct statvfs fs;

	if (statvfs(place, &fs) < 0)
		return -1;
	flags |= fs.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC);
	return mount(NULL, place, NULL, MS_REMOUNT | MS_BIND | (flags & ~(unsigned long)MS_REC), NULL);
}

/* All mounts at and below `top`: the kernel itself changes only one at a time. */
static int flags_below(int top, unsigned long flags)
{
	char path[PATH_LEN_MAX], place[PATH_LEN_MAX];
	long n = fd_name(top, path, sizeof(path));
	struct lines l CLEAN_LINES;

	l.fd = -1;
	if (n < 0 || !lines_open(&l, "/proc/self/mountinfo"))
		return -1;
	for (char *line; (line = lines_next(&l)) != NULL;) {
		if (!nth_word(line, 4, place, sizeof(place)) || !unescape(place) ||
		    strncmp(place, path, (size_t)n) != 0 || (place[n] != '/' && place[n] != '\0'))
			continue;
		if (mnt_flags(place, flags) < 0)
			return -1;
	}
	return 0;
}

static int give_flags(int top, unsigned long flags)
{
	return flags & MS_REC ? flags_below(top, flags) : mnt_flags(fd_path(top).s, flags);
}

/* Kernels before 5.12: bind, then change the flags of the mount we find there. */
static int bind_old(int src, int dst, unsigned long flags)
{
	CLEAN_FD int top = -1;
	struct stat st;

	if (fstat(src, &st) < 0 ||
	    mnt_on(fd_path(src).s, dst, NULL, MS_BIND | (flags & MS_REC), NULL) < 0)
		return -1;
	top = reopen(dst, &st);
	if (top < 0)
		return -1;
	if (attr_bits(flags) != 0 && give_flags(top, flags) < 0)
		return -1;
	return take_fd(&top);
}

int mnt_tree_flags(int tree, unsigned long flags)
{
	unsigned rec = flags & MS_REC ? SYS_AT_RECURSIVE : 0;
	struct sys_mount_attr attr = { .attr_set = attr_bits(flags) };

	if (attr.attr_set & SYS_ATTR__ATIME)
		attr.attr_clr = SYS_ATTR__ATIME;
	return attr.attr_set ? sys_mount_setattr(tree, AT_EMPTY_PATH | rec, &attr) : 0;
}

/* The flags are on the mount before anybody can see it. -2: the kernel cannot. */
static int bind_new(int src, int dst, unsigned long flags)
{
	unsigned rec = flags & MS_REC ? SYS_AT_RECURSIVE : 0;
	CLEAN_FD int tree = -1;

	if (!feat_on(FEAT_OPEN_TREE) || (attr_bits(flags) && !feat_on(FEAT_MOUNT_SETATTR)))
		return -2;
	tree = sys_open_tree(src, "", SYS_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | rec);
	if (tree < 0)
		return feat_lost(FEAT_OPEN_TREE) ? -2 : -1;
	if (mnt_tree_flags(tree, flags) < 0)
		return feat_lost(FEAT_MOUNT_SETATTR) ? -2 : -1;
	return sys_move_mount(tree, dst) < 0 ? -1 : take_fd(&tree);
}

int mnt_bind_top(int src, int dst, unsigned long flags, const char *where)
{
	int top = bind_new(src, dst, flags);

	if (top == -2)
		top = bind_old(src, dst, flags);
	return top < 0 ? err_set("bind on /%s", where) : top;
}

int mnt_bind(int src, int dst, unsigned long flags, const char *where)
{
	CLEAN_FD int top = mnt_bind_top(src, dst, flags, where);

	return top < 0 ? -1 : 0;
}

int mnt_owners(int tree, int userns, const char *what)
{
	struct sys_mount_attr attr = { .attr_set = SYS_ATTR_IDMAP, .userns_fd = (uint64_t)userns };

	if (!feat_on(FEAT_MOUNT_SETATTR))
		errno = ENOSYS;
	else if (sys_mount_setattr(tree, AT_EMPTY_PATH, &attr) == 0)
		return 0;
	err_set("idmap of %s", what);
	if (errno == ENOSYS || errno == EINVAL)
		err_hint("%s; without idmap= its files must belong to the host's ids of the container (chown)",
			 errno == ENOSYS ? "idmapped mounts take Linux 5.12" : "this kernel cannot idmap its file system");
	return -1;
}

/* ---- lxc.mount.entry ------------------------------------------------------ */

/* What follows `prefix`, when `path` is it or lies below it. */
static const char *below(const char *path, const char *prefix)
{
	size_t n = prefix ? strlen(prefix) : 0;

	while (n > 0 && prefix[n - 1] == '/')
		n--;
	if (n == 0 || strncmp(path, prefix, n) != 0 || (path[n] != '/' && path[n] != '\0'))
		return NULL;
	return path + n;
}

void mnt_inside(const struct ctr *ctr, const struct conf *conf, const char *target, char *out,
		size_t size)
{
	char usual[PATH_LEN_MAX], usual_default[PATH_LEN_MAX];
	const char *prefix[] = { conf->rootfs, conf->rootfs_mount, usual, usual_default };
	const char *rest = NULL;
	size_t n;

	path_fmt(usual, sizeof(usual), "%s/rootfs", ctr->dir);
	path_fmt(usual_default, sizeof(usual_default), LXCPATH_DEFAULT "/%s/rootfs", ctr->name);
	for (size_t i = 0; conf->rootfs && !rest && i < ARRAY_SIZE(prefix); i++)
		rest = below(target, prefix[i]);
	rest = rest ? rest : target;
	rest += strspn(rest, "/");
	n = strlen(rest);
	while (n > 0 && rest[n - 1] == '/')
		n--;
	path_fmt(out, size, "%.*s", (int)n, rest);
}

bool mnt_covers(const struct ctr *ctr, const struct conf *conf, const char *place)
{
	char inside[PATH_LEN_MAX];

	for (unsigned i = 0; i < conf->nmounts; i++) {
		mnt_inside(ctr, conf, conf->mount[i].target, inside, sizeof(inside));
		if (strcmp(inside, place) == 0)
			return true;
	}
	return false;
}

static int open_target(int root, const struct conf_mount *m, const char *inside)
{
	int fd;

	if (m->create == CREATE_DIR)
		fd = root_mkdirs(root, inside);
	else if (m->create == CREATE_FILE)
		fd = root_mkfile(root, inside);
	else
		fd = root_open(root, inside, 0);
	if (fd >= 0)
		return fd;
	err_set("%s:%u: mount point /%s", m->at.file, m->at.line, inside);
	if (errno == ENOENT && m->create == CREATE_NONE)
		err_hint("make it in the root file system, or add create=dir (create=file for a "
			 "file) to the options; 'optional' skips the mount");
	if (errno == EROFS)
		err_hint("the root file system is read-only: make the mount point when it is built");
	return -1;
}

static int open_source(int root, const struct conf_mount *m)
{
	int fd = m->relative ? root_open(root, m->source, 0)
			     : openat(AT_FDCWD, m->source, O_PATH | O_CLOEXEC);

	if (fd < 0)
		err_set("%s:%u: bind source %s", m->at.file, m->at.line, m->source);
	return fd;
}

static int set_propagation(int dst, unsigned long propagation, const char *where)
{
	CLEAN_FD int top = propagation ? reopen(dst, NULL) : -1;

	if (!propagation)
		return 0;
	if (top < 0 || mnt_on(NULL, top, NULL, propagation, NULL) < 0)
		return err_set("set the propagation of /%s", where);
	return 0;
}

/* A process's own folder in /proc: what lies over its attr or fd could fake its security label. */
static bool in_process(int dst)
{
	char path[PATH_LEN_MAX];
	struct statfs fs;
	char *p;

	if (fstatfs(dst, &fs) == 0 && fs.f_type != FS_PROC)
		return false;
	if (fd_name(dst, path, sizeof(path)) < 0)
		return true;
	for (p = path; (p = strstr(p, "/proc/")) != NULL; p += 5)
		if (p[6] >= '1' && p[6] <= '9')
			return true;
	return false;
}

static int mount_entry(int root, const struct conf_mount *m, const char *inside)
{
	CLEAN_FD int dst = open_target(root, m, inside), src = -1;
	int rc;

	if (dst < 0)
		return -1;
	if (in_process(dst))
		return err_plain("%s:%u: mount point /%s: nothing may lie over a process's files",
				 m->at.file, m->at.line, inside);
	if (!(m->flags & MS_BIND)) {
		rc = mnt_fs(m->source, dst, m->type, m->flags, m->data, inside);
	} else {
		src = m->tree > 0 ? -1 : open_source(root, m);
		if (src < 0 && m->tree <= 0)
			return -1;
		rc = m->tree > 0 ? sys_move_mount(m->tree, dst) :
		     mnt_bind(src, dst, m->flags & ~(unsigned long)MS_BIND, inside);
		if (rc < 0 && m->tree > 0)
			err_set("bind on /%s", inside);
	}
	return rc < 0 ? -1 : set_propagation(dst, m->propagation, inside);
}

int mnt_entries(int root, const struct ctr *ctr, const struct conf *conf)
{
	char inside[PATH_LEN_MAX];

	/* Relative sources are the host's. */
	if (conf->nmounts > 0 && chdir("/") < 0)
		return err_set("chdir /");
	for (unsigned i = 0; i < conf->nmounts; i++) {
		const struct conf_mount *m = &conf->mount[i];

		mnt_inside(ctr, conf, m->target, inside, sizeof(inside));
		if (mount_entry(root, m, inside) < 0 && !m->optional)
			return -1;
	}
	return 0;
}
