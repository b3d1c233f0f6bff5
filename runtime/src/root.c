/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include "dev.h"
#include "guard.h"
#include "ids.h"
#include "layers.h"
#include "mount.h"
#include "path.h"
#include "root.h"
#include "sys.h"
#include "util.h"

/* A descriptor of its mount. */
static int bind_dir(const struct conf *conf, int place)
{
	int fd = openat(AT_FDCWD, conf->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);  /* closed by exec */

	if (conf->rootfs_data)
		return err_plain("lxc.rootfs.options: a folder has no option %s", conf->rootfs_data);
	if (fd < 0) {
		err_set("root file system %s", conf->rootfs);
		if (errno == ENOENT)
			err_hint("it is lxc.rootfs.path of %s; make the directory and put a root "
				 "file system in it", conf->file);
		return -1;
	}
	return mnt_bind_top(fd, place < 0 ? fd : place, MS_REC, conf->rootfs + 1);
}

/* Where it is mounted, or -1: on itself. */
static int open_place(const struct conf *conf, int statedir)
{
	const char *wanted = conf->rootfs_mount;
	int fd = wanted ? openat(AT_FDCWD, wanted, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0 || layers_none(conf))
		return fd;
	return mnt_top(statedir);       /* as our mount namespace has it: that of `statedir` is the host's */
}

static bool lacks(int root, const char *place)
{
	CLEAN_FD int fd = root_open(root, place, 0);

	return fd < 0 && errno == ENOENT;
}

/* Mount points that would have to be made in it. */
static bool lacks_any(int root, const struct ctr *ctr, const struct conf *conf, bool app)
{
	char inside[PATH_LEN_MAX];

	if ((dev_wanted(ctr, conf) && lacks(root, "dev")) || (conf->auto_sys && lacks(root, "sys")) ||
	    ((app || conf->auto_proc) && lacks(root, "proc")))
		return true;
	for (unsigned i = 0; i < conf->nmounts; i++) {
		mnt_inside(ctr, conf, conf->mount[i].target, inside, sizeof(inside));
		if (conf->mount[i].create != CREATE_NONE && lacks(root, inside))
			return true;
	}
	return false;
}

/*
 * A read-only root without all mount points: an overlay supplies them, and is made
 * read-only in the end. Without overlays in the kernel the mount that fails is named.
 */
static int cover(int root, const struct ctr *ctr, struct conf *conf, bool app, int statedir)
{
	CLEAN_FD int place = -1, top = -1;
	struct statvfs fs;

	if (fstatvfs(root, &fs) < 0 || !(fs.f_flag & ST_RDONLY) || !lacks_any(root, ctr, conf, app))
		return -1;
	place = mnt_top(statedir);
	if (place < 0 || layers_cover(root, place) < 0)
		return -1;
	top = mnt_top(statedir);
	conf->rootfs_flags |= MS_RDONLY;
	return take_fd(&top);
}

int root_prepare(const struct ctr *ctr, struct conf *conf, bool app, int statedir)
{
	CLEAN_FD int place = -1, root = -1;
	int covered;

	/* Slave, not private: what is mounted or unmounted on the host later still arrives. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_set("cut mount propagation to the host");
	if (!conf->rootfs) {            /* the old root stays */
		guard_done();
		root = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		return root < 0 ? err_set("open /") : take_fd(&root);
	}
	guard_child();
	place = open_place(conf, statedir);
	if (layers_none(conf))
		root = bind_dir(conf, place);
	else if (place >= 0 && layers_mount(conf, place) == 0 && (root = mnt_top(place)) < 0)
		err_set("root file system %s", conf->rootfs);
	if (root < 0)
		return -1;
	covered = cover(root, ctr, conf, app, statedir);
	return covered < 0 ? take_fd(&root) : covered;
}

int root_pin(const struct conf *conf)
{
	if (!layers_none(conf) || !(caps_left(conf) & CAP_SYS_ADMIN_BIT))
		return -1;
	return openat(AT_FDCWD, conf->rootfs ? conf->rootfs : "/", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0);
}

/*
 * Below a chroot the namespace has another root, which would be left standing for whom
 * setns(2) puts there: who has CAP_SYS_ADMIN. It puts us there, too.
 */
static int true_root(void)
{
	CLEAN_FD int ns = openat(AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	/* Not shared, or what is detached would be gone on the host, too. */
	return ns < 0 || setns(ns, CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ?
	       err_set("leave the chroot") : 0;
}

static int pivot(int root, bool admin)
{
	if (admin && true_root() < 0)
		return -1;
	if (fchdir(root) < 0)
		return err_set("enter the root file system");
	/* The old root is stacked on the new one and is what umount2(2) finds at "."; we stand below it. */
	if (sys_pivot_root(".", ".") < 0) {
		err_set("pivot_root");
		if (errno == EINVAL)
			err_hint("the kernel cannot pivot away from the initramfs: let the boot "
				 "script switch_root to a tmpfs or a disk first");
		return -1;
	}
	return umount2(".", MNT_DETACH) < 0 ? err_set("detach the host's root") : 0;
}

int root_enter(int root, const struct conf *conf)
{
	if (!conf->rootfs)
		return chdir("/") < 0 ? err_set("chdir /") : 0;
	if (pivot(root, caps_left(conf) & CAP_SYS_ADMIN_BIT) < 0)
		return -1;
	/* Not recursive: the mounts on top have their own flags. */
	if (conf->rootfs_flags && mnt_flags("/", conf->rootfs_flags) < 0)
		return err_set("lxc.rootfs.options");
	if (conf->rootfs_propagation && mount(NULL, "/", NULL, conf->rootfs_propagation, NULL) < 0)
		return err_set("propagation of lxc.rootfs.options");
	return 0;
}
