/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include "feat.h"
#include "nsenter.h"
#include "path.h"
#include "sys.h"

static bool same_ns(const char *file, int fd)
{
	char path[40], ours[64], theirs[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", file);
	n = readlink(path, ours, sizeof(ours));
	return n > 0 && fd_name(fd, theirs, sizeof(theirs)) == n && memcmp(ours, theirs, (size_t)n) == 0;
}

/* Its root directory, where its mount namespace is wanted. */
static int open_root(struct ns_set *a, const struct task *init)
{
	a->root = -1;
	if (!(a->wanted & CLONE_NEWNS))
		return 0;
	a->root = open_path(O_PATH | O_DIRECTORY, "/proc/%d/root", init->pid);
	return a->root < 0 ? -1 : 0;
}

int ns_open(struct ns_set *a, const struct task *init)
{
	if (open_root(a, init) < 0)
		return -1;
	for (int i = 0; i < NS_KINDS; i++) {
		a->ns[i] = -1;
		if (!(a->wanted & (int)space_table[i].flag))
			continue;
		a->ns[i] = open_path(O_RDONLY, "/proc/%d/ns/%s", init->pid, space_table[i].file);
		if (a->ns[i] < 0 && errno == ENOENT)
			continue;               /* a kernel without this kind */
		if (a->ns[i] < 0)
			return -1;
		if (same_ns(space_table[i].file, a->ns[i])) {
			close(a->ns[i]);
			a->ns[i] = -1;
			continue;
		}
		a->flags |= (int)space_table[i].flag;
	}
	/* All of the above were looked up by pid: is it still the same process? */
	a->pidfd = task_pidfd(init);
	if (a->pidfd < 0 && !task_alive(init))
		return err_plain("the container has just ended");
	return 0;
}

int ns_enter_pid(const struct ns_set *a)
{
	for (int i = 0; i < NS_KINDS; i++)
		if (space_table[i].flag == CLONE_NEWPID && a->ns[i] >= 0 &&
		    setns(a->ns[i], CLONE_NEWPID) < 0)
			return err_set("enter the pid namespace");
	return 0;
}

static int join(const struct ns_set *a)
{
	int flags = a->flags & ~CLONE_NEWPID;

	if (a->pidfd >= 0 && feat_on(FEAT_SETNS_PIDFD) && setns(a->pidfd, flags) == 0)
		return 0;
	for (int i = 0; i < NS_KINDS; i++)
		if (a->ns[i] >= 0 && space_table[i].flag != CLONE_NEWPID &&
		    setns(a->ns[i], (int)space_table[i].flag) < 0)
			return err_set("enter the %s namespace", space_table[i].file);
	return 0;
}

/*
 * setns(2) leaves us in the root of the mount namespace. That is not the container's root
 * when the container was started below a chroot: there it is the host's.
 */
int ns_enter_rest(const struct ns_set *a)
{
	if (join(a) < 0)
		return -1;
	if (a->root >= 0 && (fchdir(a->root) < 0 || chroot(".") < 0))
		return err_set("enter the container's root directory");
	return 0;
}

int ns_parse(const char *text)
{
	int flags = 0;

	while (*text) {
		size_t n = strcspn(text, "|,");
		int i;

		for (i = 0; i < NS_KINDS; i++)
			if (strlen(space_table[i].word) == n && strncmp(space_table[i].word, text, n) == 0)
				break;
		if (i == NS_KINDS)
			return err_plain("-s %.*s: not one of MOUNT PID UTSNAME IPC NETWORK CGROUP USER TIME",
					 (int)n, text);
		flags |= (int)space_table[i].flag;
		text += n + (text[n] != '\0');
	}
	return flags;
}

int ns_all(void)
{
	int flags = 0;

	for (int i = 0; i < NS_KINDS; i++)
		flags |= (int)space_table[i].flag;
	return flags;
}

