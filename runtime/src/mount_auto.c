/* SPDX-License-Identifier: MIT */
/*
 * The system mounts a container gets without an entry of its own. Descriptors are left to
 * exec, which closes all of them at once.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
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
	int fd = open_top(root, name);

	return fd < 0 ? -1 : mnt_fs(type, fd, type, flags, NULL, name);
}

/* The same, and goes into the root of the new file system: what lies below is the kernel's. */
static int mount_open(int root, const char *type, const char *name)
{
	int fd;

	if (mount_top(root, type, name, NO_ALL) < 0)
		return -1;
	fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || fchdir(fd) < 0 ? err_set("open /%s", name) : fd;
}

/*
 * Binds a place below the working folder on itself, so that it can have flags of its own.
 * That folder is the root of a file system that only we have seen yet: a name in it is no
 * one else's.
 */
static int over_itself(const char *place)
{
	return mount(place, place, NULL, MS_BIND, NULL) < 0 && errno != ENOENT ? err_set("bind %s on itself", place) : 0;
}

/* `writable` is what stays so below `place`: bound before that is made read-only, it has the old flags. */
static int make_readonly(const char *place, const char *writable)
{
	if (writable && over_itself(writable) < 0)
		return -1;
	if (mount(NULL, place, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | NO_ALL, NULL) < 0 && errno != ENOENT)
		return err_set("make %s read-only", place);
	return 0;
}

/* What tells about the host's kernel and its other users: a program inside has no use for it. */
static const char masked[][14] = {
	"kcore", "keys", "timer_list", "sched_debug", "latency_stats", "acpi", "scsi",
};
static const char readonly[][14] = { "sysrq-trigger", "bus", "fs", "irq", "sys" };

static bool is_one_of(const char *name, const char (*list)[14], size_t n)
{
	while (n > 0 && strcmp(name, list[n - 1]) != 0)
		n--;
	return n > 0;
}

/* The host's, proved to be what it should be: one of the image could be a link to anything. */
static int open_null(void)
{
	int fd = openat(AT_FDCWD, "/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return err_set("open /dev/null");
	if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
		return fd;
	close(fd);
	return err_plain("/dev/null of the host is not the device 1:3");
}

static int mask(const struct sys_dirent *place, const char *null)
{
	if ((place->type == DT_DIR ? mount("none", place->name, "tmpfs", MS_RDONLY | NO_ALL, "size=4k") :
				     mount(null, place->name, NULL, MS_BIND, NULL)) < 0 && errno != ENOENT)
		return err_set("mask /proc/%s", place->name);
	return 0;
}

static int restrict_place(const struct sys_dirent *place, const char *null)
{
	if (is_one_of(place->name, masked, ARRAY_SIZE(masked)))
		return mask(place, null);
	if (is_one_of(place->name, readonly, ARRAY_SIZE(readonly)))
		return over_itself(place->name) < 0 ? -1 :
		       make_readonly(place->name, strcmp(place->name, "sys") == 0 ? "sys/net" : NULL);
	return 0;
}

/* Half of these places are missing in most kernels: the folder says which are there. */
static int restrict_proc(int top, const char *null)
{
	_Alignas(struct sys_dirent) char buf[3072];
	long n;

	while ((n = sys_getdents(top, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n;) {
			const struct sys_dirent *d = (const void *)(buf + at);

			at += d->reclen;
			if (restrict_place(d, null) < 0)
				return -1;
		}
	return n < 0 ? err_set("read /proc") : 0;
}

static int auto_proc(int root, int dev, enum auto_mode mode)
{
	char null[48];
	int top, fd;

	if (mode == AUTO_RW)
		return mount_top(root, "proc", "proc", NO_ALL);
	top = mount_open(root, "proc", "proc");
	fd = dev >= 0 ? dev : open_null();
	snprintf(null, sizeof(null), "%s%s", fd_path(fd).s, dev >= 0 ? "/null" : "");
	return top < 0 || fd < 0 ? -1 : restrict_proc(top, null);
}

static int auto_sys(int root, const struct conf *conf)
{
	enum auto_mode mode = conf->auto_sys;
	int top, sys;

	/* One of a network that is not the user namespace's own it may not mount: that one, then. */
	if ((conf->spaces & (CLONE_NEWUSER | CLONE_NEWNET)) == CLONE_NEWUSER) {
		top = open_top(root, "sys");
		sys = openat(AT_FDCWD, "/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
		return top < 0 ? -1 : mnt_bind(sys, top, MS_REC | MS_RDONLY | NO_ALL, "sys");
	}

	if (mode != AUTO_MIXED)
		return mount_top(root, "sysfs", "sys", NO_ALL | (mode == AUTO_RO ? MS_RDONLY : 0));
	top = mount_open(root, "sysfs", "sys");
	return top < 0 ? -1 : make_readonly(fd_path(top).s, "devices/virtual/net");
}

int mnt_auto(int root, int dev, const struct conf *conf, const struct cg_host *host, const struct cg *cg)
{
	if (conf->auto_proc != AUTO_OFF && auto_proc(root, dev, conf->auto_proc) < 0)
		return -1;
	if (conf->auto_sys != AUTO_OFF && auto_sys(root, conf) < 0)
		return -1;
	return conf->auto_cgroup != AUTO_OFF ? mnt_auto_cgroup(root, conf, host, cg) : 0;
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
