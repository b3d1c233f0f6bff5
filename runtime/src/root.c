/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include "root.h"
#include "sys.h"
#include "util.h"

int root_prepare(const struct conf *conf)
{
	const char *path = conf->rootfs ? conf->rootfs : "/";
	int fd;

	/* Slave, not private: what is mounted or unmounted on the host later still arrives. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_set("cut mount propagation to the host");
	if (conf->rootfs && mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0) {
		err_set("root file system %s", path);
		if (errno == ENOENT)
			err_hint("it is lxc.rootfs.path of %s; make the directory and put a root "
				 "file system in it", conf->file);
		return -1;
	}
	fd = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_set("root file system %s", path) : fd;
}

static int pivot(int root)
{
	if (fchdir(root) < 0)
		return err_set("enter the root file system");
	/* The old root is stacked on the new one and is what "." means afterwards. */
	if (sys_pivot_root(".", ".") < 0) {
		err_set("pivot_root");
		if (errno == EINVAL)
			err_hint("the kernel cannot pivot away from the initramfs: let the boot "
				 "script switch_root to a tmpfs or a disk first");
		return -1;
	}
	if (umount2(".", MNT_DETACH) < 0)
		return err_set("detach the host's root");
	return chdir("/") < 0 ? err_set("chdir /") : 0;
}

int root_enter(int root, const struct conf *conf)
{
	unsigned long flags = conf->rootfs_flags & ~(unsigned long)(MS_REC | MS_BIND);

	if (conf->rootfs && pivot(root) < 0)
		return -1;
	/* Not recursive: the mounts on top have their own flags. */
	if (conf->rootfs && flags && mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | flags, NULL) < 0)
		return err_set("lxc.rootfs.options");
	if (conf->rootfs && conf->rootfs_propagation &&
	    mount(NULL, "/", NULL, conf->rootfs_propagation, NULL) < 0)
		return err_set("propagation of lxc.rootfs.options");
	return 0;
}
