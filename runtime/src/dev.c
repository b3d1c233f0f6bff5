/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "dev.h"
#include "mount.h"
#include "nodes.h"
#include "path.h"
#include "pty.h"

static const struct {
	char name[8];
	unsigned char major, minor;
} nodes[] = {
	{ "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 },
	{ "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};

static const struct {
	char name[7], target[16];
} links[] = {
	{ "fd", "/proc/self/fd" }, { "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" }, { "stderr", "/proc/self/fd/2" },
	{ "ptmx", "pts/ptmx" },
};

bool dev_wanted(const struct ctr *ctr, const struct conf *conf)
{
	if (conf->autodev >= 0)
		return conf->autodev == 1;
	return conf->rootfs && !mnt_covers(ctr, conf, "dev");
}

/* /dev as it is now, with what has been mounted on it; a link is refused. */
static int open_dev(int root)
{
	int fd = openat(root, "dev", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0) {
		err_set("open /dev of the root file system");
		if (errno == ENOTDIR || errno == ELOOP)
			err_hint("it must be a directory, not a link");
	}
	return fd;
}

static int make_nodes(int dev)
{
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		if (mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0)
			return err_set("mknod /dev/%s", nodes[i].name);
	return 0;
}

static int dev_tmpfs(int root, const struct conf *conf)
{
	char data[32];
	int under = open_dev(root);     /* closed by exec */
	CLEAN_FD int dev = -1;

	if (under < 0 && errno == ENOENT) {
		if (mkdirat(root, "dev", 0755) < 0) {
			err_set("make /dev in the root file system");
			err_hint("a read-only root needs an empty directory dev");
			return -1;
		}
		under = open_dev(root);
	}
	snprintf(data, sizeof(data), "size=%d,mode=755", conf->autodev_size > 0 ? conf->autodev_size : 500000);
	if (under < 0 || mnt_fs("none", under, "tmpfs", MS_NOSUID, data, "dev") < 0)
		return -1;
	dev = open_dev(root);
	if (dev < 0)
		return -1;
	if (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 01777) < 0 ||
	    mkdirat(dev, "mqueue", 0755) < 0)
		return err_set("mkdir below /dev");
	return make_nodes(dev) < 0 ? -1 : take_fd(&dev);
}

/* In our own /dev, which nobody else has seen yet, a path is as good as a descriptor. */
static int mount_below(int root, int dev, const char *where, const char *type, unsigned long flags,
		       const char *data)
{
	CLEAN_FD int fd = -1;
	char path[48];

	if (dev >= 0) {
		snprintf(path, sizeof(path), "%s/%s", fd_path(dev).s, where + sizeof("dev/") - 1);
		return mount(type, path, type, flags, data) < 0 ? err_set("mount %s on /%s", type, where) : 0;
	}
	fd = root_open(root, where, O_DIRECTORY);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_set("open /%s", where);
	return mnt_fs(type, fd, type, flags, data, where);
}

static int dev_devpts(int root, int dev, const struct conf *conf)
{
	char data[80];

	snprintf(data, sizeof(data), "newinstance,%smode=620,ptmxmode=0666,max=%d",
		 idmap_outside(conf, MAP_GROUPS, 5) < UINT32_MAX ? "gid=5," : "", conf->pty_max < 0 ? 1024 : conf->pty_max);
	return mount_below(root, dev, "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, data);
}

int dev_mount(int root, const struct ctr *ctr, const struct conf *conf, struct dev *dev)
{
	bool ours = dev_wanted(ctr, conf);

	dev->pts = false;
	dev->fd = !ours ? -1 : conf->spaces & CLONE_NEWUSER ? open_dev(root) : dev_tmpfs(root, conf);
	if (ours && dev->fd < 0)
		return -1;
	if (conf->pty_max != 0 && conf->rootfs && !mnt_covers(ctr, conf, "dev") &&
	    !mnt_covers(ctr, conf, "dev/pts")) {
		if (dev_devpts(root, dev->fd, conf) < 0)
			return -1;
		dev->pts = ours;
	}
	if (ours && !mnt_covers(ctr, conf, "dev/shm") &&
	    mount_below(root, dev->fd, "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0)
		return -1;
	return 0;
}

static int make_links(int dev)
{
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (symlinkat(links[i].target, dev, links[i].name) < 0 && errno != EEXIST)
			return err_set("symlink /dev/%s", links[i].name);
	return 0;
}

int dev_make(int root, const struct ctr *ctr, const struct conf *conf, const struct devlist *l)
{
	uid_t uid = idmap_outside(conf, MAP_USERS, 0);
	gid_t gid = idmap_outside(conf, MAP_GROUPS, 0);
	CLEAN_FD int dev = -1;

	if (!dev_wanted(ctr, conf))
		return 0;
	if ((dev = dev_tmpfs(root, conf)) < 0 || make_links(dev) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		fchownat(dev, nodes[i].name, uid, gid, AT_SYMLINK_NOFOLLOW);
	/* Last: nodes of the list get the owner of their folder. */
	return fchownat(dev, "", uid, gid, AT_EMPTY_PATH) < 0 ? err_set("chown /dev") : nodes_make(dev, l);
}

/* ---- ptys ------------------------------------------------------------------- */

/* Binds the slave on /dev/NAME; what is missing is made, if the place can be written. */
static int put_pty(int dev, bool ours, const char *name, int slave)
{
	CLEAN_FD int dst = -1;
	char where[64];
	struct stat st;

	if (mknodat(dev, name, S_IFREG | 0600, 0) < 0 && errno != EEXIST)
		return err_set("make /dev/%s", name);
	if (ours && !strchr(name, '/')) {       /* right in our /dev nobody has made a link */
		snprintf(where, sizeof(where), "%s/%s", fd_path(dev).s, name);
		if (mount(fd_path(slave).s, where, NULL, MS_BIND, NULL) < 0)
			return err_set("bind a terminal on /dev/%s", name);
		return 0;
	}
	dst = openat(dev, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (dst < 0 || fstat(dst, &st) < 0)
		return err_set("open /dev/%s", name);
	if (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode)) {
		errno = 0;
		return err_plain("/dev/%s is a %s: refused as a place for a terminal", name,
				 S_ISLNK(st.st_mode) ? "link" : "directory");
	}
	snprintf(where, sizeof(where), "dev/%s", name);
	return mnt_bind(slave, dst, 0, where);
}

/* The container's own devpts if it has one: then tty(1) and /proc/self/fd say pts/N. */
static int devpts_dir(int root)
{
	int fd = root_open(root, "dev/pts", O_DIRECTORY);

	if (fd >= 0 && is_devpts(fd))
		return fd;
	close_fd(&fd);
	return -1;
}

/* Where the ptys come from: `below`, "" or "pts/", of `dir`; see pty_open(). */
struct instance {
	int dir;
	const char *below;
};

static int put_ttys(int dev, bool ours, struct instance pts, const struct conf *conf, struct ptys *p)
{
	for (int i = 1; i <= conf->tty_max && i <= TTYS_MAX; i++) {
		char name[PATH_LEN_MAX], plain[16];
		CLEAN_FD int slave = -1;

		snprintf(plain, sizeof(plain), "tty%d", i);
		path_fmt(name, sizeof(name), "%s%s%s", conf->tty_dir ? conf->tty_dir : "",
			 conf->tty_dir ? "/" : "", plain);
		if (pty_open(pts.dir, pts.below, &p->tty[p->nttys], &slave) < 0)
			return -1;
		p->nttys++;
		if (put_pty(dev, ours, name, slave) < 0)
			return -1;
		if (conf->tty_dir && (unlinkat(dev, plain, 0) < 0 ? errno == ENOENT : true) &&
		    symlinkat(name, dev, plain) < 0)
			return err_set("symlink /dev/%s", plain);
	}
	return 0;
}

/* lxc.console.path = /dev/ttyS1: that device itself. */
static int host_console(int dev, bool ours, const struct conf *conf, struct ptys *p)
{
	p->console_peer = openat(AT_FDCWD, conf->console_path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (p->console_peer < 0)
		return err_set("lxc.console.path: open %s", conf->console_path);
	return dev < 0 ? 0 : put_pty(dev, ours, "console", p->console_peer);
}

static int make_ptys(int root, int dev, const struct dev *ours, const struct conf *conf, struct ptys *p)
{
	/* Closed by exec. */
	struct instance pts = { .dir = ours->pts ? ours->fd : devpts_dir(root), .below = ours->pts ? "pts/" : "" };
	bool plain = ours->fd >= 0;

	if (dev >= 0 && conf->tty_dir) {
		CLEAN_FD int made = root_mkdirs(dev, conf->tty_dir);

		if (made < 0)
			return err_set("make /dev/%s", conf->tty_dir);
	}
	if (conf->tty_max > 0 && dev < 0)
		return -1;              /* the error of opening it stands */
	if (conf->tty_max > 0 && put_ttys(dev, plain, pts, conf, p) < 0)
		return -1;
	if (conf->console_path && strcmp(conf->console_path, "none") == 0)
		return 0;
	if (conf->console_path)
		return host_console(dev, plain, conf, p);
	if (pty_open(pts.dir, pts.below, &p->console, &p->console_peer) < 0)
		return -1;
	/* On a read-only root without a place for it the payload has it as stdin alone. */
	if (dev >= 0 && put_pty(dev, plain, "console", p->console_peer) < 0 && errno != EROFS)
		return -1;
	return 0;
}

int dev_fill(int root, const struct dev *dev, const struct ctr *ctr, const struct conf *conf,
	     const struct devlist *l, struct ptys *p)
{
	CLEAN_FD int theirs = dev->fd < 0 ? open_dev(root) : -1;        /* a root without /dev may want none */

	if (dev_wanted(ctr, conf) && !(conf->spaces & CLONE_NEWUSER) &&
	    (dev->fd < 0 || make_links(dev->fd) < 0 || nodes_make(dev->fd, l) < 0))
		return -1;
	return make_ptys(root, dev->fd < 0 ? theirs : dev->fd, dev, conf, p);
}
