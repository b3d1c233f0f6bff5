/* SPDX-License-Identifier: MIT */
/* The system mounts a container gets without an entry of its own. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "cgroup.h"
#include "mount.h"
#include "path.h"
#include "sys.h"

#define NO_ALL (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* A directory right below the root. A link in its place ends the start. */
static int open_top(int root, const char *name)
{
	int fd = openat(root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && mkdirat(root, name, 0755) == 0)
		fd = openat(root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		err_set("mount point /%s", name);
		if (errno == ENOTDIR || errno == ELOOP)
			err_hint("it must be a directory of the root file system, not a link");
	}
	return fd;
}

static int mount_top(int root, const char *type, const char *name, unsigned long flags)
{
	CLEAN_FD int fd = open_top(root, name);

	return fd < 0 ? -1 : mnt_fs(type, fd, type, flags, NULL, name);
}

/* Binds a place of a mount of ours on itself, so that it can differ in its flags. */
static int over_itself(int root, const char *place, unsigned long flags)
{
	CLEAN_FD int fd = root_open(root, place, 0);

	if (fd < 0)
		return errno == ENOENT ? 0 : err_set("open /%s", place);
	return mnt_bind(fd, fd, flags, place);
}

static int auto_proc(int root, enum auto_mode mode)
{
	CLEAN_FD int net = -1, dst = -1;

	if (mount_top(root, "proc", "proc", NO_ALL) < 0)
		return -1;
	if (mode == AUTO_RW)
		return 0;
	/* Taken while it is writable, put back below the read-only sys. */
	net = root_open(root, "proc/sys/net", 0);
	if (over_itself(root, "proc/sysrq-trigger", MS_RDONLY | NO_ALL) < 0 ||
	    over_itself(root, "proc/sys", MS_RDONLY | NO_ALL) < 0)
		return -1;
	dst = net < 0 ? -1 : root_open(root, "proc/sys/net", 0);
	return dst < 0 ? 0 : mnt_bind(net, dst, NO_ALL, "proc/sys/net");
}

static int auto_sys(int root, enum auto_mode mode)
{
	CLEAN_FD int net = -1, dst = -1;

	if (mount_top(root, "sysfs", "sys", NO_ALL) < 0)
		return -1;
	if (mode == AUTO_RW)
		return 0;
	net = mode == AUTO_MIXED ? root_open(root, "sys/devices/virtual/net", 0) : -1;
	if (over_itself(root, "sys", MS_RDONLY | NO_ALL) < 0)
		return -1;
	dst = net < 0 ? -1 : root_open(root, "sys/devices/virtual/net", 0);
	return dst < 0 ? 0 : mnt_bind(net, dst, NO_ALL, "sys/devices/virtual/net");
}

/* The whole tree is one hierarchy here; the cgroup namespace hides the rest of it. */
static int auto_cgroup(int root, enum auto_mode mode)
{
	unsigned long flags = NO_ALL | (mode == AUTO_RO ? MS_RDONLY : 0);
	CLEAN_FD int fd = -1;
	struct cg_host host;

	if (cg_detect(&host) < 0)
		return -1;
	if (strcmp(cg_layout(&host), "v2") != 0) {
		err_plain("lxc.mount.auto = cgroup: not supported with cgroups %s",
			  cg_layout(&host));
		err_hint("it works on a system that has cgroup v2 alone");
		return -1;
	}
	fd = root_open(root, "sys/fs/cgroup", O_DIRECTORY);
	if (fd < 0)
		return err_set("mount point /sys/fs/cgroup");
	return mnt_fs("cgroup2", fd, "cgroup2", flags, NULL, "sys/fs/cgroup");
}

int mnt_auto(int root, const struct conf *conf)
{
	if (conf->auto_proc != AUTO_OFF && auto_proc(root, conf->auto_proc) < 0)
		return -1;
	if (conf->auto_sys != AUTO_OFF && auto_sys(root, conf->auto_sys) < 0)
		return -1;
	if (conf->auto_cgroup != AUTO_OFF && auto_cgroup(root, conf->auto_cgroup) < 0)
		return -1;
	return 0;
}

int mnt_proc_if_none(int root)
{
	CLEAN_FD int fd = openat(root, "proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char self[16];
	ssize_t n;

	if (fd < 0)
		return 0;               /* a root without /proc wants none */
	n = readlinkat(fd, "self", self, sizeof(self));
	if (n == 1 && self[0] == '1')   /* we are PID 1 in it: it is of our namespace */
		return 0;
	return mnt_fs("proc", fd, "proc", NO_ALL, NULL, "proc");
}
