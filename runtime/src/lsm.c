/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include "limits.h"
#include "lsm.h"
#include "path.h"
#include "sys.h"
#include "util.h"

int lsm_open(void)
{
	CLEAN_FD int fd = openat(AT_FDCWD, "/proc/thread-self/attr", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return err_set("open /proc/thread-self/attr");
	if (fs.f_type != FS_PROC)
		return err_plain("/proc of the host is no proc");
	return take_fd(&fd);
}

static int put(int attr, const char *file, const char *label)
{
	CLEAN_FD int fd = openat(attr, file, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, label, strlen(label)) < 0 ? -1 : 0;
}

static int failed(const char *key, const char *label)
{
	err_set("%s = %s", key, label);
	err_hint(errno == EINVAL ? "this kernel has it not active, or there can be no such label" :
				   "the policy must be loaded before the container starts");
	return -1;
}

int lsm_exec(int attr, const char *apparmor, const char *selinux, bool now)
{
	char text[CONF_LINE_MAX + 8];

	if (apparmor) {
		CLEAN_FD int own = openat(attr, "apparmor", O_PATH | O_DIRECTORY | O_CLOEXEC);

		/* Before Linux 5.8 it had the one file that all share. */
		snprintf(text, sizeof(text), "%s %s", now ? "changeprofile" : "exec", apparmor);
		if (put(own < 0 ? attr : own, now ? "current" : "exec", text) < 0)
			return failed("lxc.apparmor.profile", apparmor);
	}
	return selinux && put(attr, "exec", selinux) < 0 ? failed("lxc.selinux.context", selinux) : 0;
}

int lsm_keys(int attr, const char *selinux)
{
	return put(attr, "keycreate", selinux) < 0 ? failed("lxc.selinux.context.keyring", selinux) : 0;
}

/* "NAME (enforce)" of AppArmor, a context of SELinux. */
static bool read_label(const char *task, const char *file, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/attr/%s", task, file);
	if (read_small(AT_FDCWD, path, text, size) <= 0)
		return false;
	text[strcspn(text, " \n")] = '\0';
	return true;
}

void lsm_of(pid_t pid, struct lsm_label *label)
{
	char task[16], own[sizeof(label->text)];
	const char *file = "apparmor/current";

	snprintf(task, sizeof(task), "%d", pid);
	label->selinux = !read_label(task, file, label->text, sizeof(label->text));
	if (label->selinux)
		file = "current";
	if ((label->selinux && !read_label(task, file, label->text, sizeof(label->text))) ||
	    (read_label("self", file, own, sizeof(own)) && strcmp(own, label->text) == 0))
		label->text[0] = '\0';
}
